"""The essential part of report.html as a picture: numbers, learning curves and best trials from a run's tables."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from convfleet import StudyResult
from orchestrator.results import from_tables, words
from orchestrator.results.from_state import count_states
from orchestrator.text import duration, number
from orchestrator.views.report.figures import learning_curves

WIDTH, MARGIN = 960, 24
NUM_RANKS, ROW_HEIGHT = 5, 26
#: Where the curves are drawn: left, top, width, height.
PLOT = (76, 218, 850, 190)
BOARD_TOP = 500
#: Where a column of the board stands, and whether its text ends there.
COLUMNS = {
    "rank": (62, True),
    "trial": (84, False),
    "state": (150, False),
    "best": (316, True),
    "at epoch": (392, True),
}
VARIANT = 416
MAX_VARIANT_CHARACTERS = 68

STYLE = """
  :root { --page: #f6f7f9; --card: #ffffff; --ink: #1c2330; --soft: #5d6675; --line: #d5dae2; --good: #157347; }
  @media (prefers-color-scheme: dark) {
    :root { --page: #12151b; --card: #1a1f28; --ink: #e5e9f0; --soft: #98a2b3; --line: #2c3340; --good: #5bd19a; }
  }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--ink); }
  .page { fill: var(--page); } .card { fill: var(--card); stroke: var(--line); }
  .soft { fill: var(--soft); font-size: 12px; } .good { fill: var(--good); font-weight: 600; }
  .title { font-size: 22px; font-weight: 600; } .big { font-size: 20px; font-weight: 600; }
  .heading { font-size: 15px; font-weight: 600; } .grid { stroke: var(--line); }
  .curve { fill: none; stroke-linejoin: round; }
"""


def report_picture(result: StudyResult) -> str:
    """Returns the picture as an SVG, in light or dark colours as its reader prefers."""
    height = BOARD_TOP + ROW_HEIGHT * (NUM_RANKS + 1) + 40
    header = result.state.header
    label = f"Report of the study {header.study}: its best value, learning curves and best trials"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(label)}">',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="10"/>',
        headed(MARGIN, 44, header.study, note=words.objective(metric=header.metric, mode=header.mode), kind="title"),
        *cards(result),
        *curves(result),
        *board(result),
        text(
            MARGIN,
            height - 14,
            "Drawn from the tables of one run; report.html shows this and more, to hover and to filter.",
            kind="soft",
        ),
    ]
    return "\n".join([*parts, "</svg>"])


def text(x: float, y: float, shown: str, *, kind: str = "", is_end: bool = False) -> str:
    """Returns a line of text that begins, or ends, at x."""
    anchor = ' text-anchor="end"' if is_end else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}"{anchor}>{escape(shown)}</text>'


def headed(x: float, y: float, heading: str, *, note: str, kind: str) -> str:
    """Returns a heading and, behind it, a note."""
    return (
        f'<text x="{x}" y="{y}"><tspan class="{kind}">{escape(heading)}</tspan>'
        f'<tspan class="soft" dx="12">{escape(note)}</tspan></text>'
    )


def cards(result: StudyResult) -> Iterator[str]:
    """Yields the most important numbers, side by side."""
    header, cost = result.state.header, from_tables.cost(result.trials, max_epochs=result.state.header.max_epochs)
    best = result.leaderboard(1).to_pylist()[0]
    counts = words.state_counts_in_words(count_states(list(result.state.trials.values())))
    facts = [
        (
            f"best {header.metric}",
            number(best[f"best_{header.metric}"]),
            f"{best['trial']} at epoch {best['best_epoch']}",
        ),
        ("trials", str(result.trials.num_rows), counts),
        ("time in training steps", duration(cost.train_seconds), f"{cost.trial_epochs} epochs trained"),
        ("epochs saved", str(cost.epochs_saved), "by stopping trials early"),
    ]
    width = (WIDTH - 2 * MARGIN - 3 * 12) / 4
    for index, (name, value, note) in enumerate(facts):
        left = MARGIN + index * (width + 12)
        yield f'<rect class="card" x="{left}" y="62" width="{width}" height="88" rx="8"/>'
        yield text(left + 14, 84, name, kind="soft")
        yield text(left + 14, 112, value, kind="big")
        yield text(left + 14, 136, note, kind="soft")


def curves(result: StudyResult) -> Iterator[str]:
    """Yields the objective by epoch, a line a trial, as the report's figure has them."""
    header, left, top, width, height = result.state.header, *PLOT
    figure = learning_curves(result.trials, epochs=result.epochs, board=result.leaderboard(), metric=header.metric)
    traces: Sequence[Mapping[str, Any]] = figure["data"] if figure else []
    values = [value for trace in traces for value in trace["y"]]
    low, high = math.floor(min(values) * 10) / 10, math.ceil(max(values) * 10) / 10

    def at(epoch: float, value: float) -> tuple[float, float]:
        across = (epoch - 1) / max(1, header.max_epochs - 1)
        return left + width * across, top + height * (high - value) / (high - low)

    note = f"{words.with_split(header.metric)} by epoch; stopped trials are dimmer"
    yield f'<rect class="card" x="{MARGIN}" y="164" width="{WIDTH - 2 * MARGIN}" height="{height + 92}" rx="8"/>'
    yield headed(MARGIN + 14, 192, "Learning curves", note=note, kind="heading")
    for step in range(5):
        value = low + (high - low) * step / 4
        y = at(1, value)[1]
        yield f'<line class="grid" x1="{left}" x2="{left + width}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield text(left - 10, y + 4, f"{value:.3g}", kind="soft", is_end=True)
    for epoch in range(1, header.max_epochs + 1):
        yield text(at(epoch, low)[0] + 4, top + height + 20, str(epoch), kind="soft", is_end=True)
    for trace in traces:
        yield from curve(trace, [at(*point) for point in zip(trace["x"], trace["y"], strict=True)])
    named = [trace for trace in reversed(traces) if trace["showlegend"]]
    for index, trace in enumerate(named):
        y = top + height - 20 - 20 * (len(named) - index - 1)
        colour = trace["line"]["color"]
        x = left + width - 110
        yield f'<line x1="{x}" x2="{x + 24}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="3"/>'
        yield text(x + 32, y + 4, trace["name"])


