"""The page as a whole: sections, style and scripts in one file."""

from pathlib import Path

from orchestrator.advice.advice import advice_of
from orchestrator.journal.study_state import StudyState
from orchestrator.results import from_tables
from orchestrator.results.image_shares import image_shares
from orchestrator.results.references import read_references
from orchestrator.results.tables import epochs_table, trials_table
from orchestrator.runs.paths import RunFolder
from orchestrator.text import moment
from orchestrator.views.report import sections
from orchestrator.views.report.analysis_section import analysis_sections
from orchestrator.views.report.certainty import advice_section
from orchestrator.views.report.data_section import data_section
from orchestrator.views.report.export_sections import formats_section, mistakes_section
from orchestrator.views.report.front_section import front_section
from orchestrator.views.report.history_section import fleet_section, rungs_section, wall_section
from orchestrator.views.report.markup import text
from orchestrator.views.report.style import CSS, DRAW
from trainables.files.whole import write_whole

_SECTIONS = (
    sections.page_header,
    sections.leaderboard_section,
    front_section,
    lambda findings: advice_section(findings.advice),
    sections.metrics_section,
    sections.curves_section,
    sections.parameters_section,
    analysis_sections,
    data_section,
    sections.augmentation_section,
    sections.exports_section,
    lambda findings: formats_section(findings.state, folder=findings.folder),
    lambda findings: mistakes_section(findings.state, folder=findings.folder),
    rungs_section,
    sections.stopped_section,
    sections.failures_section,
    sections.time_section,
    fleet_section,
    wall_section,
)
# The page may run its own scripts (plotly compiles some as it draws) and reach nothing else.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; img-src data: blob:"


def write_report(folder: RunFolder, *, state: StudyState) -> Path:
    """Writes the report of a study, also while it runs, and returns the file's path.

    Raises:
        JournalError: If the study was never opened.
    """
    header, trials = state.header, trials_table(state)
    findings = sections.Findings(
        state=state,
        folder=folder,
        trials=trials,
        epochs=epochs_table(state),
        board=from_tables.leaderboard(trials, **header.ranking),
        cost=from_tables.cost(trials, max_epochs=header.max_epochs),
        shares=image_shares(folder),
        references=tuple(read_references(folder)),
        advice=tuple(advice_of(state, folder=folder)),
    )
    body = "".join(make(findings) for make in _SECTIONS)
    footer = f"convfleet, seed {header.seed}, as of {moment(state.last_at)}"
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(header.study)} - convfleet</title>\n<style>{CSS}</style></head>\n"
        f"<body><main>\n{body}<footer>{text(footer)}</footer>\n</main>\n{_scripts(body)}</body></html>\n"
    )
    write_whole(folder.report, page)
    return folder.report


def _scripts(body: str) -> str:
    """Returns the scripts that draw the figures; an empty text for a page without figures."""
    if "data-figure=" not in body:
        return ""
    # Late: loaded only where a report is written.
    from plotly.offline import get_plotlyjs

    return f"<script>{get_plotlyjs()}</script>\n<script>{DRAW}</script>\n"
