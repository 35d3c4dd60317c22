"""The section on the formats of the exports, from their manifests."""

from orchestrator.export.acceptance import accepted_in
from orchestrator.export.exported_files import exported_files, is_worth_a_table
from orchestrator.export.format_cells import FORMAT_HEADINGS, NUMERIC_HEADINGS, format_cells
from orchestrator.journal.study_state import StudyState
from orchestrator.results.from_state import export_path
from orchestrator.runs.paths import RunFolder
from orchestrator.views.report.markup import Markup, bullets, section, table

_NOTE = (
    "Each file was loaded by its own runtime and compared with the checkpoint. Times are the median of a call on the "
    "machine that exported; formats of Keras and TensorFlow are not timed."
)


def formats_section(state: StudyState, *, folder: RunFolder) -> Markup:
    """Returns the table of formats and the file that the study accepts; nothing where there is neither.

    Args:
        state: What the journal says.
        folder: The run folder.
    """
    files = exported_files(state, folder=folder)
    accepted = accepted_in([export_path(item, folder=folder) for item in state.exports])
    if not is_worth_a_table(files) and not accepted:
        return Markup("")
    rows = table(FORMAT_HEADINGS, map(format_cells, files), numeric=NUMERIC_HEADINGS)
    return section("Formats", rows, *([bullets([accepted["words"]])] if accepted else []), note=_NOTE)
