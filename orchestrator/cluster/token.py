"""Ray's token: where it lies, who may read it, and what is wrong where a cluster refuses one."""

import os
import socket
import stat
from pathlib import Path

#: The variables that Ray takes its mode and its token from.
MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
PRIVATE_MODE = 0o600
_CONNECT_SECONDS = 5
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def token_file() -> Path:
    """Returns the file that Ray reads its token from, unless `RAY_AUTH_TOKEN` has it; it may not exist."""
    return Path(os.environ.get(TOKEN_PATH) or Path.home() / ".ray" / "auth_token").expanduser()


def token_problem() -> str:
    """Returns what is wrong with the file of Ray's token, and the fix; an empty text where nothing is.

    `ray get-auth-token --generate` leaves it readable for everybody.
    """
    path = token_file()
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    if not mode & _OTHERS:
        return ""
    return f"{path}: others may read Ray's token (mode {stat.S_IMODE(mode):04o}); chmod 600 {path}"


def has_token() -> bool:
    """Returns whether this process has a token for Ray."""
    return bool(os.environ.get(TOKEN)) or token_file().is_file()


def protect_token() -> None:
    """Takes the token that Ray made, perhaps long ago, from everybody but its owner."""
    path = token_file()
    if path.is_file() and path.stat().st_uid == os.getuid():
        path.chmod(PRIVATE_MODE)


def token_in_words() -> str:
    """Returns where this process has its token from, without the token."""
    if os.environ.get(TOKEN):
        return f"that of {TOKEN}"
    path = token_file()
    return f"that of {path}" if path.is_file() else f"none, as there is no {path}"


def refused_in_words(said: str, *, address: str = "") -> str:
    """Returns which of mode, token and port is wrong where a cluster did not let this process in, and the fix.

    Args:
        said: What Ray said, which may not name the reason.
        address: The cluster's, `host:port`; empty: it is not looked at.
    """
    mode = os.environ.get(MODE, "")
    copy = f"copy ~/.ray/auth_token of the head to {token_file()}, and chmod 600 it"
    wants = "the cluster wants a token"
    if "authentication" not in said.lower():
        if not _is_listening(address):
            return (
                f"check `ray status` there and the port; {MODE} is {mode or 'not set'}, the token is {token_in_words()}"
            )
        wants = "something listens there, and a Ray that does not answer wants a token"
    if mode.lower() != "token":
        return f"{wants}, and {MODE} is {mode or 'not set'}: set {MODE}=token"
    if not has_token():
        return f"{wants}, and there is {token_in_words()}: {copy}"
    return f"{wants}: {MODE} is token, but the token, {token_in_words()}, is not the cluster's: {copy}"


def _is_listening(address: str) -> bool:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return False
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError):
        return False
    return True
