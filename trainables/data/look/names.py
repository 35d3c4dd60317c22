"""Names pictures to the user, whatever folder the data lies in."""

from pathlib import PurePath

_PARTS_SHOWN = 3


def shown_name(where: str) -> str:
    """Returns the last parts of a picture's place: enough to know its file, its class and its split.

    >>> shown_name("/home/me/birds/train/owl/7.png"), shown_name("a.npz: x[3]")
    ('train/owl/7.png', 'a.npz: x[3]')
    """
    return "/".join(PurePath(where).parts[-_PARTS_SHOWN:])
