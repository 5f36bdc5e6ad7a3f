"""The page of an audit of judges: one self-contained HTML file."""

from rostrum.trainer.report.audit.audit_page import write_audit

__all__ = ["write_audit"]
