"""The report: what people read and other systems ingest, counted by DuckDB from two Parquet tables."""

from callscan.report.contract import SCHEMA_VERSION, Report
from callscan.report.database import Selection

__all__ = ["SCHEMA_VERSION", "Report", "Selection"]
