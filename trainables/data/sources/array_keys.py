"""Names of arrays: which hold a split's images and labels, and which nobody asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from trainables.data.images.images import Array
from trainables.data.sources.base import SplitName


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of a split's arrays: its lone images, its lone labels, and the pattern of named arrays."""

    images: str
    labels: str
    named: str


#: What people call each split, the most usual first.
SPLIT_WORDS: Mapping[SplitName, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("val", "validation", "valid", "dev"),
    "test": ("test", "testing"),
}
PLAIN_KEYS = (Keys("x", "y", "{}"), Keys("images", "labels", "{}"))


def _keys_of_word(word: str) -> tuple[Keys, ...]:
    return (
        Keys(f"x_{word}", f"y_{word}", f"{{}}_{word}"),
        # MedMNIST's names, and their likes.
        Keys(f"{word}_images", f"{word}_labels", f"{word}_{{}}"),
        Keys(f"images_{word}", f"labels_{word}", f"{{}}_{word}"),
        Keys(f"{word}_x", f"{word}_y", f"{word}_{{}}"),
    )


#: The possible names of a split's arrays, the most specific first.
SPLIT_KEYS: Mapping[SplitName, tuple[Keys, ...]] = {
    name: tuple(keys for word in words for keys in _keys_of_word(word)) + (PLAIN_KEYS if name == "train" else ())
    for name, words in SPLIT_WORDS.items()
}


class NamedArrays(Mapping[str, Array]):
    """Arrays by name, read when asked for; `X_train` is found as `x_train` where no other array has that name.

    Args:
        names: All names, as the file has them.
        read: Returns the array of one of the names.
    """

    def __init__(self, names: Iterable[str], read: Callable[[str], Array]) -> None:
        self._names = list(names)
        self._read = read
        self._by_lower: dict[str, list[str]] = {}
        for name in self._names:
            self._by_lower.setdefault(name.lower(), []).append(name)
        self._used: set[str] = set()

    def __contains__(self, name: object) -> bool:
        """Returns whether there is an array of this name; reads none."""
        return isinstance(name, str) and self._actual(name) is not None

    def __getitem__(self, name: str) -> Array:
        """Returns an array."""
        actual = self._actual(name)
        if actual is None:
            raise KeyError(name)
        self._used.add(actual)
        return self._read(actual)

    def __iter__(self) -> Iterator[str]:
        """Yields the names as the file has them."""
        return iter(self._names)

    def __len__(self) -> int:
        """Returns the number of arrays."""
        return len(self._names)

    def notes(self, *, where: str) -> tuple[str, ...]:
        """Returns a sentence that names the arrays which nobody asked for, if any."""
        unused = [name for name in self._names if name not in self._used]
        if not unused:
            return ()
        more = f" and {len(unused) - 10} more" if len(unused) > 10 else ""
        verb = "is" if len(unused) == 1 else "are"
        return (f"{where}: {', '.join(unused[:10])}{more} {verb} not used",)

    def _actual(self, name: str) -> str | None:
        if name in self._names:
            return name
        alike = self._by_lower.get(name.lower(), [])
        return alike[0] if len(alike) == 1 else None
