"""Stops a worker before any step that it makes on a file system or in remote storage, wherever that is in the code."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from trainables.files.remote import RemoteFolder

#: What `pathlib` and `shutil` call, each a step of its own on a file system that other machines share.
ON_DISK = ("rename", "mkdir", "rmdir", "unlink", "scandir", "listdir", "stat")
REMOTE = ("files", "read", "write", "upload", "delete", "download")


@contextmanager
def before_each_step(hook: Callable[[str], None]) -> Iterator[None]:
    """Calls a function with the name of each step on files, in the thread that makes it, just before it.

    Args:
        hook: Called with a name such as `rename`.
    """
    with mock.patch.multiple(os, **{name: _hooked(getattr(os, name), name, hook) for name in ON_DISK}):
        remote = {name: _hooked(getattr(RemoteFolder, name), f"remote {name}", hook) for name in REMOTE}
        with mock.patch.multiple(RemoteFolder, **remote):
            yield


def _hooked(function: Callable[..., Any], name: str, hook: Callable[[str], None]) -> Callable[..., Any]:
    def step(*arguments: Any, **named: Any) -> Any:
        hook(name)
        return function(*arguments, **named)

    return step
