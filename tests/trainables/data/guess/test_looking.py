"""What is said of images that lie somewhere, before a study of them is drafted."""

from pathlib import Path

import numpy as np
from PIL import Image

from trainables.data.guess.looking import Found, _find
from trainables.data.sources import class_folders


def test_files_of_class_folders_are_looked_at_and_not_hashed(tmp_path: Path, monkeypatch) -> None:
    def fail(*_args, **_kwargs):
        raise AssertionError("files are hashed where the cache is looked up")

    monkeypatch.setattr(class_folders, "content_hashes", fail)
    for number, (height, width) in enumerate([(8, 8), (8, 8), (12, 9), (8, 8)]):
        folder = tmp_path / "ab"[number % 2]
        folder.mkdir(exist_ok=True)
        pixels = np.full((height, width, 3), [10 * number, 20, 30], np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    found = Found.from_json(_find({"path": str(tmp_path), "label": None}, lambda *_: None))
    assert found.num_images == 4
    assert found.sizes == (((8, 8), 3), ((12, 9), 1))
    assert (found.usual_size, found.has_colour, dict(found.splits)) == ((8, 8), True, {"train": 4})
