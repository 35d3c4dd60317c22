"""Chooses how training images are varied: by names of classes, by pixels, and by how many images there are."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from orchestrator.draft.choice import Choice
from trainables.references.mirror import MirrorTest
from trainables.specs.dataset import DatasetInfo

_FEW, _MANY = 2_000, 10_000
#: Words in names for which left and right, or up and down, are not the same.
_DIRECTIONS = frozenset(
    """
    left right up down top bottom north south east west forward backward forwards backwards clockwise counterclockwise
    anticlockwise cw ccw arrow arrows turn direction upward downward
    """.split()  # noqa: SIM905 - a list would take twenty lines
)
_SIGNS = frozenset(
    """
    digit digits letter letters character characters char chars alphabet number numbers numeral numerals text glyph
    glyphs mnist emnist kanji hiragana ocr font fonts zero one two three four five six seven eight nine
    """.split()  # noqa: SIM905 - as above
)


def augment_choice(
    dataset: DatasetInfo, *, name: str, mirror_test: Callable[[DatasetInfo], MirrorTest | None]
) -> Choice:
    """Returns the augmentation that fits.

    Args:
        dataset: The prepared data.
        name: Of the data's folder or file, which may say what the images are.
        mirror_test: Looks at mirror images, where no name says that they would show something else.
    """
    kinds = {target.kind for target in dataset.task.targets}
    number = dataset.num_train
    if "regression" in kinds:
        reason = "numbers may depend on where things are, so nothing is mirrored, moved or scaled"
        return Choice(key="data.augment", value={"brightness": 0.1, "contrast": 0.1}, reason=reason)
    names = [class_name for target in dataset.task.targets for class_name in target.class_names]
    obstacle = mirror_obstacle([*names, name] if "mask" not in kinds else [])
    tested = None if obstacle or "mask" in kinds else mirror_test(dataset)
    if tested is not None and tested.matters:
        obstacle = f"{_in_words(tested)}, so left and right differ"
    amounts: dict[str, Any] = {} if obstacle else {"flip": "horizontal"}
    words = [f"no mirror images: {obstacle}"] if obstacle else ["no class name says that left and right differ"]
    if tested is not None and not obstacle:
        words = [f"neither a class name nor the pixels say that left and right differ ({_in_words(tested)})"]
    if number < _FEW:
        amounts |= {"rotate_degrees": 10, "shift": 0.1, "zoom": 0.1}
        words.append(f"{number:,} training images are few, so each is shown turned, moved and scaled a little")
    elif number < _MANY:
        amounts |= {"shift": 0.1}
        words.append(f"{number:,} training images are shown moved a little")
    else:
        padding = max(1, min(dataset.task.input_shape[:2]) // 8)
        amounts |= {"crop_padding": padding}
        words.append(f"{number:,} training images are many: cut out anew from a border of {padding} pixels")
    return Choice(key="data.augment", value=amounts, reason="; ".join(words))


def _in_words(tested: MirrorTest) -> str:
    return (
        f"a linear guess tells {tested.upright:.2f} of {tested.count:,} validation images, and {tested.mirrored:.2f} "
        "of them mirrored"
    )


def mirror_obstacle(names: Iterable[str]) -> str:
    """Returns why mirror images would show something else; an empty text if no name says so.

    >>> mirror_obstacle(["turn_left", "turn_right"])
    "'turn_left' is a matter of direction"
    >>> mirror_obstacle(["cat", "dog"]), mirror_obstacle(["3", "7"])
    ('', "names such as '3' may be signs, and mirrored signs are others")
    """
    for name in names:
        words = set(re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))
        if words & _DIRECTIONS:
            return f"{name!r} is a matter of direction"
        if words & _SIGNS or re.fullmatch(r"\d+|[A-Za-z]|\W", name.strip()):
            return f"names such as {name!r} may be signs, and mirrored signs are others"
    return ""
