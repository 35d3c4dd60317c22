"""Shapes that are in alpha alone are laid on a ground that shows them; other pictures keep their hidden colours."""

import numpy as np
import pytest
from PIL import Image, ImageDraw


def shape(number, *, ink, hidden, mode="RGBA", size=16):
    """A disc or a bar of one ink; what lies under the transparent pixels is `hidden`."""
    alpha = Image.new("L", (size, size), 0)
    draw = ImageDraw.Draw(alpha)
    if number % 2:
        draw.rectangle((2, 6, 13, 6 + number % 5), fill=255)
    else:
        draw.ellipse((3, 3, 9 + number % 4, 9 + number % 4), fill=255)
    colours = Image.new("RGB", (size, size), hidden)
    colours.paste(Image.new("RGB", (size, size), ink), mask=alpha)
    picture = colours.convert("RGB")
    picture.putalpha(alpha)
    return picture.convert(mode), np.asarray(alpha) > 0


def write(root, pictures, *, suffix="png", **options):
    for row, picture in enumerate(pictures):
        name = ("bar", "disc")[row % 2]
        (root / name).mkdir(parents=True, exist_ok=True)
        picture.save(root / name / f"{row:02}.{suffix}", **options)
    return str(root)


def stored(prepare, path, **fields):
    decoded, streamed = (
        prepare(source="images", path=path, allow_overlap=True, **fields, **more) for more in ({}, {"memory_gb": 0})
    )
    images = np.asarray(decoded.train.images)
    assert np.array_equal(streamed.train.images[np.arange(len(images))], images)
    assert streamed.info.fingerprint == decoded.info.fingerprint
    return images, decoded.info


def in_order(items):
    """Pictures in the order of the classes' folders."""
    return [*items[0::2], *items[1::2]]


@pytest.mark.parametrize(
    ("ink", "ground"),
    [((0, 0, 0), 255), ((10, 4, 9), 255), ((255, 255, 255), 0), ((130, 130, 130), 0)],
)
@pytest.mark.parametrize("kind", ["RGBA png", "LA png", "RGBA tif", "RGBA webp"])
def test_ink_on_transparent_ground_is_laid_on_the_ground_that_shows_it(ink, ground, kind, tmp_path, prepare):
    mode, suffix = kind.split()
    made = [shape(number, ink=ink, hidden=ink, mode=mode) for number in range(8)]
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    path = write(tmp_path / "icons", [picture for picture, _ in made], suffix=suffix, **options)
    images, info = stored(prepare, path)
    for pixels, shown in zip(images, in_order([shown for _, shown in made]), strict=True):
        assert (pixels[~shown] == ground).all()
        level = Image.new("RGB", (1, 1), ink).convert("L").getpixel((0, 0))
        assert (pixels[shown] == (level if mode == "LA" else ink)).all()
    assert info.pixel_rule.ground == (ground,) * 3
    assert "without it, 8 of 8 transparent training images lose their shapes" in " ".join(info.notes)


def test_black_and_white_inks_together_get_a_ground_between_them(tmp_path, prepare):
    inks = [(0, 0, 0), (0, 0, 0), (255, 255, 255), (255, 255, 255)]
    made = [shape(number, ink=inks[number % 4], hidden=inks[number % 4])[0] for number in range(8)]
    _, info = stored(prepare, write(tmp_path / "icons", made))
    assert info.pixel_rule.ground == (128, 128, 128)


@pytest.mark.parametrize(
    "hidden",
    [(255, 255, 255), (90, 200, 40)],
)
def test_colours_that_carry_the_shape_are_kept_and_the_alpha_named(hidden, tmp_path, prepare):
    made = [shape(number, ink=(0, 0, 0), hidden=hidden)[0] for number in range(8)]
    images, info = stored(prepare, write(tmp_path / "icons", made))
    assert info.pixel_rule.ground is None
    assert np.array_equal(images, np.stack([np.asarray(picture)[..., :3] for picture in in_order(made)]))
    assert "8 of 8 images" in " ".join(info.notes)
    assert "have alpha, which is dropped: the colours under the transparent pixels of 8 training" in " ".join(
        info.notes
    )


