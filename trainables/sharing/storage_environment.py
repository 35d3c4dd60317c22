"""The driver's variables that decide how a storage is reached: a cluster's processes get them, as its nodes may not."""

import os
from collections.abc import Mapping
from pathlib import Path

#: What pyarrow's file systems and the libraries below them read, for S3, Google Cloud Storage and Azure.
NAMES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "AZURE_STORAGE_ACCOUNT",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_AUTHORITY_HOST",
    "AZURE_FEDERATED_TOKEN_FILE",
)
#: Those that name a file, which another node may not have.
_FILES = frozenset(
    {
        "AWS_CA_BUNDLE",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AZURE_FEDERATED_TOKEN_FILE",
        "GOOGLE_APPLICATION_CREDENTIALS",
    }
)


class StorageEnvironment:
    """The variables and their values, which no text of this object shows.

    Args:
        variables: By name.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)

    def __repr__(self) -> str:
        return f"StorageEnvironment({', '.join(self._variables) or 'empty'})"

    def enter(self) -> None:
        """Sets the variables in this process; one that names a file of the driver's node alone would only mislead."""
        for name, value in self._variables.items():
            if name not in _FILES or Path(value).is_file():
                os.environ[name] = value


NOTHING = StorageEnvironment({})


def storage_environment() -> StorageEnvironment:
    """Returns those that this process has."""
    return StorageEnvironment({name: os.environ[name] for name in NAMES if name in os.environ})
