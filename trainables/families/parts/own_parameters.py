"""The parameters of a user's function, which note what the function reads of them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from trainables.errors import UserCodeError

#: What people call settings that the study has under another name, and where the study has them.
_USUAL_NAMES: Mapping[str, str] = {
    "lr": "space.params.learning_rate",
    "opt": "space.params.optimizer",
    "wd": "space.params.weight_decay",
    "decay": "space.params.weight_decay",
    "bs": "space.params.batch_size",
    "batch": "space.params.batch_size",
    "epochs": "schedule.max_epochs",
    "num_epochs": "schedule.max_epochs",
    "n_epochs": "schedule.max_epochs",
    "max_epochs": "schedule.max_epochs",
    "metrics": "data.targets.<name>.metrics",
    "metric": "objective.metric",
    "early_stopping": "space.params.patience",
    "clipnorm": "space.params.clip_norm",
    "clipvalue": "space.params.clip_value",
    "augment": "data.augment",
    "augmentation": "data.augment",
    "image_size": "data.image_size",
    "img_size": "data.image_size",
    "validation_split": "data.validation_fraction",
    "seed": "seed",
}


class NotingParameters(dict[str, Any]):
    """A dictionary that notes which of its entries were read; copies of it, and loops over it, read them all.

    Args:
        params: The parameters.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        self._unread = set(params)

    @property
    def unread(self) -> list[str]:
        """The names of the entries that nobody read, sorted."""
        return sorted(self._unread)

    def __getitem__(self, name: str) -> Any:
        """Returns an entry."""
        self._unread.discard(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Returns an entry, or the default."""
        self._unread.discard(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        """Takes an entry out and returns it."""
        self._unread.discard(name)
        return super().pop(name, *default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Returns an entry, which is the default from now on if there was none."""
        self._unread.discard(name)
        return super().setdefault(name, default)

    def __contains__(self, name: object) -> bool:
        """Returns whether an entry is there: a function that asks uses the answer."""
        self._unread.discard(str(name))
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        """Yields the names; what loops over them, copies or unpacks the dictionary may read each."""
        self._unread.clear()
        return super().__iter__()

    def keys(self) -> Any:
        """Returns the names."""
        self._unread.clear()
        return super().keys()

    def values(self) -> Any:
        """Returns the values."""
        self._unread.clear()
        return super().values()

    def items(self) -> Any:
        """Returns names and values."""
        self._unread.clear()
        return super().items()

    def copy(self) -> dict[str, Any]:
        """Returns a plain copy."""
        return dict(self.items())


def check_read(params: NotingParameters, *, where: str, texts: Iterable[str]) -> None:
    """Raises UserCodeError if a parameter was not read and its name stands nowhere in the user's code.

    One whose name does stand there may be read for other values of the other parameters.

    Args:
        params: What the function got and has returned from.
        where: The function's name in errors.
        texts: The texts in quotes, and other names, of the user's code.
    """
    known = set(texts)
    unread = [name for name in params.unread if name not in known]
    if not unread:
        return
    hints = [f"{name}: the study has it as {_USUAL_NAMES[name]}" for name in unread if name in _USUAL_NAMES]
    way_out = "; ".join(hints) or "read it in your function"
    raise UserCodeError(
        f"{where}: never reads {', '.join(map(repr, unread))}, so that trials would differ in name only; {way_out}, or "
        f"drop {'it' if len(unread) == 1 else 'them'} from space.params"
    )
