"""The parameters of how a variant is trained, from the catalog."""

from parameter_table import parameter_table

from trainables.catalog.training import TRAINING


def markdown(argument: str) -> str:
    """Returns the table of the parameters that every family has."""
    return parameter_table(TRAINING)
