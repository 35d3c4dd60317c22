"""Chooses by memory whether the cache keeps images decoded or in their formats, and names the folder."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trainables.data.images.images import EncodableImages, Images
from trainables.files.folders import user_cache
from trainables.specs.data import DataSpec
from trainables.specs.dataset import ImageStorage

#: The end of the names of encoded entries; a decoded entry has the bare key.
ENCODED_SUFFIX = "-encoded"
GB = 1e9
#: The most that PNG adds to pixels that it cannot compress.
_PNG_EXTRA = 1.01, 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesSize:
    """The bytes that a data set's images take.

    Attributes:
        decoded_bytes: Bytes of all splits as arrays.
        encoded_bytes: The most bytes of all splits in image formats; None where the source has arrays.
    """

    decoded_bytes: int
    encoded_bytes: int | None


def images_size(splits: Iterable[Images], *, height: int, width: int, num_channels: int) -> ImagesSize:
    """Returns the size of surveyed images that are kept with this many channels a row."""
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
    """Returns how much memory decoded images may take: the study's limit, else half of this machine's memory."""
    if spec.memory_gb is not None:
        return int(spec.memory_gb * GB)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def chosen_storage(size: ImagesSize, *, budget_bytes: int) -> ImageStorage:
    """Returns how the cache keeps images of this size.

    Images that come as arrays stay arrays: they already were in memory, and the operating system may drop the pages of
    a memory map at any time.

    >>> chosen_storage(ImagesSize(decoded_bytes=10, encoded_bytes=3), budget_bytes=9)
    'encoded'
    >>> chosen_storage(ImagesSize(decoded_bytes=10, encoded_bytes=None), budget_bytes=9)
    'decoded'
    """
    return "encoded" if size.decoded_bytes > budget_bytes and size.encoded_bytes is not None else "decoded"


def cache_folder(spec: DataSpec) -> Path:
    """Returns the folder of prepared data sets: the spec's, else CONVFLEET_CACHE, else the user's cache."""
    return Path(spec.cache_dir).expanduser().absolute() if spec.cache_dir else user_cache()


def entry_name(key: str, storage: ImageStorage) -> str:
    """Returns the folder's name for a key and a kind of storage.

    >>> entry_name("0c1d", "decoded"), entry_name("0c1d", "encoded")
    ('0c1d', '0c1d-encoded')
    """
    return key + ENCODED_SUFFIX if storage == "encoded" else key
