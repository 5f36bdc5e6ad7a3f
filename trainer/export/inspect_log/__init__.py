"""Evaluated debates as logs of inspect_ai (https://inspect.aisi.org.uk/eval-logs.html), so that `inspect view` opens
them. inspect_ai itself is not needed: a log is a zip file of JSON objects, which are made here."""

from rostrum.trainer.export.inspect_log.export_logs import ExportLogsError, export_logs

__all__ = ["ExportLogsError", "export_logs"]
