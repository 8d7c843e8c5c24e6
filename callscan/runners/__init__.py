"""Who runs workers, and the scan that they do together."""
