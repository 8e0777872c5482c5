"""One driver a run: on a disk by a lock, in a bucket by a lease. Real processes against a server that speaks S3."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ray import tune

from search import Random, Results, RunError, Search
from search.run_folder import RunFolder
from search.running import lease as leases
from search.running.journal import Journal
from search.running.lease import Lease, Lock, TakenOver, is_driven

EVERY = 0.4

# A driver that notes an event at every line it is given, and says how that went.
DRIVER = """
import sys
from search.run_folder import RunFolder
from search.running.journal import Journal
from search.running.lease import Lease

folder = RunFolder.open(sys.argv[1])
journal = Journal(folder.patient(), Lease(folder, every=float(sys.argv[2]), settle=0.1))
print("began", flush=True)
for line in sys.stdin:
    journal.append({"event": "start", "trial": line.strip()})
    journal.flush()
    print("noted", flush=True)
journal.close()
print("closed", flush=True)
"""


@pytest.fixture(scope="module")
def bucket() -> Iterator[Callable[[str], RunFolder]]:
    """Makes a run of a name in a bucket."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        place = f"endpoint_override={quote(f'http://127.0.0.1:{port}', safe='')}&scheme=http&allow_bucket_creation=true"
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as server:

            def make(name: str) -> RunFolder:
                folder = RunFolder.open(f"s3://runs/{name}?{place}")
                folder.patient().fs.create_dir(folder.root)
                return folder

            yield make
            os.killpg(server.pid, signal.SIGKILL)


