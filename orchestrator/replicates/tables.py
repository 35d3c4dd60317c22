"""What training variants again has shown, as columns of the leaderboard."""

from collections.abc import Sequence

import pyarrow as pa

from orchestrator.replicates.from_state import Replicated

_MEAN = "replicate_mean"


def with_intervals(board: pa.Table, found: Sequence[Replicated]) -> pa.Table:
    """Returns a leaderboard with the ends of the means' intervals, `replicate_low` and `replicate_high`.

    Args:
        board: As `from_tables.leaderboard` returns it; it stays as it is where it has no means.
        found: What training some of its trials again has shown.
    """
    if _MEAN not in board.column_names:
        return board
    intervals = {item.trial: item.interval for item in found if item.interval is not None}
    ends = [intervals.get(name) for name in board["trial"].to_pylist()]
    for place, name in enumerate(("replicate_low", "replicate_high")):
        column = pa.array([None if pair is None else pair[place] for pair in ends], pa.float64())
        board = board.add_column(board.column_names.index(_MEAN) + 1 + place, name, column)
    return board
