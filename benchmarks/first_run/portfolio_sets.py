"""The made data sets that portfolios are found on; none of them is played by out_of_the_box.py."""

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from first_run.data_sets import DataSet, drawn

_TEST = 400


def dots(count: int = 150) -> DataSet:
    """Grey fields of 40 x 40 with one to three dots: to be counted."""

    def draw(random: np.random.Generator, label: int) -> np.ndarray:
        image = Image.fromarray(random.integers(0, 90, (40, 40), dtype=np.uint8))
        for number in range(label + 1):
            x, y = 7 + 12 * number + random.integers(-2, 3), random.integers(6, 34)
            radius = int(random.integers(2, 4))
            box = [int(x) - radius, int(y) - radius, int(x) + radius, int(y) + radius]
            ImageDraw.Draw(image).ellipse(box, fill=int(random.integers(170, 255)))
        return np.asarray(image)[..., None]

    return drawn(
        ("one", "three", "two")[:3],
        lambda random, label: draw(random, (0, 2, 1)[label]),
        counts=(count, _TEST),
        seed=21,
    )


def quadrants(count: int = 200) -> DataSet:
    """Colour fields of 32 x 32 with a disc in one of four quadrants: a matter of place."""

    def draw(random: np.random.Generator, label: int) -> np.ndarray:
        image = Image.fromarray(random.integers(0, 120, (32, 32, 3), dtype=np.uint8))
        x, y = (int(value) for value in random.integers(4, 12, 2))
        x, y = x + 16 * (label % 2), y + 16 * (label // 2)
        colour = tuple(int(value) for value in random.integers(90, 255, 3))
        ImageDraw.Draw(image).ellipse([x - 4, y - 4, x + 4, y + 4], fill=colour)
        return np.asarray(image)

    return drawn(("a", "b", "c", "d"), draw, counts=(count, _TEST), seed=22)


def angles(count: int = 240) -> DataSet:
    """Grey fields of 36 x 36 with a line in one of four directions."""

    def draw(random: np.random.Generator, label: int) -> np.ndarray:
        image = Image.fromarray(random.integers(0, 130, (36, 36), dtype=np.uint8))
        angle = np.pi * (label / 4 + random.uniform(-0.07, 0.07))
        x, y = random.uniform(13, 23, 2)
        dx, dy = 9 * np.cos(angle), 9 * np.sin(angle)
        ends = [float(value) for value in (x - dx, y - dy, x + dx, y + dy)]
        ImageDraw.Draw(image).line(ends, fill=int(random.integers(150, 235)), width=2)
        return np.asarray(image)[..., None]

    return drawn(("a", "b", "c", "d"), draw, counts=(count, _TEST), seed=23)


def rings(count: int = 300) -> DataSet:
    """Colour fields of 48 x 48 with clutter and a disc, a ring or a half ring of any colour."""

    def draw(random: np.random.Generator, label: int) -> np.ndarray:
        image = Image.fromarray(random.integers(0, 110, (48, 48, 3), dtype=np.uint8))
        pen = ImageDraw.Draw(image)
        for _ in range(3):
            x, y = (int(value) for value in random.integers(2, 44, 2))
            pen.rectangle([x, y, x + 3, y + 3], fill=tuple(int(value) for value in random.integers(80, 255, 3)))
        x, y, radius = (int(value) for value in random.integers((13, 13, 7), (35, 35, 11)))
        box, colour = [x - radius, y - radius, x + radius, y + radius], tuple(map(int, random.integers(120, 255, 3)))
        if label == 0:
            pen.ellipse(box, fill=colour)
        elif label == 1:
            start = float(random.uniform(0, 360))
            pen.arc(box, start, start + 180, fill=colour, width=3)
        else:
            pen.ellipse(box, outline=colour, width=3)
        return np.asarray(image)

    return drawn(("disc", "half", "ring"), draw, counts=(count, _TEST), seed=24)


def numerals(count: int = 2000) -> DataSet:
    """Colour fields of 24 x 24 with a drawn numeral, turned and noisy: ten classes."""

    def draw(random: np.random.Generator, label: int) -> np.ndarray:
        image = Image.new("RGB", (24, 24), tuple(int(value) for value in random.integers(0, 100, 3)))
        font = ImageFont.load_default(size=float(random.uniform(13, 20)))
        place = tuple(float(value) for value in random.uniform(9, 15, 2))
        colour = tuple(int(value) for value in random.integers(130, 255, 3))
        ImageDraw.Draw(image).text(place, str(label), fill=colour, font=font, anchor="mm")
        turned = image.rotate(float(random.uniform(-20, 20)), resample=Image.Resampling.BILINEAR)
        return np.clip(np.asarray(turned) + random.normal(0, 40, (24, 24, 3)), 0, 255).astype(np.uint8)

    return drawn(tuple("0123456789"), draw, counts=(count, _TEST), seed=25)


def weaves(count: int = 1600) -> DataSet:
    """Grey textures of 48 x 48, eight kinds: two pitches of stripes in four directions."""

    def draw(random: np.random.Generator, label: int) -> np.ndarray:
        rows, columns = np.mgrid[0:48, 0:48].astype(float)
        angle = np.pi * (label % 4 / 4 + random.uniform(-0.06, 0.06))
        pitch = (0.55, 0.95)[label // 4] * random.uniform(0.9, 1.1)
        field = np.sin((rows * np.sin(angle) + columns * np.cos(angle)) * pitch + random.uniform(0, 6))
        pixels = random.uniform(90, 160) + random.uniform(20, 60) * field + random.normal(0, 45, (48, 48))
        return np.clip(pixels, 0, 255).astype(np.uint8)[..., None]

    return drawn(tuple("abcdefgh"), draw, counts=(count, _TEST), seed=26)


def pairs(count: int = 2400) -> DataSet:
    """Colour fields of 32 x 32 with a disc and a square: which is above, below, left or right of the other."""

    def draw(random: np.random.Generator, label: int) -> np.ndarray:
        image = Image.fromarray(random.integers(0, 100, (32, 32, 3), dtype=np.uint8))
        pen = ImageDraw.Draw(image)
        apart = int(random.integers(5, 8))
        dx, dy = ((0, -apart), (0, apart), (-apart, 0), (apart, 0))[label]
        x, y = (int(value) for value in random.integers(11, 21, 2))
        colours = [tuple(int(value) for value in random.integers(120, 255, 3)) for _ in range(2)]
        pen.ellipse([x + dx - 3, y + dy - 3, x + dx + 3, y + dy + 3], fill=colours[0])
        pen.rectangle([x - dx - 3, y - dy - 3, x - dx + 3, y - dy + 3], fill=colours[1])
        return np.asarray(image)

    return drawn(("above", "below", "left", "right"), draw, counts=(count, _TEST), seed=27)


def faint_numerals(count: int = 14_000) -> DataSet:
    """Grey fields of 28 x 28 with a faint drawn numeral among strokes, turned and noisy: ten classes."""

    def draw(random: np.random.Generator, label: int) -> np.ndarray:
        image = Image.new("L", (28, 28), int(random.integers(60, 110)))
        pen = ImageDraw.Draw(image)
        for _ in range(3):
            pen.line([int(value) for value in random.integers(0, 28, 4)], fill=int(random.integers(60, 160)), width=1)
        font = ImageFont.load_default(size=float(random.uniform(14, 23)))
        place = tuple(float(value) for value in random.uniform(10, 18, 2))
        pen.text(place, str(label), fill=int(random.integers(140, 200)), font=font, anchor="mm")
        turned = image.rotate(float(random.uniform(-35, 35)), resample=Image.Resampling.BILINEAR, fillcolor=80)
        return np.clip(np.asarray(turned) + random.normal(0, 35, (28, 28)), 0, 255).astype(np.uint8)[..., None]

    return drawn(tuple("0123456789"), draw, counts=(count, 2000), seed=28)


def gatherings(count: int = 14_000) -> DataSet:
    """Colour fields of 32 x 32 with five discs, squares or crosses: which kinds are there, seven classes."""

    def draw(random: np.random.Generator, label: int) -> np.ndarray:
        image = Image.fromarray(random.integers(0, 140, (32, 32, 3), dtype=np.uint8))
        pen = ImageDraw.Draw(image)
        kinds = [kind for kind in range(3) if label + 1 >> kind & 1]
        for number in range(5):
            kind = kinds[number] if number < len(kinds) else kinds[int(random.integers(len(kinds)))]
            x, y, radius = (int(value) for value in random.integers((3, 3, 2), (29, 29, 4)))
            colour = tuple(int(value) for value in random.integers(60, 255, 3))
            if kind == 0:
                pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
            elif kind == 1:
                pen.rectangle([x - radius, y - radius, x + radius, y + radius], fill=colour)
            else:
                pen.line([x - radius, y, x + radius, y], fill=colour)
                pen.line([x, y - radius, x, y + radius], fill=colour)
        return np.asarray(image)

    return drawn(tuple("abcdefg"), draw, counts=(count, 2000), seed=29)


#: By size class of the training images: up to a thousand, more, and from ten thousand on.
SIZES: Mapping[str, Mapping[str, Callable[[], DataSet]]] = {
    "few": {"dots": dots, "quadrants": quadrants, "angles": angles, "rings": rings},
    "more": {"numerals": numerals, "weaves": weaves, "pairs": pairs, "many-rings": lambda: rings(1500)},
    "many": {"faint-numerals": faint_numerals, "gatherings": gatherings},
}