class Driver:
    """A driver in a process of its own."""

    def __init__(self, folder: RunFolder) -> None:
        command = [sys.executable, "-c", DRIVER, folder.address, str(EVERY)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def said(self) -> str:
        return self.process.stdout.readline().strip()

    def note(self, trial: str) -> str:
        print(trial, file=self.process.stdin, flush=True)
        return self.said()


@pytest.fixture
def drive() -> Iterator[Callable[[RunFolder], Driver]]:
    """Starts drivers; none outlives the test."""
    started: list[Driver] = []

    def begin(folder: RunFolder) -> Driver:
        started.append(Driver(folder))
        assert started[-1].said() == "began"
        return started[-1]

    yield begin
    for driver in started:
        with driver.process:  # closes its pipes
            driver.process.kill()


def noted(folder: RunFolder) -> list[str]:
    journal = Journal(folder)
    return [event["trial"] for event in journal.read()]


def test_a_driver_that_lives_keeps_others_out_of_a_bucket(
    bucket: Callable[[str], RunFolder], drive: Callable[[RunFolder], Driver]
) -> None:
    folder, told = bucket("lives"), []
    first = drive(folder)
    with pytest.raises(RunError, match=rf"still going on, by host {socket.gethostname()}, pid {first.process.pid}\."):
        Lease(folder, told.append, every=EVERY, settle=0.1)
    assert "waiting 1.2 s to be sure that it is gone" in told[0]
    assert first.note("a") == "noted"
    first.process.stdin.close()
    assert first.said() == "closed"

    # It let go of the run: nobody needs to wait.
    told.clear()
    second = Lease(folder, told.append, every=EVERY, settle=0.1)
    assert told == []
    second.release()


def test_the_run_of_a_driver_that_was_killed_elsewhere_is_taken_over_after_a_while(
    bucket: Callable[[str], RunFolder], drive: Callable[[RunFolder], Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, told = bucket("killed"), []
    first = drive(folder)
    first.note("a")
    first.process.kill()
    first.process.wait()
    monkeypatch.setattr(leases, "_processes", lambda: "another machine")
    began = time.monotonic()
    second = Lease(folder, told.append, every=EVERY, settle=0.1)
    assert time.monotonic() - began > 3 * EVERY
    assert f"The driver on {socket.gethostname()} that had this run was last seen " in told[0]
    second.check()
    second.release()
    assert noted(folder) == ["a"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are not told apart for certain")
def test_the_run_of_a_driver_that_was_killed_on_this_machine_is_taken_over_at_once(
    bucket: Callable[[str], RunFolder], drive: Callable[[RunFolder], Driver]
) -> None:
    folder, told = bucket("killed-here"), []
    first = drive(folder)
    first.note("a")
    first.process.kill()
    first.process.wait()
    second = Lease(folder, told.append, every=EVERY, settle=0.1)
    assert told == []
    second.release()
    assert noted(folder) == ["a"]


def test_a_driver_that_was_frozen_and_replaced_writes_nothing_more(
    bucket: Callable[[str], RunFolder], drive: Callable[[RunFolder], Driver]
) -> None:
    folder = bucket("frozen")
    first = drive(folder)
    first.note("a")
    first.process.send_signal(signal.SIGSTOP)
    print("late", file=first.process.stdin, flush=True)
    second = drive(folder)
    assert second.note("b") == "noted"
    before = {path: folder.fs.open_input_stream(path).read() for path in folder.files(folder.journal)}
    first.process.send_signal(signal.SIGCONT)
    _, err = first.process.communicate(timeout=20)
    assert first.process.returncode == 1
    assert f"Another driver, by host {socket.gethostname()}, pid {second.process.pid} has taken over" in err
    after = {path: folder.fs.open_input_stream(path).read() for path in folder.files(folder.journal)}
    assert {path for path in after if after[path] != before.get(path)} <= {f"{folder.journal}/lease.json"}
    assert second.note("c") == "noted"
    assert noted(folder) == ["a", "b", "c"]


def test_two_drivers_that_begin_at_the_same_moment_are_one_in_the_end(
    bucket: Callable[[str], RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = bucket("race")
    renew, others = Lease._renew, []

    def together(lease: Lease) -> None:
        """The other one looks before this one has written, and writes after it."""
        monkeypatch.setattr(Lease, "_renew", renew)
        monkeypatch.setattr(Lease, "_wait_until_free", lambda *_: None)
        renew(lease)
        others.append(Lease(folder, every=EVERY, settle=0.1))

    monkeypatch.setattr(Lease, "_renew", together)
    with pytest.raises(RunError, match="still going on"):
        Lease(folder, every=EVERY, settle=0.1)
    others[0].check()
    others[0].release()


class Slow(tune.Trainable):
    """Long enough that its driver can be replaced; saves nothing."""

    def step(self) -> dict[str, Any]:
        time.sleep(0.2)
        return {"loss": 1.0}


def slow(iterations: int) -> Search:
    return Search(
        trainable=Slow,
        space={"x": tune.uniform(0, 1)},
        metric="loss",
        mode="min",
        trials=1,
        iterations=iterations,
        method=Random(),
    )


def test_a_search_lets_go_of_its_run_and_goes_on_at_once(cluster: None, bucket: Callable[[str], RunFolder]) -> None:
    storage = bucket("let-go").address
    run = RunFolder.open(storage.replace("/let-go?", "/let-go/run?"))
    assert slow(1).run("run", storage).status == "finished"
    assert not run.exists(f"{run.journal}/lease.json")
    assert len(slow(1).resume(run.address, more=1).table()) == 2
    [first, second] = run.files(run.journal)
    assert first.endswith(".jsonl")
    assert first.rpartition("-")[2] != second.rpartition("-")[2]  # each driver has files of its own


def test_a_search_whose_run_was_taken_over_ends_with_a_word_and_leaves_the_run_alone(
    cluster: None, bucket: Callable[[str], RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lease.__init__, "__kwdefaults__", {"every": EVERY, "settle": 0.1})
    run = bucket("search/x")
    storage, run = run.address.replace("/x?", "?"), RunFolder.open(run.address.replace("/x?", "/run?"))
    left: dict[str, bytes] = {}

    def take_over() -> None:
        while not run.exists(run.trials):
            time.sleep(0.1)
        other = {"holder": "other", "host": "elsewhere", "processes": None, "pid": 7, "beat": 1, "every": EVERY}
        holder = ""
        while holder != "other":  # a renewal that was on its way comes after it
            run.write_json(f"{run.journal}/lease.json", other)
            time.sleep(2 * EVERY)
            holder = run.read_json(f"{run.journal}/lease.json")["holder"]
        left.update(contents(run))

    thief = threading.Thread(target=take_over)
    thief.start()
    with pytest.raises(TakenOver, match="by host elsewhere, pid 7 has taken over"):
        slow(200).run("run", storage)
    thief.join()
    assert contents(run) == left
    assert run.read_json(run.definition)["status"] == "running"
    assert run.read_json(f"{run.journal}/lease.json")["holder"] == "other"


def contents(run: RunFolder) -> dict[str, bytes]:
    paths = [run.trials, run.definition, run.study, *run.files(run.journal), *run.files(run.measurements)]
    return {path: run.fs.open_input_stream(path).read() for path in paths if run.exists(path)}


def test_a_reader_of_the_lock_keeps_no_driver_out(tmp_path: Path) -> None:
    folder = RunFolder.open(tmp_path)
    assert is_driven(folder) is None
    Lock(folder).release()
    assert is_driven(folder) is False
    reader = os.open(tmp_path / "journal" / "lock", os.O_RDONLY)
    leases.fcntl.flock(reader, leases.fcntl.LOCK_SH)
    with pytest.raises(RunError, match="still going on"):
        Lock(folder, patience=0.1)

    threading.Timer(0.3, os.close, (reader,)).start()
    lock = Lock(folder, patience=30)
    assert is_driven(folder) is True
    lock.release()


def test_a_run_whose_driver_was_killed_is_said_to_be_interrupted(
    bucket: Callable[[str], RunFolder], drive: Callable[[RunFolder], Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = bucket("reader")
    folder.write_json(folder.definition, {"format": "huetune-run", "version": 1, "status": "running", "ended": None})
    run = Results(folder.address)
    first = drive(folder)
    assert (run.driven, run.status, run.abandoned) == (True, "running", False)
    first.process.kill()
    monkeypatch.setattr(leases, "_READERS_TOLERANCE", 1.0)
    time.sleep(2.5)  # S3 tells the time in seconds
    assert (run.driven, run.status, run.abandoned) == (False, "interrupted", True)
    assert run.definition["status"] == "running"
