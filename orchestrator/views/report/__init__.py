"""report.html: one page about a study, which needs no network."""

from orchestrator.views.report.page import write_report

__all__ = ["write_report"]
