"""The losses and metrics of each kind of target, from the tables that a study file is checked against."""

from docstrings import code, table

from trainables.specs.targets import AVERAGES, LOSSES, METRICS


def markdown(argument: str) -> str:
    """Returns one row a kind, or with the argument `averages` one row a metric of each kind.

    The first loss and the first metric of a kind are its defaults.
    """
    if argument == "averages":
        return table(
            ["kind", "metric", "is the"],
            ([code(kind), code(name), AVERAGES[kind][name]] for kind in METRICS for name in METRICS[kind]),
        )
    return table(
        ["kind", "losses", "metrics"],
        ([code(kind), ", ".join(map(code, LOSSES[kind])), ", ".join(map(code, METRICS[kind]))] for kind in LOSSES),
    )
