"""A disk that fills up ends a run in words, with whole files; once there is room it goes on, and nothing was lost."""

import json
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from search import Random, RunError, Search
from search.run_folder import RunFolder
from search.running.journal import Journal

REPORTS = 4


class Disk:
    """A disk of a size that can be changed."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()

    def resize(self, size: str, how: str = "remount,") -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"{how}size={size}", "tmpfs", self.place], check=True)

    def fill(self, but: int = 0) -> None:
        """Leave no room on it, but so many bytes."""
        with open(self.place / "filling", "ab", buffering=0) as filling:
            left = os.statvfs(self.place)
            filling.write(bytes(max(0, left.f_bavail * left.f_frsize - but)))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a disk of a size")
    small = Disk(tmp_path / "disk")
    try:
        small.resize("1m", how="")
    except subprocess.CalledProcessError:
        pytest.skip("this machine lets nobody mount a disk")
    yield small
    subprocess.run(["umount", "--lazy", small.place], check=True)


class Saver(tune.Trainable):
    """Reports a text and saves a checkpoint, of given sizes."""

    def setup(self, config: dict[str, Any]) -> None:
        self.config, self.steps = config, 0

    def step(self) -> dict[str, Any]:
        self.steps += 1
        return {"loss": self.config["x"] + 1 / self.steps, "steps": self.steps, "text": "t" * self.config["said"]}

    def save_checkpoint(self, folder: str) -> None:
        Path(folder, "steps.json").write_text(json.dumps(self.steps))
        Path(folder, "weights").write_bytes(bytes(self.config["saved"]))

    def load_checkpoint(self, folder: str) -> None:
        self.steps = json.loads(Path(folder, "steps.json").read_text())

    def reset_config(self, config: dict[str, Any]) -> bool:
        self.setup(config)
        return True


def search(said: int, saved: int, trials: int = 12, iterations: int = REPORTS) -> Search:
    return Search(
        trainable=Saver,
        space={"x": tune.uniform(0, 1), "said": said, "saved": saved},
        metric="loss",
        mode="min",
        trials=trials,
        iterations=iterations,
        method=Random(),
        concurrent=2,
        keep_checkpoints=2,
    )


def events(run: Path) -> list[dict[str, Any]]:
    parts = [part.read_bytes() for part in sorted(run.glob("journal/*.jsonl"))]
    assert all(part.endswith(b"\n") or not part for part in parts)
    return [json.loads(line) for part in parts for line in part.splitlines()]


# What is large fills the disk: what the driver notes, or what the workers save.
@pytest.mark.parametrize(("said", "saved", "crowded"), [(20_000, 10, 0), (10, 200_000, 0), (10, 400, 30_000)])
def test_a_run_on_a_disk_that_fills_up_goes_on_where_it_was_once_there_is_room(
    cluster: None, disk: Disk, said: int, saved: int, crowded: int, capfd: pytest.CaptureFixture[str]
) -> None:
    if crowded:
        disk.fill(but=crowded)
    run = disk.place / "a"
    with pytest.raises(RunError, match=rf"disk is full: .* MiB free in {run} .*Make room, then: huetune resume {run}"):
        search(said, saved).run("a", str(disk.place))
    assert "Logging error" not in capfd.readouterr().err
    before = events(run)
    assert not any(event["event"] == "lost" or event.get("status") == "failed" for event in before)
    assert not list(run.rglob("*.part-*"))

    # Without room it is refused again in words, and the run is left alone.
    disk.fill()
    with pytest.raises(RunError, match="Make room"):
        search(said, saved).resume(str(run))
    disk.resize("64m")
    results = search(said, saved).resume(str(run))
    table, reports = results.table(), results.measurements()
    assert results.definition["status"] == "finished"
    assert table["status"].tolist() == ["finished"] * 12
    assert not reports.duplicated(["trial_id", "iteration"]).any()
    assert len(reports) == 12 * REPORTS
    assert (reports["steps"] == reports["iteration"]).all()
    after = events(run)
    assert after[: len(before)] == before
    assert set(Counter(e["trial"] for e in after if e["event"] == "end").values()) == {1}
    assert len(list(run.glob("checkpoints/*"))) == 2


def test_a_checkpoint_that_could_not_be_kept_is_kept_once_there_is_room(cluster: None, disk: Disk) -> None:
    """There is room for two of the trial under way and one that is kept, and Ray Tune would go on without it."""
    run = disk.place / "a"
    settings: dict[str, Any] = {"trials": 1, "iterations": 2}
    with pytest.raises(RunError, match="Make room"):
        search(10, 290_000, **settings).run("a", str(disk.place))
    assert not any(event["event"] == "end" for event in events(run))
    disk.resize("64m")
    [row] = search(10, 290_000, **settings).resume(str(run)).table().to_dict("records")
    assert (row["status"], row["checkpoint_iteration"]) == ("finished", 2)
    assert json.loads((run / row["checkpoint"] / "steps.json").read_text()) == 2


def test_a_line_that_finds_no_room_leaves_whole_lines(tmp_path: Path) -> None:
    """A limit on the size of a file writes a part of a line, as a full disk does."""
    folder = RunFolder.open(tmp_path)
    journal = Journal(folder)
    journal.append({"event": "start", "n": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            journal.append({"event": "start", "n": 2, "text": "x" * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    journal.append({"event": "start", "n": 3})
    journal.close()
    assert [event["n"] for event in events(tmp_path)] == [1, 3]


def test_a_disk_that_is_full_before_a_run_begins_is_named(disk: Disk) -> None:
    disk.fill()
    with pytest.raises(RunError, match=r"disk is full: 0\.0 MiB free"):
        search(1, 1).run("a", str(disk.place))
