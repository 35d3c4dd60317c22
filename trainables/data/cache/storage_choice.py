"""Whether a data set's images are kept decoded or as they came, which is a question of memory; and where."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trainables.data.images.images import EncodableImages, Images
from trainables.specs.data import DataSpec
from trainables.specs.dataset import ImageStorage

#: What the names of encoded entries end in; a decoded one has the bare key.
ENCODED_SUFFIX = "-encoded"
GB = 1e9
#: What PNG adds to pixels that it cannot compress.
_PNG_EXTRA = 1.01, 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesSize:
    """Is how much room a data set's images take.

    Attributes:
        decoded_bytes: Of all splits as arrays.
        encoded_bytes: Of all splits in image formats at most; None where the source has arrays.
    """

    decoded_bytes: int
    encoded_bytes: int | None


def images_size(splits: Iterable[Images], *, height: int, width: int, num_channels: int) -> ImagesSize:
    """Returns the size of surveyed images that are kept with so many channels a row."""
    listed = list(splits)
    num_images = sum(map(len, listed))
    decoded = num_images * height * width * num_channels
    if not all(isinstance(images, EncodableImages) for images in listed):
        return ImagesSize(decoded_bytes=decoded, encoded_bytes=None)
    factor, extra = _PNG_EXTRA
    ceiling = int(decoded * factor) + num_images * extra
    files = sum(images.num_bytes for images in listed if isinstance(images, EncodableImages))
    return ImagesSize(decoded_bytes=decoded, encoded_bytes=min(files, ceiling))


def memory_budget_bytes(spec: DataSpec) -> int:
    """Returns how much memory decoded images may take: as the study says, else half of this machine's."""
    if spec.memory_gb is not None:
        return int(spec.memory_gb * GB)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def chosen_storage(size: ImagesSize, *, budget_bytes: int) -> ImageStorage:
    """Returns how images of this size are kept.

    Arrays stay arrays: they were in memory to be read, and the system may drop a memory map's pages at any time.

    >>> chosen_storage(ImagesSize(decoded_bytes=10, encoded_bytes=3), budget_bytes=9)
    'encoded'
    >>> chosen_storage(ImagesSize(decoded_bytes=10, encoded_bytes=None), budget_bytes=9)
    'decoded'
    """
    return "encoded" if size.decoded_bytes > budget_bytes and size.encoded_bytes is not None else "decoded"


def cache_folder(spec: DataSpec) -> Path:
    """Returns where decoded data sets are kept: the spec's folder, else CONVFLEET_CACHE, else the user's cache."""
    chosen = spec.cache_dir or os.environ.get("CONVFLEET_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache").absolute() / "convfleet"


def entry_name(key: str, storage: ImageStorage) -> str:
    """Returns the name of the folder with this key's images, kept like this.

    >>> entry_name("0c1d", "decoded"), entry_name("0c1d", "encoded")
    ('0c1d', '0c1d-encoded')
    """
    return key + ENCODED_SUFFIX if storage == "encoded" else key
