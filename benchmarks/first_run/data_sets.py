"""Data sets that differ in size, channels, side, classes and balance: made, shipped with packages, or CIFAR-10's.

Each is what somebody may bring: uint8 images of one size, a folder for each class. Test images are many where they can
be made, so that intervals are narrow. Every set is drawn from a fixed seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

#: Whom a class of LETTERS is called by.
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FEW_CLASSES, _FEW_IMAGES = (0, 1, 8, 9), 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Images and their classes.

    Attributes:
        images: uint8, (n, height, width, channels), 0-255.
        labels: int, (n,), numbers of class names in their alphabetical order.
    """

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """What every contestant is given, and what its models are judged on."""

    class_names: tuple[str, ...]
    train: Split
    test: Split


Maker = Callable[[Path | None], DataSet]


def shapes(data: Path | None) -> DataSet:
    """180 drawn shapes of 64 x 48 on noise, three classes: the first folder that somebody tries."""
    names = ("circle", "cross", "square")
    return drawn(names, lambda random, label: _shape(random, names[label]), counts=(180, 300), seed=1)


def defects(data: Path | None) -> DataSet:
    """600 grey surfaces of 64 x 64, one in twelve of them scratched: unequal classes."""
    shares = (1 / 12, 11 / 12)
    return drawn(("scratched", "sound"), _surface, counts=(600, 600), seed=2, shares=shares)


def arrows(data: Path | None) -> DataSet:
    """800 arrows of 32 x 32 in four directions: mirror images are of another class."""
    return drawn(("down", "left", "right", "up"), _arrow, counts=(800, 800), seed=3)


def textures(data: Path | None) -> DataSet:
    """1,000 textures of 128 x 128 in colour, five kinds of stripes and grain."""
    names = ("checks", "coarse", "fine", "grain", "stripes")
    return drawn(names, lambda random, label: _texture(random, names[label]), counts=(1000, 500), seed=4)


def letters(data: Path | None) -> DataSet:
    """5,200 letters of 28 x 28 in grey, turned, moved and noisy: 26 classes."""
    return drawn(tuple(LETTERS), _letter, counts=(5200, 2600), seed=5)


def digits(data: Path | None) -> DataSet:
    """scikit-learn's 1,797 handwritten digits of 8 x 8."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 8, 8, 1) * 255 / 16).round().astype(np.uint8)
    order = np.random.default_rng(6).permutation(len(labels))
    return DataSet(
        class_names=tuple("0123456789"),
        train=Split(images=images[order[:1347]], labels=labels[order[:1347]]),
        test=Split(images=images[order[1347:]], labels=labels[order[1347:]]),
    )


def patches(data: Path | None) -> DataSet:
    """400 patches of 48 x 48 of scikit-learn's two photos; those for the test come from elsewhere in each."""
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(7)
    photos = load_sample_images().images
    parts = {name: ([], []) for name in ("train", "test")}
    for label, photo in enumerate(photos):
        border = photo.shape[1] * 2 // 3
        for name, low, high in (("train", 0, border), ("test", border, photo.shape[1])):
            for _ in range(200):
                top, left = random.integers(photo.shape[0] - 48), random.integers(low, high - 48)
                parts[name][0].append(photo[top : top + 48, left : left + 48])
                parts[name][1].append(label)
    train, test = (Split(images=np.stack(images), labels=np.array(labels)) for images, labels in parts.values())
    return DataSet(class_names=("china", "flower"), train=train, test=test)


def few_photos(data: Path | None) -> DataSet:
    """120 photos of 32 x 32 of four of CIFAR-10's classes, and its 4,000 test photos of these."""
    whole = cifar10(data)
    train, test = (
        [np.flatnonzero(split.labels == label)[:limit] for label in _FEW_CLASSES]
        for split, limit in ((whole.train, _FEW_IMAGES), (whole.test, None))
    )
    return DataSet(
        class_names=tuple(whole.class_names[label] for label in _FEW_CLASSES),
        train=_of_classes(whole.train, train),
        test=_of_classes(whole.test, test),
    )


def cifar10(data: Path | None) -> DataSet:
    """CIFAR-10: 50,000 photos of 32 x 32, ten classes."""
    import io

    import pyarrow.parquet as pq

    if data is None:
        raise FileNotFoundError("--data: give the folder of cifar10-train.parquet and cifar10-test.parquet")
    splits = []
    for name in ("train", "test"):
        table = pq.read_table(data / f"cifar10-{name}.parquet", columns=["image", "label"])
        column = table["image"].to_pylist()
        stored = [value["bytes"] if isinstance(value, dict) else value for value in column]
        pixels = np.stack([np.asarray(Image.open(io.BytesIO(value)).convert("RGB")) for value in stored])
        splits.append(Split(images=pixels, labels=table["label"].to_numpy()))
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    return DataSet(class_names=names, train=splits[0], test=splits[1])


#: From few images to many; those before the fourth are run with several seeds.
DATA_SETS: dict[str, Maker] = {
    "few-photos": few_photos,
    "shapes": shapes,
    "patches": patches,
    "defects": defects,
    "arrows": arrows,
    "textures": textures,
    "digits": digits,
    "letters": letters,
    "cifar10": cifar10,
}


def write(dataset: DataSet, folder: Path) -> None:
    """Writes a data set as an npz file of arrays and as folders of PNG files, one for each class of each split."""
    folder.mkdir(parents=True)
    arrays = {
        f"{kind}_{name}": getattr(split, field)
        for name, split in (("train", dataset.train), ("test", dataset.test))
        for kind, field in (("x", "images"), ("y", "labels"))
    }
    np.savez(folder / "arrays.npz", **arrays)
    for name, split in (("train", dataset.train), ("test", dataset.test)):
        for class_name in dataset.class_names:
            (folder / "images" / name / class_name).mkdir(parents=True)
        for number, (pixels, label) in enumerate(zip(split.images, split.labels, strict=True)):
            path = folder / "images" / name / dataset.class_names[label] / f"{number:05}.png"
            Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path, compress_level=1)


