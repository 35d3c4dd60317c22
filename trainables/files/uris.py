"""URIs of runs in remote storage, such as s3://bucket/runs, checked and taken apart without pyarrow."""

from urllib.parse import SplitResult, parse_qsl, quote, urlsplit, urlunsplit

#: The schemes that pyarrow.fs.FileSystem.from_uri takes, apart from its mock.
SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs", "file")
_SECRET_WORDS = ("secret", "password", "token", "key", "credential", "signature", "sas")
_ENVIRONMENT = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "gcs": "GOOGLE_APPLICATION_CREDENTIALS",
    "abfs": "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
    "abfss": "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
}


def is_uri(text: str) -> bool:
    """Returns whether a text is a URI and not a path.

    >>> is_uri("s3://bucket/runs/quickstart"), is_uri("runs/quickstart")
    (True, False)
    """
    return "://" in text


def uri_problem(text: str) -> str:
    """Returns what is wrong with a URI, beginning with `must`, or with `credentials` if a message must not repeat it.

    >>> uri_problem("s3://bucket/runs"), uri_problem("file:///mnt/runs")
    ('', '')
    >>> uri_problem("s3:/bucket")
    'must be a URI such as s3://bucket/runs'
    """
    if not text.isprintable() or " " in text or not is_uri(text):
        return "must be a URI such as s3://bucket/runs"
    try:
        parts = urlsplit(text)
        has_password, user, host = parts.password is not None, parts.username, parts.hostname
    except ValueError:
        return "must be a URI such as s3://bucket/runs"
    names = [name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    has_secret = any(word in name for name in names for word in _SECRET_WORDS)
    if has_password or has_secret or (user is not None and parts.scheme == "s3"):
        variables = _ENVIRONMENT.get(parts.scheme, "what its client reads")
        return f"credentials do not belong here, every run keeps its study: use environment variables ({variables})"
    return _place_problem(parts, host=host)


def _place_problem(parts: SplitResult, *, host: str | None) -> str:
    if parts.scheme not in SCHEMES:
        return f"must begin with one of {', '.join(f'{scheme}://' for scheme in SCHEMES)}"
    if parts.scheme == "file" and (host or parts.path in ("", "/")):
        return "must be file:/// and an absolute path"
    if not host and parts.scheme not in ("file", "hdfs", "viewfs"):
        return f"must name a bucket, such as {parts.scheme}://bucket/runs"
    is_plain = not parts.fragment and not {".", ".."} & set(parts.path.split("/"))
    return "" if is_plain else "must have neither '#' nor '.' and '..' in its path"


def child_uri(uri: str, name: str) -> str:
    """Returns the URI of a file or folder below another.

    >>> child_uri("s3://bucket/runs/?scheme=http", "my study")
    's3://bucket/runs/my%20study?scheme=http'
    """
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{quote(name)}"))


def parent_uri(uri: str) -> tuple[str, str]:
    """Returns the URI of the folder above, and the name in it; an empty name for the root.

    >>> parent_uri("s3://bucket/runs/quickstart?scheme=http")
    ('s3://bucket/runs?scheme=http', 'quickstart')
    """
    parts = urlsplit(uri)
    above, _, name = parts.path.rstrip("/").rpartition("/")
    return urlunsplit(parts._replace(path=above)), name


def shown_uri(uri: str) -> str:
    """Returns a URI as messages show it, without its options.

    >>> shown_uri("s3://bucket/runs?endpoint_override=localhost:5000&scheme=http")
    's3://bucket/runs'
    """
    return urlunsplit(urlsplit(uri)._replace(query=""))
