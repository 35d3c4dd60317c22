"""Which URIs a run may be kept under: said before anything is opened, and never with a secret repeated."""

import subprocess
import sys

import pytest

from trainables.files.uris import uri_problem

GOOD = [
    "s3://bucket",
    "s3://bucket/runs?endpoint_override=localhost:5000&scheme=http&region=eu-west-1",
    "gs://bucket/runs",
    "gs://anonymous@bucket/runs",
    "abfs://container@account.dfs.core.windows.net/runs",
    "hdfs://someone@namenode:8020/runs",
    "hdfs:///runs",
    "file:///mnt/runs",
]

BAD = {
    "runs": "must be a URI such as s3://bucket/runs",
    "s3:/bucket/runs": "must be a URI such as s3://bucket/runs",
    "s3://my bucket/runs": "must be a URI such as s3://bucket/runs",
    "s3://[/runs": "must be a URI such as s3://bucket/runs",
    "ftp://host/runs": "must begin with one of s3://, gs://",
    "s3:///runs": "must name a bucket, such as s3://bucket/runs",
    "file://host/runs": "must be file:/// and an absolute path",
    "s3://bucket/../other": "must have neither '#' nor '.' and '..'",
    "s3://bucket/runs#1": "must have neither '#'",
}

SECRET = [
    "s3://AKIA123:hunter2@bucket/runs",
    "s3://hunter2@bucket/runs",
    "hdfs://someone:hunter2@namenode/runs",
    "ftp://someone:hunter2@host/runs",
    "s3://bucket/runs?secret_key=hunter2",
    "s3://bucket/runs?Access_Key=hunter2",
    "s3://bucket/runs?X-Amz-Signature=hunter2",
    "abfs://container@account/runs?client_secret=hunter2",
]


@pytest.mark.parametrize("uri", GOOD)
def test_uri_that_pyarrow_takes_is_right(uri):
    assert uri_problem(uri) == ""


@pytest.mark.parametrize(("uri", "complaint"), BAD.items())
def test_uri_that_cannot_be_right_is_told(uri, complaint):
    assert uri_problem(uri).startswith(complaint)


@pytest.mark.parametrize("uri", SECRET)
def test_credentials_are_refused_and_not_repeated(uri):
    complaint = uri_problem(uri)
    assert complaint.startswith("credentials do not belong here")
    assert "environment variables" in complaint
    assert "hunter2" not in complaint


def test_checking_a_uri_does_not_import_pyarrow():
    code = "import sys; from trainables.files.uris import uri_problem; uri_problem('s3://b'); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pyarrow" not in told.split()
