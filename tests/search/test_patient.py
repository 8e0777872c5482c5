"""A bucket that does not answer for a while is asked again; one that says no is believed."""

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from search.patient import _Patient, patient
from search.run_folder import RunFolder
from search.running.journal import Journal


class Moody(fs.FSSpecHandler):
    """A disk that fails some operations before it obliges."""

    def __init__(self, faults: list[OSError]) -> None:
        self.disk, self.faults = fs.LocalFileSystem(), faults

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        if self.faults:
            raise self.faults.pop(0)
        return self.disk.open_output_stream(path)


def write(faults: list[OSError], path: Path, seconds: float = 60) -> None:
    files = fs.PyFileSystem(_Patient(fs.PyFileSystem(Moody(faults)), seconds))
    with files.open_output_stream(str(path)) as out:
        out.write(b"one")
        out.write(b"two")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.patient._FIRST_PAUSE", 0.01)


def test_what_could_not_be_sent_is_sent_again_whole(tmp_path: Path) -> None:
    away = [OSError("AWS Error NETWORK_CONNECTION during PutObject"), OSError("AWS Error UNKNOWN (HTTP status 503)")]
    write(away, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"onetwo"
    assert not away


@pytest.mark.parametrize("answer", [PermissionError("ACCESS_DENIED"), OSError("AWS Error NO_SUCH_BUCKET")])
def test_an_answer_is_not_asked_for_twice(answer: OSError, tmp_path: Path) -> None:
    faults = [answer, OSError("never asked")]
    with pytest.raises(OSError, match=str(answer)):
        write(faults, tmp_path / "file")
    assert len(faults) == 1


def test_patience_ends(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="SLOW_DOWN"):
        write([OSError("AWS Error SLOW_DOWN") for _ in range(1000)], tmp_path / "file", seconds=0.2)


def test_a_disk_needs_no_patience() -> None:
    disk = fs.LocalFileSystem()
    assert patient(disk) is disk


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """An S3 server in a process of its own, which is started now and answers some seconds later."""
    with pytest.MonkeyPatch.context() as patch, socket.socket() as free:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
            endpoint = quote(f"http://127.0.0.1:{port}", safe="")
            yield f"s3://runs/x?endpoint_override={endpoint}&scheme=http&allow_bucket_creation=true", process
            os.killpg(process.pid, signal.SIGKILL)


def test_a_real_bucket_is_waited_for_and_holds_a_run(server: tuple[str, subprocess.Popen[bytes]]) -> None:
    address, process = server
    run = RunFolder.open(address).patient()
    run.fs.create_dir(run.root)  # nobody listens yet
    run = RunFolder(pickle.loads(pickle.dumps(run.fs)), run.root, address)  # as a worker gets it
    run.write_table(run.trials, pa.table({"trial_id": ["a", "b"]}))
    assert run.read_table(run.trials).num_rows == pq.read_table(run.trials, filesystem=run.fs).num_rows == 2
    run.write_text(run.inside("checkpoints/1/a"), "A")
    run.copy_folder(run.inside("checkpoints/1"), run.inside("checkpoints/2"))
    assert run.files(run.inside("checkpoints/2")) == [run.inside("checkpoints/2/a")]
    run.delete_folder(run.inside("checkpoints/2"))
    assert not run.exists(run.inside("checkpoints/2"))
    run.copy_folder(run.inside("checkpoints/1"), run.inside("checkpoints/1"))  # deleted first, and there all the same
    with pytest.raises(FileNotFoundError):
        run.read_table(run.inside("none"))

    os.killpg(process.pid, signal.SIGSTOP)
    threading.Timer(4, os.killpg, (process.pid, signal.SIGCONT)).start()
    began = time.monotonic()
    run.write_text(run.inside("late"), "whole")
    assert time.monotonic() - began > 3
    assert run.fs.open_input_stream(run.inside("late")).read() == b"whole"


def test_a_journal_in_a_bucket_is_few_files(
    server: tuple[str, subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.running.journal._PART_BYTES", 300)
    run = RunFolder.open(server[0].replace("/x?", "/journal?")).patient()
    run.fs.create_dir(run.root)
    for session in range(2):
        journal = Journal(run)
        for number in range(20):
            journal.append({"event": "start", "trial": "a", "session": session, "n": number})
            journal.flush()
        journal.close()
    again = Journal(run)
    assert [(e["session"], e["n"]) for e in again.read()] == [(s, n) for s in range(2) for n in range(20)]
    assert 2 < len(run.files(run.journal)) < 20
    again.close()
