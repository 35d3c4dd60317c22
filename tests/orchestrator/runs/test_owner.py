"""Both files that name a run's driver keep the format of earlier versions, which must understand each other."""

import json
from dataclasses import replace

import pytest

from orchestrator.runs.owner import Owner, owner_of_heartbeat, read_owner, this_driver, write_owner
from orchestrator.runs.paths import RunFolder

#: Both formats, by example.
OWNER_FILE = {
    "token": "5f0c",
    "host": "node-a",
    "boot": "b00t",
    "pid": 17,
    "process_started_at": 4711,
    "command": ["convfleet", "run", "study.yaml"],
    "since": 1760000000.5,
    "heartbeat": 1760000020.25,
}
HEARTBEAT = {"owner": "c0ffee", "host": "node-a", "folder": "/data/runs/swept", "pid": 17, "at": 1760000020.25}


def test_owner_file_of_an_earlier_version_is_read_and_written_the_same(tmp_path):
    folder = RunFolder(tmp_path)
    folder.driver.write_text(json.dumps(OWNER_FILE))
    owner = read_owner(folder)
    assert (owner.token, owner.pid, owner.heartbeat) == ("5f0c", 17, 1760000020.25)
    write_owner(folder, replace(owner, run_token="c0ffee", folder="/data/runs/swept"))
    assert json.loads(folder.driver.read_text()) == OWNER_FILE


def test_heartbeat_of_an_earlier_version_is_read_and_written_the_same():
    owner = owner_of_heartbeat(json.dumps(HEARTBEAT).encode())
    assert owner.identity == ("c0ffee", "node-a", "/data/runs/swept")
    assert owner.folder_in_words == "process 17 on node-a, in /data/runs/swept"
    assert replace(this_driver(now=1.0), **{name: getattr(owner, name) for name in KEPT}).to_heartbeat() == HEARTBEAT


KEPT = ("run_token", "host", "folder", "pid", "heartbeat")


def test_every_field_lies_in_one_of_the_files():
    filled = Owner(token="1", host="2", boot="3", pid=4, since=5.0, heartbeat=6.0, run_token="7", folder="8")
    values = {*map(str, filled.to_json().values()), *map(str, filled.to_heartbeat().values())}
    assert values >= {"1", "2", "3", "4", "5.0", "6.0", "7", "8"}


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"\xff", b"17", b'{"owner": 1, "host": 2, "folder": 3, "pid": []}']
)
def test_damaged_heartbeat_names_nobody(data):
    assert owner_of_heartbeat(data) is None
