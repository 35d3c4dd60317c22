"""How certain results are: the reference rows, what luck added, and a study whose best does not beat the former."""

from collections.abc import Sequence

from orchestrator.advice.advice import Advice
from orchestrator.journal.study_state import StudyState
from orchestrator.replicates.words import replicate_notes
from orchestrator.results import words
from orchestrator.results.image_shares import ImageShares, chance_notes
from orchestrator.results.references import Reference, shown_metrics, verdict
from orchestrator.views.report.markup import Cell, Markup, bullets, section, table, text

INTERVAL = "95 % interval"
TIED_NOTE = (
    " The interval is Wilson's, by the number of images; trials whose intervals overlap with that of the first are "
    "tied with it (1=)."
)
MEAN = "replicates' mean"
AGAIN_NOTE = (
    " Trials that were trained again come first, by the mean over their replicates, with Student's "
    "interval of 95 % and the number of replicates; those whose intervals overlap with that of the first are tied with "
    "it (1=)."
)
_REFERENCES_NOTE = "What simple guesses reach on the same data; they look at no image, or at small pixels alone."


def verdict_line(state: StudyState, references: Sequence[Reference], *, shares: ImageShares) -> Markup:
    """Returns the sentence for a study whose best trial does not beat the reference rows; empty markup otherwise."""
    sentence = verdict(state, references, shares=shares)
    if not sentence:
        return Markup("")
    return Markup(f'<p class="lead"><strong>{text(sentence[0].upper() + sentence[1:])}.</strong></p>')


def certainty_parts(state: StudyState, references: Sequence[Reference], *, shares: ImageShares) -> list[Markup]:
    """Returns what stands below the leaderboard; nothing for runs of versions that kept nothing of it."""
    notes = [*replicate_notes(state), *chance_notes(state, shares)]
    parts = [bullets(notes)] if notes else []
    names = shown_metrics(references, metric=state.header.metric)
    if names:
        headings = ["reference", *map(words.with_split, names)]
        rows: list[list[Cell]] = [
            [row.name, *(row.shares(shares).in_words(name, row.metrics.get(name), is_named=False) for name in names)]
            for row in references
        ]
        note = Markup(f'<p class="note">{text(_REFERENCES_NOTE)}</p>')
        parts += [note, table(headings, rows, numeric=headings[1:])]
    return parts


def advice_section(advice: Sequence[Advice]) -> Markup:
    """Returns what the results suggest to try next; no section without advice."""
    if not advice:
        return Markup("")
    return section("Advice", bullets(item.text for item in advice))
