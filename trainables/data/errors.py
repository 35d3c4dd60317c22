"""The one error that data can cause."""


class DataError(Exception):
    """Says what is wrong with the data, where, and how to mend it, in one message."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
