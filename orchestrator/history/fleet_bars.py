"""A fleet's timeline as a limited number of bars: neighbours that are too short to see become one."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.history.fleet_timeline import FleetTimeline, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetBar:
    """One bar of a lane.

    Attributes:
        lane: The place of the worker in the timeline's lanes.
        kind: What most of its time was spent on.
        start: When it begins, seconds since 1970.
        end: When it ends.
        trials: Whose time it is, in order.
        num_spans: How many spans became this bar.
    """

    lane: int
    kind: str
    start: float
    end: float
    trials: tuple[str, ...]
    num_spans: int


def fleet_bars(timeline: FleetTimeline, *, most: int) -> list[FleetBar]:
    """Returns the bars of a timeline, by lane, then by time.

    Spans of one kind and trial that touch become one bar. Where that leaves too many, so do neighbours that together
    are no longer than a time which grows until the bars are few enough; what passed between them counts to the bar.

    Args:
        timeline: Of a study.
        most: How many bars at most; a lane has at least one, also where there are more lanes than that.
    """
    lanes: dict[int, list[Span]] = defaultdict(list)
    for span in timeline.spans:
        lanes[span.lane].append(span)
    shortest = 0.0
    whole = timeline.end - timeline.start
    while True:
        bars = [bar for spans in lanes.values() for bar in _merged(spans, shortest=shortest)]
        if len(bars) <= max(most, len(lanes)) or shortest > whole:
            return bars
        shortest = max(2 * shortest, whole * len(lanes) / (4 * max(1, most)), 1e-6)


def _merged(spans: Sequence[Span], *, shortest: float) -> Iterator[FleetBar]:
    group: list[Span] = []
    for span in spans:
        if group and not _belongs(group, span, shortest=shortest):
            yield _bar(group)
            group = []
        group.append(span)
    if group:
        yield _bar(group)


def _belongs(group: Sequence[Span], span: Span, *, shortest: float) -> bool:
    first, last = group[0], group[-1]
    is_more = first.kind == last.kind == span.kind and last.trial == span.trial and last.end == span.start
    return is_more or span.end - first.start <= shortest


def _bar(group: Sequence[Span]) -> FleetBar:
    seconds: dict[str, float] = defaultdict(float)
    for span in group:
        seconds[span.kind] += span.end - span.start
    return FleetBar(
        lane=group[0].lane,
        kind=max(seconds, key=lambda kind: seconds[kind]),
        start=group[0].start,
        end=group[-1].end,
        trials=tuple(dict.fromkeys(span.trial for span in group)),
        num_spans=len(group),
    )