def curve(trace: Mapping[str, Any], points: Sequence[tuple[float, float]]) -> Iterator[str]:
    """Yields a trial's line with a dot for each report."""
    colour, opacity, size = trace["line"]["color"], trace["opacity"], trace["marker"]["size"] / 2
    shape = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<g opacity="{opacity}"><polyline class="curve" points="{shape}" stroke="{colour}" stroke-width="2"/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}"/>' for x, y in points)
    yield "</g>"


def board(result: StudyResult) -> Iterator[str]:
    """Yields the best trials, best first."""
    metric = result.state.header.metric
    width, height = WIDTH - 2 * MARGIN, ROW_HEIGHT * (NUM_RANKS + 1) + 12
    yield f'<rect class="card" x="{MARGIN}" y="{BOARD_TOP - 28}" width="{width}" height="{height}" rx="8"/>'
    for name, (x, is_end) in COLUMNS.items():
        yield text(x, BOARD_TOP - 6, f"best {metric}" if name == "best" else name, kind="soft", is_end=is_end)
    yield text(VARIANT, BOARD_TOP - 6, "variant", kind="soft")
    for index, row in enumerate(result.leaderboard(NUM_RANKS).to_pylist()):
        y = BOARD_TOP + ROW_HEIGHT * (index + 1) - 4
        yield f'<line class="grid" x1="{MARGIN + 14}" x2="{WIDTH - MARGIN - 14}" y1="{y - 18}" y2="{y - 18}"/>'
        cells = [str(row["rank"]), row["trial"], row["state"], number(row[f"best_{metric}"]), str(row["best_epoch"])]
        for cell, (name, (x, is_end)) in zip(cells, COLUMNS.items(), strict=True):
            yield text(x, y, cell, kind="good" if name == "best" and not index else "", is_end=is_end)
        yield text(VARIANT, y, variant(result, row), kind="soft")


def variant(result: StudyResult, row: Mapping[str, Any]) -> str:
    """Returns a trial's family and varying parameters, shortened to what a row holds."""
    names = [name.removeprefix(from_tables.PARAMETER_PREFIX) for name in from_tables.varying_columns(result.trials)]
    params = result.state.trials[row["trial"]].variant.params
    line = f"{row['family']} {words.parameters(params, names=names)}"
    return line if len(line) <= MAX_VARIANT_CHARACTERS else f"{line[: MAX_VARIANT_CHARACTERS - 1]}…"
