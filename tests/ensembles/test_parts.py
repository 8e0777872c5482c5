import hashlib
import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ensembles import CheckpointDamaged, CheckpointError, load_predictor, verify_checkpoint
from ensembles.combining.stacking import Ridge
from ensembles.members.folds import Fold, Folds
from ensembles.members.out_of_fold import OutOfFold, groups_of
from ensembles.members.parts import retrain, train_parts


def write_checkpoint(folder, **content):
    text = json.dumps(content).encode()
    (folder / "settings.json").write_bytes(text)
    files = {"settings.json": hashlib.sha256(text).hexdigest()}
    manifest = {"format": "huetune-checkpoint", "version": 1, "predictor": "tiny", "files": files}
    (folder / "checkpoint.json").write_text(json.dumps(manifest))


@pytest.fixture
def checkpoints(tmp_path):
    folders = [tmp_path / name for name in ("a", "b")]
    for seed, folder in enumerate(folders):
        folder.mkdir()
        write_checkpoint(folder, seed=seed, scale=0.5, mode="")
    return folders


class Trainer:
    """Writes what it was asked for, and fails at the call numbered `fails`."""

    def __init__(self, fails=None):
        self.jobs, self.fails = [], fails

    def __call__(self, job):
        (job.folder / "half-written").write_text("...")
        if len(self.jobs) == self.fails:
            raise KeyboardInterrupt
        self.jobs.append(job)
        write_checkpoint(job.folder, seed=job.seed, rows=job.rows.tolist(), scale=0.5, mode="")

    @property
    def done(self):
        return [(job.member, job.fold) for job in self.jobs]


