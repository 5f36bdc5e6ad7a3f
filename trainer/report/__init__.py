"""The report of a run: one self-contained HTML page."""

from rostrum.trainer.report.inputs import ReportError
from rostrum.trainer.report.page import write_report

__all__ = ["ReportError", "write_report"]
