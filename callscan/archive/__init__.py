"""The archive: every call record, once, in a folder or an object store."""

from callscan.archive.archive import Archive
from callscan.archive.schema import FORMAT, SCHEMA, from_table, to_table

__all__ = ["FORMAT", "SCHEMA", "Archive", "from_table", "to_table"]
