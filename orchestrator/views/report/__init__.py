"""report.html: one page that tells a study, readable anywhere without a network."""

from orchestrator.views.report.page import write_report

__all__ = ["write_report"]
