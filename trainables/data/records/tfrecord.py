"""TFRecord files of tf.train.Example: images in image formats or as raw bytes with their sizes, and labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.data.records.shards import records_dataset, shard_notes, shards_of
from trainables.data.records.tf_examples import Values, parse_example
from trainables.data.records.tf_frames import frames
from trainables.data.sources.base import OpenedSource, content_hashes
from trainables.errors import DataError
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec

#: The features that stand for the usual column names, as TensorFlow Datasets and TF-Slim write them.
USUAL = {"image": ("image", "image/encoded", "image_raw"), "label": ("label", "image/class/label")}
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")
_CHANNELS = ("channels", "depth")


def open_tfrecord(spec: DataSpec, progress: OnProgress) -> OpenedSource:
    """Returns the records of each split's files, in the order of the files' names.

    `image_column` and `label_column` name features. Class names come from TensorFlow Datasets' <feature>.labels.txt or
    TF-Slim's labels.txt beside the training files.
    """
    shards = shards_of(spec, fits=lambda path: ".tfrecord" in path.name or ".tfrec" in path.name, what="TFRecord file")
    columns = {name: target.column or name for name, target in spec.target_specs.items()}
    names = {name: path for name, column in columns.items() if (path := _names_file(shards["train"], column))}
    files: list[tuple[str, Path]] = [(split, path) for split, paths in shards.items() for path in paths]
    files += [(f"names {name}", path) for name, path in names.items()]
    return OpenedSource(
        content=content_hashes(files, progress=progress),
        read=lambda: records_dataset(
            shards, examples, spec=spec, class_names={name: _names(path) for name, path in names.items()}
        ),
        notes=shard_notes(shards),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleRecord:
    """One tf.train.Example.

    Attributes:
        where: The file and the record's number, from 0.
        features: The values by feature.
    """

    where: str
    features: Mapping[str, Values]

    @property
    def name(self) -> str:
        """The record's place, for want of a name."""
        return self.where

    def demand_image(self, column: str) -> None:
        """Raises DataError if the record has no such image."""
        self.image(column)

    def image(self, column: str) -> bytes:
        """Returns the image as it is, or, of raw pixels with their sizes beside, as PGM or PPM."""
        name = self._feature(column)
        values = self.features[name]
        if len(values) != 1 or not isinstance(content := values[0], bytes):
            raise DataError(
                f"{self.where}: feature {name!r} has {_described(values)}, expected one image as bytes; store it as "
                "PNG or JPEG, or as raw bytes with features height, width and channels"
            )
        size = self._size(name)
        if size is None or content.startswith(_SIGNATURES[:2]):
            return content
        height, width, channels = size
        channels = channels or (len(content) // (height * width) if height * width else 0)
        if len(content) == height * width * channels and channels in (1, 3):
            return b"P%d %d %d 255\n" % (5 if channels == 1 else 6, width, height) + content
        if content.startswith(_SIGNATURES):
            return content
        raise DataError(
            f"{self.where}: feature {name!r} has {len(content)} bytes, which are no PNG or JPEG, and height {height}, "
            f"width {width} and {channels} channels need {height * width * channels} of 1 or 3 channels; write uint8 "
            "pixels (tobytes()) or encoded images"
        )

    def image_place(self, column: str) -> tuple[int, int] | None:
        """Returns None: an image stands inside a message."""
        return None

    def label(self, column: str) -> object:
        """Returns the feature's list of texts or numbers."""
        name = self._feature(column)
        return [self._text(value, name) if isinstance(value, bytes) else value for value in self.features[name]]

    def _text(self, value: bytes, name: str) -> str:
        try:
            return value.decode()
        except UnicodeDecodeError as exc:
            raise DataError(f"{self.where}: feature {name!r} is no text in UTF-8; name another feature") from exc

    def _feature(self, column: str) -> str:
        for name in USUAL.get(column, (column,)):
            if name in self.features:
                return name
        raise DataError(
            f"{self.where}: has no feature {' or '.join(map(repr, USUAL.get(column, (column,))))}, its features are "
            f"{sorted(self.features)[:12]}; name one of them: image_column, label_column or a target's column"
        )

    def _size(self, name: str) -> tuple[int, int, int] | None:
        """Returns (height, width, channels) from the features beside an image; 0 channels where none says them."""
        start = name.rpartition("/")[0]
        starts = (f"{start}/", "") if start else ("", "image/")
        for prefix in starts:
            height, width = self._number(f"{prefix}height"), self._number(f"{prefix}width")
            if height is not None and width is not None:
                counts = [count for word in _CHANNELS if (count := self._number(f"{prefix}{word}")) is not None]
                return height, width, counts[0] if counts else 0
        return None

    def _number(self, name: str) -> int | None:
        values = self.features.get(name, [])
        return values[0] if len(values) == 1 and isinstance(values[0], int) and values[0] >= 0 else None


def examples(path: Path) -> Iterator[ExampleRecord]:
    """Yields the records of a file.

    Raises:
        DataError: If the file is damaged, or a record is no tf.train.Example.
    """
    for number, content in enumerate(frames(path)):
        where = f"{path} record {number}"
        yield ExampleRecord(where=where, features=parse_example(content, where=where))


def _described(values: Values) -> str:
    return f"{len(values)} values" + (f" of type {type(values[0]).__name__}" if values else "")


def _names_file(files: Sequence[Path], column: str) -> Path | None:
    folder = files[0].parent
    for name in (f"{column.replace('/', '-')}.labels.txt", "labels.txt"):
        if (folder / name).is_file():
            return folder / name
    return None


def _names(path: Path) -> list[str]:
    """Returns the class names of a file: one a line, or `0:daisy` with the numbers from 0 in order."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as exc:
        raise DataError(f"{path}: cannot be read as text: {exc}; write a class name a line, or remove it") from exc
    names = [line for line in lines if line]
    if all(line.partition(":")[0] == str(number) for number, line in enumerate(names)):
        names = [line.partition(":")[2].strip() for line in names]
    if not names or len(set(names)) != len(names):
        raise DataError(f"{path}: expected different class names, one a line, got {names[:5]}; correct or remove it")
    return names
