"""From samples to words: speech spans, windows, recognition, word times, quality gates."""
