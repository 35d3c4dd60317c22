"""The one request that keeps writers of a registry in S3 from harming each other: a PUT that only one of them wins."""

import functools
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from orchestrator.errors import RegistryError
from trainables.errors import RemoteError
from trainables.files.uris import shown_uri

_TAKEN, _BEATEN, _UNKNOWN = 412, 409, (400, 405, 501)
#: Another writer's request for the same name was under way; each such answer means that one of them gets on.
_ATTEMPTS = 20
_LASTING = (401, 403, 404)


def demand_client() -> None:
    """Makes sure that the package is there which creates objects.

    Raises:
        RegistryError: If it is not.
    """
    if find_spec("boto3") is None:
        raise RegistryError("a registry in S3 needs boto3, which is not installed; pip install 'convfleet[s3]'")


def create_object(uri: str, data: bytes) -> None:
    """Writes an object that nobody has written yet.

    Args:
        uri: The object's, such as s3://bucket/registry/registry.json, with the options that pyarrow takes.
        data: Its content.

    Raises:
        FileExistsError: If there is one of that name, as another writer was first; it was not changed.
        RemoteError: If the store refuses, or does not answer.
    """
    # Late: only writers need it.
    from botocore.exceptions import BotoCoreError, ClientError

    parts = urlsplit(uri)
    client = _client(parts.query)
    for _ in range(_ATTEMPTS):
        try:
            client.put_object(Bucket=parts.netloc, Key=unquote(parts.path).lstrip("/"), Body=data, IfNoneMatch="*")
        except ClientError as exc:
            status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if status == _BEATEN:
                continue
            if status == _TAKEN:
                raise FileExistsError(shown_uri(uri)) from exc
            what = "does not create objects on a condition" if status in _UNKNOWN else "refused"
            words = f"{shown_uri(uri)}: the store {what} ({' '.join(str(exc).split())})"
            raise RemoteError(words, is_lasting=status in (*_LASTING, *_UNKNOWN)) from exc
        except BotoCoreError as exc:
            raise RemoteError(f"{shown_uri(uri)}: {' '.join(str(exc).split())}", is_lasting=False) from exc
        return
    raise RemoteError(f"{shown_uri(uri)}: other writers were first {_ATTEMPTS} times", is_lasting=False)


@functools.lru_cache(maxsize=8)
def _client(query: str) -> Any:
    """Returns the client of a store; it may be used by several threads."""
    # Late: likewise.
    import boto3
    from botocore.config import Config

    options = {name: values[-1] for name, values in parse_qs(query).items()}
    endpoint = options.get("endpoint_override")
    return boto3.client(
        "s3",
        endpoint_url=f"{options.get('scheme', 'https')}://{endpoint}" if endpoint else None,
        region_name=options.get("region"),
        config=Config(
            retries={"mode": "standard", "max_attempts": 4},
            # A bucket's own name need not be one of the network.
            s3={"addressing_style": "path"} if endpoint else {},
        ),
    )