def _of_classes(split: Split, rows: list[np.ndarray]) -> Split:
    labels = np.concatenate([np.full(len(found), label) for label, found in enumerate(rows)])
    return Split(images=split.images[np.concatenate(rows)], labels=labels)


def drawn(
    names: tuple[str, ...],
    draw: Callable[[np.random.Generator, int], np.ndarray],
    *,
    counts: tuple[int, int],
    seed: int,
    shares: tuple[float, ...] = (),
) -> DataSet:
    """Returns as many drawn images as counts say, of all classes alike or in their shares."""
    random = np.random.default_rng(seed)
    splits = []
    for count in counts:
        each = [round(count * share) for share in shares] or [count // len(names)] * len(names)
        labels = np.repeat(np.arange(len(names)), each)
        images = np.stack([draw(random, int(label)) for label in labels])
        splits.append(Split(images=images, labels=labels))
    return DataSet(class_names=names, train=splits[0], test=splits[1])


def _shape(random: np.random.Generator, name: str) -> np.ndarray:
    image = Image.fromarray(random.integers(0, 90, (64, 48, 3), dtype=np.uint8))
    pen = ImageDraw.Draw(image)
    x, y, size = (int(value) for value in random.integers((12, 14, 6), (36, 50, 11)))
    colour = tuple(int(value) for value in random.integers(120, 255, 3))
    box = [x - size, y - size, x + size, y + size]
    if name == "circle":
        pen.ellipse(box, fill=colour)
    elif name == "square":
        pen.rectangle(box, fill=colour)
    else:
        pen.line([x - size, y, x + size, y], fill=colour, width=4)
        pen.line([x, y - size, x, y + size], fill=colour, width=4)
    return np.asarray(image)


def _surface(random: np.random.Generator, label: int) -> np.ndarray:
    slope = np.linspace(0, random.uniform(-40, 40), 64)
    pixels = 128 + slope[:, None] + random.normal(0, 14, (64, 64))
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if label == 0:
        angle, length = random.uniform(0, np.pi), random.uniform(12, 30)
        x, y = random.uniform(16, 48, 2)
        step = np.array([np.cos(angle), np.sin(angle)]) * length / 2
        ends = [x - step[0], y - step[1], x + step[0], y + step[1]]
        ImageDraw.Draw(image).line([float(end) for end in ends], fill=int(random.integers(190, 235)), width=1)
    return np.asarray(image)[..., None]


def _arrow(random: np.random.Generator, label: int) -> np.ndarray:
    image = Image.fromarray(random.integers(0, 80, (32, 32, 3), dtype=np.uint8))
    x, y, size = (int(value) for value in random.integers((10, 10, 5), (22, 22, 9)))
    along, across = (((0, 1), (1, 0)), ((-1, 0), (0, 1)), ((1, 0), (0, 1)), ((0, -1), (1, 0)))[label]
    colour = tuple(int(value) for value in random.integers(130, 255, 3))
    tip, tail = ((x + sign * size * along[0], y + sign * size * along[1]) for sign in (1, -1))
    pen = ImageDraw.Draw(image)
    pen.line([tail, tip], fill=colour, width=2)
    half = size // 2 + 1
    wings = [
        (tip[0] - half * along[0] + sign * half * across[0], tip[1] - half * along[1] + sign * half * across[1])
        for sign in (1, -1)
    ]
    pen.polygon([tip, *wings], fill=colour)
    return np.asarray(image)


def _texture(random: np.random.Generator, name: str) -> np.ndarray:
    rows, columns = np.mgrid[0:128, 0:128].astype(float)
    angle, phase = random.uniform(0, np.pi), random.uniform(0, 6)
    across = rows * np.sin(angle) + columns * np.cos(angle)
    along = rows * np.cos(angle) - columns * np.sin(angle)
    if name == "stripes":
        field = np.sin(across * random.uniform(0.5, 0.9) + phase)
    elif name == "checks":
        pitch = random.uniform(0.5, 0.9)
        field = np.sin(across * pitch + phase) * np.sin(along * pitch)
    else:
        cell = {"grain": 1, "fine": 4, "coarse": 12}[name]
        side = -(-128 // cell)
        small = Image.fromarray(random.normal(0, 1, (side, side)).astype(np.float32))
        field = np.asarray(small.resize((128, 128), Image.Resampling.BICUBIC))
    first, second = random.uniform(40, 215, (2, 3))
    mixed = 1 / (1 + np.exp(-2 * field))[..., None]
    pixels = first * mixed + second * (1 - mixed) + random.normal(0, 20, (128, 128, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _letter(random: np.random.Generator, label: int) -> np.ndarray:
    image = Image.new("L", (28, 28))
    font = ImageFont.load_default(size=float(random.uniform(15, 22)))
    place = (14 + random.uniform(-3, 3), 14 + random.uniform(-3, 3))
    ImageDraw.Draw(image).text(place, LETTERS[label], fill=int(random.integers(110, 255)), font=font, anchor="mm")
    turned = image.rotate(float(random.uniform(-18, 18)), resample=Image.Resampling.BILINEAR)
    pixels = np.asarray(turned).astype(float) + random.normal(0, 35, (28, 28))
    return np.clip(pixels, 0, 255).astype(np.uint8)[..., None]