FOLDS = Folds.by_group(np.arange(12) // 2, 3)
ALL = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_each_member_is_trained_on_each_fold_into_a_folder_of_its_own(checkpoints, tmp_path):
    trainer = Trainer()
    parts = train_parts(checkpoints, FOLDS, tmp_path / "work", train=trainer)
    assert trainer.done == ALL
    assert len({folder for of_member in parts for folder in of_member}) == 6
    assert len({job.seed for job in trainer.jobs}) == 6
    for (member, fold), job in zip(ALL, trainer.jobs, strict=True):
        verify_checkpoint(parts[member][fold])
        assert json.loads((parts[member][fold] / "settings.json").read_text())["rows"] == job.rows.tolist()
        np.testing.assert_array_equal(job.rows, FOLDS.folds[fold].training)
        assert job.checkpoint == checkpoints[member]


@pytest.mark.parametrize("fails", range(6))
def test_a_call_that_was_killed_goes_on_where_it_was(checkpoints, tmp_path, fails):
    work = tmp_path / "work"
    first, second, third = Trainer(fails), Trainer(), Trainer()
    with pytest.raises(KeyboardInterrupt):
        train_parts(checkpoints, FOLDS, work, train=first)
    assert [path for path in work.iterdir() if path.name.startswith(".")] == []
    parts = train_parts(checkpoints, FOLDS, work, train=second)
    assert first.done + second.done == ALL
    assert train_parts(checkpoints, FOLDS, work, train=third) == parts
    assert third.done == []


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from ensembles.members.folds import Folds
from ensembles.members.parts import train_parts

def train(job):
    (job.folder / "settings.json").write_text("{}")
    if (job.member, job.fold) == (0, 2):
        os.kill(os.getpid(), signal.SIGKILL)
    (job.folder / "checkpoint.json").write_text(sys.argv[3])

folds = Folds.by_group(np.arange(12) // 2, 3)
train_parts([Path(sys.argv[1])], folds, Path(sys.argv[2]), train=train)
"""


def test_a_process_that_was_killed_leaves_only_whole_parts(checkpoints, tmp_path):
    digest = hashlib.sha256(b"{}").hexdigest()
    manifest = {"format": "huetune-checkpoint", "version": 1, "predictor": "tiny", "files": {"settings.json": digest}}
    arguments = [sys.executable, "-c", KILLED, str(checkpoints[0]), str(tmp_path / "work"), json.dumps(manifest)]
    ended = subprocess.run(arguments, check=False)
    assert ended.returncode == -signal.SIGKILL
    trainer = Trainer()
    train_parts(checkpoints, FOLDS, tmp_path / "work", train=trainer)
    assert trainer.done == ALL[2:]


def test_a_part_that_is_damaged_or_was_never_whole_is_trained_again(checkpoints, tmp_path):
    parts = train_parts(checkpoints, FOLDS, tmp_path / "work", train=Trainer())
    (parts[0][1] / "settings.json").write_text("{}")
    (parts[1][0] / "part.json").write_text("{")
    (parts[1][2] / "checkpoint.json").unlink()
    trainer = Trainer()
    assert train_parts(checkpoints, FOLDS, tmp_path / "work", train=trainer) == parts
    assert trainer.done == [(0, 1), (1, 0), (1, 2)]
    for of_member in parts:
        for folder in of_member:
            verify_checkpoint(folder)


def test_another_request_is_not_served_from_what_lies_there(checkpoints, tmp_path):
    def trained(folds=FOLDS, seed=0, members=checkpoints):
        trainer = Trainer()
        train_parts(members, folds, tmp_path / "work", seed=seed, train=trainer)
        return trainer.done

    assert trained() == ALL
    assert trained(seed=1) == ALL
    first_only = Folds(FOLDS.folds[:1], FOLDS.groups, FOLDS.fold_of == 0)
    assert trained(seed=1, folds=first_only) == []
    whole = FOLDS.folds[0]
    for left_out in (-1, -2):  # two examples of one group
        fold = Fold(np.delete(whole.training, left_out), whole.held_out)
        assert trained(seed=1, folds=Folds([fold, *FOLDS.folds[1:]], FOLDS.groups)) == [(0, 0), (1, 0)]
    assert trained(seed=1) == [(0, 0), (1, 0)]
    regrouped = Folds(FOLDS.folds, FOLDS.groups + 100)
    assert trained(seed=1, folds=regrouped) == ALL
    assert trained(seed=1) == ALL
    assert trained(seed=1, members=checkpoints[::-1]) == []  # the order of members is no part of the request
    write_checkpoint(checkpoints[0], seed=9, scale=0.5, mode="")
    assert trained(seed=1) == ALL[:3]


def test_two_identical_members_are_trained_once(checkpoints, tmp_path):
    trainer = Trainer()
    parts = train_parts([checkpoints[0], checkpoints[0]], FOLDS, tmp_path / "work", train=trainer)
    assert trainer.done == ALL[:3]
    assert parts[0] == parts[1]


def test_the_mapping_may_run_elsewhere_and_in_any_order(checkpoints, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    trainer = Trainer()
    with ThreadPoolExecutor(2) as pool:
        backwards = lambda function, jobs: pool.map(function, list(jobs)[::-1])  # noqa: E731
        parts = train_parts(checkpoints, FOLDS, tmp_path / "work", train=trainer, map=backwards)
    assert sorted(trainer.done) == ALL
    assert all(folder.is_dir() for of_member in parts for folder in of_member)


def test_a_mapping_that_leaves_parts_out_is_noticed(checkpoints, tmp_path):
    def lazy(function, jobs):
        return map(function, list(jobs)[:4])

    with pytest.raises(CheckpointError, match="got 2 without"):
        train_parts(checkpoints, FOLDS, tmp_path / "work", train=Trainer(), map=lazy)


def test_a_failure_says_which_part_it_was_and_leaves_nothing_half_written(checkpoints, tmp_path):
    def broken(job):
        (job.folder / "half-written").write_text("...")
        if job.fold == 1:
            raise RuntimeError("diverged")
        write_checkpoint(job.folder, seed=0)

    with pytest.raises(RuntimeError, match="diverged") as caught:
        train_parts(checkpoints, FOLDS, tmp_path / "work", train=broken)
    assert "member 0" in caught.value.__notes__[0]
    assert "fold 1" in caught.value.__notes__[0]
    assert len(list((tmp_path / "work").iterdir())) == 1

    with pytest.raises(CheckpointDamaged, match=r"checkpoint\.json"):
        train_parts(checkpoints, FOLDS, tmp_path / "other", train=lambda job: None)


def test_members_that_cannot_be_trained_again_say_so(tiny, tmp_path):
    folder = tiny.write_checkpoint(tmp_path / "member", 0)
    with pytest.raises(CheckpointError, match="not `Retrainable`; give a function of your own"):
        train_parts([folder], FOLDS, tmp_path / "work")


def test_a_member_trains_itself_on_the_rows_of_its_folds(tiny, tmp_path, monkeypatch):
    asked = []

    def train_anew(self, rows, folder, /, *, seed, targets=None, settings=None):
        asked.append((rows.tolist(), seed, self.sizes["val"]))
        write_checkpoint(Path(folder), seed=seed % 1000, scale=0.1, mode="", sizes={"train": 12})

    monkeypatch.setattr(tiny.TinyPredictor, "retrain", train_anew, raising=False)
    monkeypatch.setattr(tiny.TinyPredictor, "default_settings", {}, raising=False)
    member = tiny.write_checkpoint(tmp_path / "member", 0, sizes={"train": 12})
    other_data = tmp_path / "data.json"
    other_data.write_text(json.dumps({"train": 12, "val": 99}))
    judge = load_predictor(member)
    folds = Folds.by_group(groups_of(judge), 3)
    folders = train_parts([member], folds, tmp_path / "work", seed=4, train=partial(retrain, data=other_data))
    assert [rows for rows, _, _ in asked] == [fold.training.tolist() for fold in folds.folds]
    assert len({seed for _, seed, _ in asked}) == 3
    assert {size for _, _, size in asked} == {99}
    seen = OutOfFold(judge, folds, [[load_predictor(folder) for folder in folders[0]]])
    assert len(seen.gram) == 12
    assert Ridge().fit(seen).members == 1
