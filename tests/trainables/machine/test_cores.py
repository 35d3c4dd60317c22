"""Cores of a worker's own: chosen by NUMA node, disjoint among processes, free again when a process dies."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from trainables.machine import cores
from trainables.machine.cores import CoreLocks, chosen_cores, numa_nodes

TAKES_AND_WAITS = """
import os, sys
from trainables.machine.cores import cores_in_words, pin_process
held = pin_process(float(sys.argv[1]))
threads = {frozenset(os.sched_getaffinity(int(thread))) for thread in os.listdir("/proc/self/task")}
assert threads == {frozenset(held)} or not held, threads
print(cores_in_words(held) or "none", len(os.sched_getaffinity(0)), flush=True)
sys.stdin.read()
"""
needs_two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")


@pytest.fixture
def system(tmp_path):
    """Writes a kernel's folder of devices: nodes by number, and which cores are hardware threads of one."""

    def write(nodes, *, siblings=()):
        for number, text in nodes.items():
            folder = tmp_path / f"node/node{number}"
            folder.mkdir(parents=True)
            (folder / "cpulist").write_text(f"{text}\n")
        for text in siblings:
            for core in cores.parse_cores(text):
                folder = tmp_path / f"cpu/cpu{core}/topology"
                folder.mkdir(parents=True)
                (folder / "thread_siblings_list").write_text(f"{text}\n")
        return tmp_path

    return write


@pytest.fixture
def start(tmp_path):
    """Starts a worker that pins itself, with a folder for temporary files that only this test's workers use."""
    started = []

    def begin(cpus):
        process = subprocess.Popen(
            [sys.executable, "-c", TAKES_AND_WAITS, str(cpus)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        started.append(process)
        held, num_allowed = process.stdout.readline().split()
        return process, held, int(num_allowed)

    yield begin
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


LAYOUTS = [
    ("one node", {0: "0-3"}, (), range(4), [[0, 1, 2, 3]]),
    ("two nodes, in the order of their numbers", {10: "4-5", 2: "0-1"}, (), range(8), [[0, 1], [4, 5], [2, 3, 6, 7]]),
    ("a container's part of them", {0: "0-3", 1: "4-7"}, (), [2, 3, 5], [[2, 3], [5]]),
    ("a node without any of ours", {0: "0-3", 1: "4-7"}, (), [5], [[5]]),
    ("a node with memory alone", {0: "0-1", 1: ""}, (), range(2), [[0, 1]]),
    ("second hardware threads last", {0: "0-3"}, ("0-1", "2-3"), range(4), [[0, 2, 1, 3]]),
    ("threads numbered apart", {0: "0-3"}, ("0,2", "1,3"), range(4), [[0, 1, 2, 3]]),
    ("a system that does not tell", {}, (), [3, 1], [[1, 3]]),
]


@pytest.mark.parametrize(("nodes", "siblings", "allowed", "expected"), [case[1:] for case in LAYOUTS])
def test_cores_are_told_by_node(nodes, siblings, allowed, expected, system):
    assert numa_nodes(allowed=allowed, system=system(nodes, siblings=siblings)) == expected


@pytest.mark.parametrize(
    ("free", "count", "expected"),
    [
        ([[0, 1], [4, 5, 6]], 2, [4, 5]),  # of the emptiest, where memory is asked for the least
        ([[0, 1], [4, 5]], 2, [0, 1]),
        ([[0], [4, 5]], 3, [4, 5, 0]),  # nowhere do they fit
        ([[0], [4]], 3, []),
        ([], 1, []),
    ],
)
def test_a_workers_cores_lie_on_one_node_where_they_fit(free, count, expected):
    assert chosen_cores(free, count) == expected


def test_processes_never_hold_the_same_core(tmp_path):
    nodes = [[0, 1, 2, 3], [4, 5, 6, 7]]
    workers = [CoreLocks(tmp_path / "cores") for _ in range(5)]
    held = [worker.take(2, nodes=nodes) for worker in workers]
    assert sorted(held[:4]) == [(0, 1), (2, 3), (4, 5), (6, 7)]
    assert held[4] == workers[4].held == ()
    workers[1].release()
    assert workers[4].take(2, nodes=nodes) == held[1]


def test_too_few_free_cores_are_left_to_others(tmp_path):
    first, second, third = (CoreLocks(tmp_path / "cores") for _ in range(3))
    first.take(2, nodes=[[0, 1, 2]])
    assert second.take(2, nodes=[[0, 1, 2]]) == ()
    assert third.take(1, nodes=[[0, 1, 2]]) == (2,)


def test_none_goes_without_while_others_choose(tmp_path):
    workers = [CoreLocks(tmp_path / "cores") for _ in range(8)]
    threads = [threading.Thread(target=worker.take, args=(2,), kwargs={"nodes": [range(16)]}) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(core for worker in workers for core in worker.held) == list(range(16))


@needs_two_cores
def test_workers_keep_every_thread_to_cores_of_their_own(start):
    count = len(os.sched_getaffinity(0))
    told = [start(1)[1:] for _ in range(count + 1)]
    assert {int(held) for held, _ in told[:-1]} == os.sched_getaffinity(0)
    assert {num_allowed for _, num_allowed in told[:-1]} == {1}
    assert told[-1] == ("none", count)  # no core is free: wherever the system puts it


@needs_two_cores
def test_a_killed_workers_core_is_free_again(start):
    count = len(os.sched_getaffinity(0))
    workers = [start(1) for _ in range(count)]
    process, core, _ = workers[0]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert start(1)[1:] == (core, 1)


@pytest.mark.parametrize("cpus", [0.5, 1.5, 10_000])
def test_a_share_that_is_no_set_of_free_cores_leaves_a_worker_as_it_is(cpus, start):
    assert start(cpus)[1:] == ("none", len(os.sched_getaffinity(0)))


#: In a process of its own: what other tests leave of logging and of cores is none of its business.
OF_ANOTHER_USER = """
import logging, os, sys
from pathlib import Path
from trainables.machine import cores
logging.basicConfig(format="%(message)s", stream=sys.stdout)
folder = Path(sys.argv[1])
cores._own = cores.CoreLocks(folder)
os.getuid = lambda: folder.stat().st_uid + 1
before = os.sched_getaffinity(0)
assert cores.pin_process(1) == ()
assert os.sched_getaffinity(0) == before
"""


def test_another_users_folder_is_not_used(tmp_path):
    command = [sys.executable, "-c", OF_ANOTHER_USER, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f'cores unpinned reason="{tmp_path} belongs to another user"\n'
    assert list(tmp_path.iterdir()) == []
