"""The connection to a cluster's jobs: Ray's job submission SDK over the address of the dashboard."""

import logging
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from orchestrator.cluster.token import MODE, has_token, refused_in_words, token_in_words
from orchestrator.errors import InputError, StudyFailedError
from orchestrator.forking.ray_workers import read_settings_again

#: Where a dashboard listens on the head, unless it is told another place.
LOCAL = "http://127.0.0.1:8265"
#: Of ray[default], what this side of the connection needs and ray[tune] does not bring.
_PACKAGES = ("aiohttp", "requests", "smart_open", "opencensus", "prometheus_client", "aiohttp_cors")
_ANSWER_SECONDS = 10
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
_UNAUTHORIZED, _FORBIDDEN = 401, 403
#: These would override the address that the user gives.
_OVERRIDING = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")


def demand_cluster_packages() -> None:
    """Checks that what jobs and the dashboard need is installed.

    Raises:
        InputError: If it is not.
    """
    if missing := missing_packages():
        verb = "is" if len(missing) == 1 else "are"
        raise InputError(
            f"jobs on a cluster need {', '.join(missing)}, which {verb} not installed; pip install 'convfleet[cluster]'"
        )


def missing_packages() -> list[str]:
    """Returns what jobs and the dashboard need and is not installed."""
    return [name for name in _PACKAGES if find_spec(name) is None]


def http_address(address: str) -> str:
    """Returns the HTTP address of a dashboard; `auto` is the head's own, and http:// may be left out.

    >>> http_address("auto"), http_address("head:8265/"), http_address("https://ray.example")
    ('http://127.0.0.1:8265', 'http://head:8265', 'https://ray.example')

    Args:
        address: As the user wrote it.

    Raises:
        InputError: If it is none.
    """
    if address == "auto":
        return LOCAL
    whole = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(whole)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_one = False
    if not is_one or parts.username is not None:
        raise InputError(
            f"ADDRESS: expected that of a Ray dashboard, such as {LOCAL} or head:8265, got {address!r}; `ray start "
            "--head` prints it"
        )
    return whole.rstrip("/")


def connected(address: str) -> Any:
    """Returns the SDK's client of a cluster, which has the token if the cluster asks for one.

    Args:
        address: As `http_address` returns it.

    Raises:
        InputError: If a package is missing, or the token is missing or not the cluster's.
        StudyFailedError: If no dashboard answers.
    """
    demand_cluster_packages()
    _reach_directly(address)
    if _status_of(address) in (_UNAUTHORIZED, _FORBIDDEN):
        _use_token(address)
    from ray.job_submission import JobSubmissionClient

    # The SDK says of each upload and connection that it is made.
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    for name in ("ray.dashboard.modules.job.sdk", "ray.dashboard.modules.dashboard_sdk"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _own_address():
        try:
            return JobSubmissionClient(address)
        except Exception as exc:
            # From ConnectionError to RuntimeError, as the server and its version have it.
            raise refusal_of(exc, address=address) from exc


@contextmanager
def answering(address: str) -> Iterator[None]:
    """Puts what the SDK raises meanwhile into words: of many kinds, as the server and its version have it.

    Args:
        address: Of the cluster's dashboard.

    Raises:
        InputError: What was asked for is not there, or is wrong.
        StudyFailedError: The cluster does not answer.
    """
    try:
        yield
    except Exception as exc:
        raise refusal_of(exc, address=address) from exc


def refusal_of(exc: Exception, *, address: str) -> InputError | StudyFailedError:
    """Returns an error of the SDK in words.

    Args:
        exc: What it raised.
        address: The cluster's.
    """
    said = str(exc).strip() or type(exc).__name__
    first = said.splitlines()[0]
    if "authentication" in said.lower():
        return InputError(f"{address}: {refused_in_words(said)}")
    if "does not exist" in said:
        return InputError(f"{address}: {first.rpartition(': ')[2]}; `convfleet jobs list {address}` shows those there")
    return StudyFailedError(f"{address}: {first}; check the head with `ray status`, and try again")


def is_plain_text(address: str) -> bool:
    """Returns whether what is sent to an address can be read on its way there."""
    parts = urlsplit(address)
    return parts.scheme == "http" and (parts.hostname or "") not in _THIS_MACHINE


def _status_of(address: str) -> int:
    """Returns the HTTP status of a dashboard's answer to a question without a token."""
    try:
        with urllib.request.urlopen(f"{address}/api/version", timeout=_ANSWER_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        return exc.code
    except (OSError, ValueError, urllib.error.URLError) as exc:
        reason = getattr(exc, "reason", None) or exc
        raise StudyFailedError(
            f"{address}: no Ray dashboard answers ({reason}); on the head, install 'convfleet[cluster]' before `ray "
            "start --head`; from another machine, tunnel to it: ssh -N -L 8265:127.0.0.1:8265 HEAD, and launch on "
            f"{LOCAL}"
        ) from exc


def _use_token(address: str) -> None:
    mode = os.environ.get(MODE, "")
    if mode.lower() not in ("", "token"):
        raise InputError(f"{address}: the cluster wants a token, and {MODE} is {mode}: set {MODE}=token")
    if not has_token():
        raise InputError(
            f"{address}: the cluster wants a token, and there is {token_in_words()}: copy ~/.ray/auth_token of the "
            "head there, and chmod 600 it"
        )
    if not mode:
        os.environ[MODE] = "token"
        read_settings_again()


@contextmanager
def _own_address() -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in _OVERRIDING if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _reach_directly(address: str) -> None:
    """Keeps a proxy, which would get the token, out of the way to this machine."""
    host = urlsplit(address).hostname or ""
    if host in _THIS_MACHINE:
        for name in ("NO_PROXY", "no_proxy"):
            os.environ[name] = ",".join(filter(None, [os.environ.get(name, ""), host]))
