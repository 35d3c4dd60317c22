"""The losses and metrics of each kind of target, from the tables that a study file is checked against."""

from docstrings import code, table

from trainables.specs.targets import LOSSES, METRICS


def markdown(argument: str) -> str:
    """Returns one row a kind; the first loss and the first metric are the defaults."""
    return table(
        ["kind", "losses", "metrics"],
        ([code(kind), ", ".join(map(code, LOSSES[kind])), ", ".join(map(code, METRICS[kind]))] for kind in LOSSES),
    )
