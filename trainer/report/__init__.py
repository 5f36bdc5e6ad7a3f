"""The report of a run: one self-contained HTML page."""

from trainer.report.inputs import ReportError
from trainer.report.page import write_report

__all__ = ["ReportError", "write_report"]
