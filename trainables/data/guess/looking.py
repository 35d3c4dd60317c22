"""Guesses what lies at a place and reads the sizes of its images, in a child process; nothing is decoded."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainables.data.guess.guess import DataGuess
from trainables.machine.child_process import answer_caller, ask_child
from trainables.progress import OnProgress, no_progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What lies at a place.

    Attributes:
        guess: The data section that reads it.
        sizes: (height, width) of the images, each with its number of images, the most frequent first.
        usual_size: (height, width) of the image in the middle.
        has_colour: Whether any image has colour.
        splits: The images of each split that the source has.
    """

    guess: DataGuess
    sizes: tuple[tuple[tuple[int, int], int], ...]
    usual_size: tuple[int, int]
    has_colour: bool
    splits: Mapping[str, int]

    @property
    def num_images(self) -> int:
        """The images of all splits."""
        return sum(number for _, number in self.sizes)

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> Found:
        """Returns what the child process answered."""
        guess = mapping["guess"]
        height, width = mapping["usual_size"]
        return cls(
            guess=DataGuess(data=guess["data"], reasons=guess["reasons"], notes=tuple(guess["notes"])),
            sizes=tuple(((size[0], size[1]), number) for size, number in mapping["sizes"]),
            usual_size=(height, width),
            has_colour=mapping["has_colour"],
            splits=mapping["splits"],
        )


def find_in_process(path: Path, *, label: str | None = None, on_progress: OnProgress | None = None) -> Found:
    """Returns what lies at a place.

    Args:
        path: A file or a folder.
        label: The column of the labels; None: the one that fits.
        on_progress: Receives each stage and how far it is.

    Raises:
        DataError: If nothing there can be read, or it may be read in several ways.
    """
    answer = ask_child(
        "trainables.data.guess.looking",
        {"path": str(path.absolute()), "label": label},
        what="data: the process that looks at the data",
        on_progress=on_progress or no_progress,
    )
    return Found.from_json(answer)


def main() -> int:
    """Answers one request of `find_in_process`."""
    return answer_caller(_find)


def _find(request: Any, progress: OnProgress) -> Any:
    # Late: the caller imports this module too, and the sources are slow to import.
    from trainables.data.cache.sources import SOURCES
    from trainables.data.guess.places import guess_place
    from trainables.data.images.images import survey_of
    from trainables.data.look.sizes import usual_size
    from trainables.specs.data import DataSpec

    guess = guess_place(Path(request["path"]), label=request["label"])
    spec = DataSpec.model_validate(dict(guess.data))
    raw = SOURCES[spec.source](spec, progress).read()
    progress("looking at image sizes", 0, sum(len(split.images) for split in raw.splits.values()))
    survey = survey_of([split.images for split in raw.splits.values()])
    ordered = sorted(survey.sizes.items(), key=lambda item: -item[1][0])
    return {
        "guess": asdict(guess),
        "sizes": [[list(size), number] for size, (number, _) in ordered],
        "usual_size": list(usual_size(survey)),
        "has_colour": survey.has_colour,
        "splits": {name: len(split.images) for name, split in raw.splits.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