def test_photos_with_transparent_parts_keep_their_hidden_colours(tmp_path, prepare):
    generator = np.random.default_rng(3)
    photos = [Image.fromarray(generator.integers(0, 256, (16, 16, 4), dtype=np.uint8)) for _ in range(8)]
    images, info = stored(prepare, write(tmp_path / "photos", photos))
    assert np.array_equal(images, np.stack([np.asarray(photo)[..., :3] for photo in in_order(photos)]))
    assert info.pixel_rule.ground is None


def test_opaque_alpha_changes_nothing_and_needs_no_word(tmp_path, prepare, made):
    photos = [Image.fromarray(pixels) for pixels in made.pictures(8)]
    for photo in photos:
        photo.putalpha(255)
    images, info = stored(prepare, write(tmp_path / "photos", photos))
    assert np.array_equal(images, np.stack([np.asarray(photo)[..., :3] for photo in in_order(photos)]))
    assert "alpha" not in " ".join(info.notes)


@pytest.mark.parametrize(
    ("background", "ground"),
    [("white", (255, 255, 255)), ("black", (0, 0, 0)), (90, (90, 90, 90)), ((1, 2, 3), (1, 2, 3))],
)
def test_ground_of_the_study_lies_under_every_transparent_pixel(background, ground, tmp_path, prepare):
    made = [shape(number, ink=(200, 10, 10), hidden=(0, 99, 0)) for number in range(8)]
    images, info = stored(prepare, write(tmp_path / "icons", [picture for picture, _ in made]), background=background)
    for pixels, shown in zip(images, in_order([shown for _, shown in made]), strict=True):
        assert (pixels[~shown] == ground).all()
        assert (pixels[shown] == (200, 10, 10)).all()
    assert info.pixel_rule.ground == ground


def test_dropped_alpha_shows_the_hidden_colours_also_where_shapes_vanish(tmp_path, prepare):
    made = [shape(number, ink=(9, 9, 9), hidden=(9, 9, 9))[0] for number in range(8)]
    images, info = stored(prepare, write(tmp_path / "icons", made), background="drop", pixel_range="full")
    assert (images == 9).all()
    assert "have alpha, which is dropped (data.background: drop)" in " ".join(info.notes)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_transparent_colour_of_a_palette_is_laid_on_the_ground(suffix, tmp_path, prepare):
    pictures = []
    for number in range(8):
        indices = np.zeros((16, 16), np.uint8)
        indices[2 : 4 + number % 4, 3:9] = 1
        picture = Image.frombytes("P", (16, 16), indices.tobytes())
        picture.putpalette([0, 0, 0, 0, 0, 0, *range(3, 9)])
        pictures.append((picture, indices))
    root = write(tmp_path / "icons", [picture for picture, _ in pictures], suffix=suffix, transparency=0)
    images, info = stored(prepare, root)
    for pixels, indices in zip(images, in_order([indices for _, indices in pictures]), strict=True):
        assert (pixels[indices == 0] == 255).all()
        assert (pixels[indices == 1] == 0).all()
    assert info.pixel_rule.ground == (255, 255, 255)


def test_alpha_of_parquet_bytes_of_sixteen_bits_is_laid_on_the_ground(tmp_path, prepare, made):
    cv2 = pytest.importorskip("cv2")
    contents = []
    for number in range(8):
        shown = shape(number, ink=(0, 0, 0), hidden=(0, 0, 0))[1]
        wide = np.zeros((16, 16, 4), np.uint16)
        wide[..., 3] = np.where(shown, 65535, 0)
        contents.append(cv2.imencode(".png", wide)[1].tobytes())
    path = made.write_parquet(tmp_path / "a.parquet", images=contents, labels=np.arange(8) % 2)
    data = prepare(source="parquet", train=str(path), allow_overlap=True)
    assert data.info.pixel_rule.ground == (255, 255, 255)
    for number, pixels in enumerate(np.asarray(data.train.images)):
        shown = shape(number, ink=(0, 0, 0), hidden=(0, 0, 0))[1]
        assert (pixels[shown] == 0).all()
        assert (pixels[~shown] == 255).all()


@pytest.mark.parametrize("background", ["grey", 256, -1, (1, 2), True])
def test_ground_that_is_no_colour_is_refused(background, prepare):
    with pytest.raises(ValueError, match="background"):
        prepare(source="digits", background=background)
