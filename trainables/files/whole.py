"""Files that appear whole or not at all."""

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file so that a reader sees the old content or the new, never a part.

    A missing folder is made. The file outlives a power loss and belongs to its owner alone.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, content, is_durable=True)


def replace_file(path: Path, content: str | bytes, *, is_durable: bool, mode: int | None = None) -> None:
    """Writes a file in an existing folder so that a reader sees the old content or the new, never a part.

    Args:
        is_durable: Whether the content is flushed to the disk before the file takes its name. A killed process loses
            nothing either way; after a power loss, a file that was not flushed may be empty.
        mode: The file's permissions, whatever the umask; None: its owner may read and write it.
    """
    data = content.encode() if isinstance(content, str) else content
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if is_durable:
                file.flush()
                os.fsync(file.fileno())
        if mode is not None:
            Path(draft).chmod(mode)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
