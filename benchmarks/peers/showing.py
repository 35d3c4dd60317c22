"""What a comparison prints: the table, and what convfleet's own tables tell about its workers."""

from collections.abc import Sequence

from peers.tables import Outcome, summarise, told

_COLUMNS = (
    "peer",
    "rounds",
    "wall, s",
    "from",
    "to",
    "CPU, s",
    "convfleet / peer",
    "floor / wall",
    "trials an hour",
)
_KIND = "overhead_seconds."


def show_table(outcomes: Sequence[Outcome], *, title: str, num_trials: int, floor_seconds: float) -> None:
    """Prints a row a peer: medians over the rounds that count."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*_COLUMNS, title=title)
    for row in summarise(outcomes):
        table.add_row(
            row.peer,
            f"{row.num_rounds}" + (f" ({row.num_failed} failed)" if row.num_failed else ""),
            *(told(value) for value in (row.wall_seconds, row.fastest, row.slowest, row.cpu_seconds)),
            told(row.ratio, digits=2),
            told(floor_seconds / row.wall_seconds, digits=2),
            told(3600 * num_trials / row.wall_seconds, digits=0),
        )
    Console(width=150).print(table)


def efficiency_line(outcome: Outcome, *, floor_seconds: float) -> str:
    """Returns where a round's time went by the run's own tables; empty where they tell nothing."""
    details = outcome.details or {}
    if complaint := details.get("no_efficiency"):
        return f"round {outcome.round} {outcome.peer}: its tables could not be read: {complaint}"
    shares = details.get("worker_shares")
    if not shares:
        return ""
    kinds = {name.removeprefix(_KIND): value for name, value in details.items() if name.startswith(_KIND)}
    seconds = {"train": details["train_seconds"], **kinds}
    return (
        f"round {outcome.round} {outcome.peer}: floor / wall {floor_seconds / outcome.wall_seconds:.2f}; "
        f"{details['workers']} workers, once warm {shares['busy']:.2f} of their time in train and validation steps "
        f"({shares['whole']:.2f} counting the wait for the last one); seconds: "
        + ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
    )
