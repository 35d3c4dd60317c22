"""What a server is made with; it travels to the replicas as plain values, and holds no secret."""

import hashlib
import hmac
import os
import re
import secrets
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.text import shown

#: Names and addresses of this machine that only programs of this machine can reach.
LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: A shorter token could be guessed.
_LEAST_TOKEN_LETTERS, _MOST_TOKEN_BYTES = 16, 4096
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(B|KB|MB|GB|KiB|MiB|GiB)")
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSettings:
    """What a server answers with, and its limits.

    Attributes:
        registry: The registry's folder.
        memory_bytes: Of files of models that stay loaded, in each replica; None: all.
        token_sha256: Of the token that every request must carry; None: none must.
        most_body_bytes: The largest body of a request.
        most_requests: How many requests with a body a replica has in hand at once; others are refused with 429.
        most_images: How many images a batch has, unless one request alone has more.
        poll_seconds: How long a promotion may stay unseen.
    """

    registry: str
    memory_bytes: float | None = None
    token_sha256: str | None = None
    most_body_bytes: int = 16 * 2**20
    most_requests: int = 64
    most_images: int = 64
    poll_seconds: float = 1.0


def is_loopback(host: str) -> bool:
    """Returns whether only programs of this machine reach a server that listens on a host.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    return host in LOOPBACK


def demand_free(host: str, port: int) -> None:
    """Makes sure that a server can listen at a place.

    Raises:
        InputError: If it cannot, as another one does.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except (OSError, UnicodeError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise InputError(
            f"--host {host} --port {port}: cannot listen there ({reason}); end what does, or name another port"
        ) from exc


def parsed_size(text: str, *, option: str) -> int:
    """Returns the bytes of a size such as 2GiB or 500MB.

    >>> parsed_size("2GiB", option="--memory"), parsed_size("1.5 MB", option="--memory")
    (2147483648, 1500000)

    Args:
        text: A number and its unit.
        option: What errors call it.

    Raises:
        InputError: If it is no size above 0.
    """
    found = _SIZE.fullmatch(text.strip())
    num_bytes = int(float(found[1]) * _UNITS[found[2]]) if found else 0
    if num_bytes <= 0:
        raise InputError(
            f"{option}: must be a number above 0 and one of {', '.join(_UNITS)}, got {shown(text)}; for example 2GiB"
        )
    return num_bytes


def new_token() -> str:
    """Returns a token that nobody can guess."""
    return secrets.token_urlsafe(32)


def token_of(path: Path) -> str:
    """Returns the token in a file that only its owner may read.

    Raises:
        InputError: If the file is missing, others may read it, or it holds no token.
    """
    make = f"make one: (umask 077; openssl rand -hex 32 > {path})"
    try:
        # Of the file that is read, not of one that took its name meanwhile.
        with open(path, "rb", opener=_at_once) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise InputError(f"--token-file: {path} is not a file; {make}")
            content = file.read(_MOST_TOKEN_BYTES + 1)
    except OSError as exc:
        raise InputError(f"--token-file: {path} cannot be read ({exc.strerror}); {make}") from exc
    if facts.st_mode & 0o077:
        mode = stat.S_IMODE(facts.st_mode)
        raise InputError(f"--token-file: others may read {path}, its mode is {mode:o}; chmod 600 {path}")
    try:
        token = content.decode("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if not _LEAST_TOKEN_LETTERS <= len(token) <= _MOST_TOKEN_BYTES or not token.isprintable() or " " in token:
        raise InputError(
            f"--token-file: {path} must hold one line of {_LEAST_TOKEN_LETTERS} to {_MOST_TOKEN_BYTES} ASCII letters "
            f"without spaces; {make}"
        )
    return token


def sha256_of(token: str) -> str:
    """Returns what servers know of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def is_token(given: bytes, *, token_sha256: str) -> bool:
    """Returns whether a token is the right one, in a time that does not tell how much of it is."""
    return hmac.compare_digest(hashlib.sha256(given).hexdigest(), token_sha256)


def _at_once(path: str, flags: int) -> int:
    # Otherwise opening a pipe waits for a writer.
    return os.open(path, flags | os.O_NONBLOCK)
