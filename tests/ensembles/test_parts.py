import hashlib
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles import BadPredictions, CheckpointDamaged, CheckpointError, load_predictor, verify_checkpoint
from ensembles.combining.combiner import Predicted
from ensembles.combining.confidence import ConfidenceWeighted
from ensembles.combining.stacking import Ridge
from ensembles.members.parts import Fold, Folds, OutOfFold, groups_of, retrain, train_parts


@dataclass(frozen=True)
class Rows:
    names: list
    inputs: np.ndarray
    targets: np.ndarray
    groups: np.ndarray


class Data:
    """Features and targets as a predictor's training split, twelve rows a batch."""

    output = "values"
    gain_metric = "r2"

    def __init__(self, inputs, targets, groups):
        self.inputs, self.targets, self.groups = inputs, targets, groups

    def batches(self, split):
        assert split == "train"  # the second level looks at nothing else
        for start in range(0, len(self.targets), 12):
            rows = slice(start, start + 12)
            yield Rows(list(range(start, start + 12)), self.inputs[rows], self.targets[rows], self.groups[rows])

    def scores(self, predictions, targets):
        mse = np.square(predictions - targets)
        return {"mse": mse, "r2": -mse}

    def summarize(self, scores):
        return {name: float(values.mean()) for name, values in scores.items()}

    def picture(self, values):
        raise NotImplementedError


class Nearest(Data):
    """Repeats the target of the nearest example it was trained on, seen through its own features."""

    def __init__(self, data, rows, view):
        super().__init__(data.inputs, data.targets, data.groups)
        self.rows, self.view = rows, view

    def __call__(self, inputs):
        known = self.inputs[self.rows] * self.view
        distances = np.square(inputs[:, None] * self.view - known[None]).sum(axis=2)
        return self.targets[self.rows][distances.argmin(axis=1)]


def problem(seed=0, rows=200, noise=True):
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(rows, 4))
    targets = generator.normal(size=rows) if noise else inputs @ [1.0, -1.0, 0.5, 0.0]
    return Data(inputs, targets, np.arange(rows) // 2)


def views(seed, members=5):
    return np.random.default_rng(seed).uniform(0, 1, size=(members, 4))


def out_of_fold(data, folds, members):
    return OutOfFold(data, folds, [[Nearest(data, fold.training, view) for fold in folds.folds] for view in members])


def r2(predictions, targets):
    return 1 - np.square(predictions - targets).mean() / targets.var()


def test_with_pure_noise_stacking_out_of_fold_stays_at_chance_and_in_sample_stacking_does_not():
    data, fresh, members = problem(), problem(seed=1), views(2)
    folds = Folds.by_group(data.groups, 5, seed=0)
    method = Ridge(1.0, toward="zero")

    honest = out_of_fold(data, folds, members)
    rule = method.fit(honest)
    fold = honest.groups % 5
    judged = np.empty(200)
    for number, without in enumerate(method.cross_fit(honest, fold)):
        left_out = [without(predicted) for predicted, _ in honest.only(fold == number).stream()]
        judged[fold == number] = np.concatenate(left_out)
    assert -0.2 < r2(judged, data.targets) < 0.05

    whole = [Nearest(data, np.arange(200), view) for view in members]
    in_sample = OutOfFold(data, folds, [[member] * 5 for member in whole])  # each saw what it predicts
    believed = method.fit(in_sample)
    fitted = np.concatenate([believed(predicted) for predicted, _ in in_sample.stream()])
    assert r2(fitted, data.targets) > 0.99

    new = Predicted(fresh.inputs, [member(fresh.inputs) for member in whole])
    assert -0.1 < r2(rule(new), fresh.targets) < 0.05
    assert r2(believed(new), fresh.targets) < -0.3


def test_each_example_is_predicted_by_the_model_that_did_not_see_it():
    data, members = problem(noise=False), views(0, 2)
    folds = Folds.by_group(data.groups, 4, seed=1)
    seen = out_of_fold(data, folds, members)
    parts = list(seen.stream())
    for position, view in enumerate(members):
        expected = np.empty(200)
        for fold in folds.folds:
            expected[fold.held_out] = Nearest(data, fold.training, view)(data.inputs[fold.held_out])
        found = np.concatenate([predicted.values[position] for predicted, _ in parts])
        np.testing.assert_array_equal(found, expected)
        assert (found != data.targets).all()
    np.testing.assert_array_equal(np.concatenate([targets for _, targets in parts]), data.targets)
    np.testing.assert_array_equal(np.concatenate([predicted.inputs for predicted, _ in parts]), data.inputs)
    np.testing.assert_array_equal(seen.groups, data.groups)


def test_a_part_of_the_examples_and_of_the_members_shows_what_the_whole_shows():
    data, members = problem(rows=60), views(0, 3)
    whole = out_of_fold(data, Folds.by_group(data.groups, 3), members)
    mask = np.random.default_rng(0).random(60) < 0.4
    again = mask[mask].copy()
    again[::2] = False
    some = whole.of([2, 0]).only(mask).only(again)
    kept = np.flatnonzero(mask)[again]
    errors = [
        np.concatenate([predicted.values[m] for predicted, _ in whole.stream()])[kept] - data.targets[kept]
        for m in (2, 0)
    ]
    assert some.members == 2
    np.testing.assert_array_equal(some.groups, data.groups[kept])
    np.testing.assert_allclose(some.gram, np.einsum("in,jn->nij", errors, errors))
    found = np.concatenate([np.stack(predicted.values) - targets for predicted, targets in some.stream()], axis=1)
    np.testing.assert_array_equal(found, errors)


def test_a_pass_asks_each_member_once_for_each_example_and_holds_nothing():
    asked = []

    class Counted(Nearest):
        def __call__(self, inputs):
            asked.append(len(inputs))
            return super().__call__(inputs)

    data = problem(rows=60)
    folds = Folds.by_group(data.groups, 3)
    parts = [[Counted(data, fold.training, view) for fold in folds.folds] for view in views(0, 2)]
    seen = OutOfFold(data, folds, parts)
    assert asked == []
    next(seen.stream())
    assert sum(asked) == 2 * 12
    asked.clear()
    list(seen.only(np.arange(60) >= 30).stream())
    assert sum(asked) == 2 * 30


def test_blending_shows_the_second_level_only_what_no_member_saw():
    data, members = problem(), views(0, 2)
    folds = Folds.blend(data.groups, share=0.3, seed=0)
    (fold,) = folds.folds
    assert len(fold.held_out) == 60
    seen = out_of_fold(data, folds, members)
    np.testing.assert_array_equal(seen.groups, data.groups[fold.held_out])
    assert len(seen.gram) == 60
    batches, targets = zip(*seen.stream(), strict=True)
    np.testing.assert_array_equal(np.concatenate(targets), data.targets[fold.held_out])
    expected = Nearest(data, fold.training, members[1])(data.inputs[fold.held_out])
    np.testing.assert_array_equal(np.concatenate([batch.values[1] for batch in batches]), expected)


def test_members_that_tell_their_variance_are_asked_for_it():
    class Sure(Nearest):
        def with_log_variance(self, inputs):
            return self(inputs), np.log(1.0 + np.abs(inputs[:, 0])) + len(self.rows)

    data = problem(rows=60)
    folds = Folds.by_group(data.groups, 3)
    parts = [[Sure(data, fold.training, view) for fold in folds.folds] for view in views(0, 2)]
    seen = OutOfFold(data, folds, parts)
    told = np.concatenate([predicted.log_variances[1] for predicted, _ in seen.stream()])
    lengths = np.array([len(fold.training) for fold in folds.folds])[folds.fold_of]
    np.testing.assert_allclose(told, np.log(1.0 + np.abs(data.inputs[:, 0])) + lengths)
    assert ConfidenceWeighted().unsuited(seen) is None
    parts[0][0] = Nearest(data, folds.folds[0].training, views(0)[0])
    assert ConfidenceWeighted().unsuited(OutOfFold(data, folds, parts)) is not None


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=40), st.integers(2, 7), st.integers(0, 9))
@settings(deadline=None)
def test_folds_hold_out_each_example_once_and_split_no_group(names, k, seed):
    groups = np.array(names)
    if len(np.unique(groups)) < 2:
        with pytest.raises(ValueError, match="at least two groups"):
            Folds.by_group(groups, k, seed)
        return
    folds = Folds.by_group(groups, k, seed)
    assert len(folds.folds) == min(k, len(np.unique(groups)))
    assert sorted(np.concatenate([fold.held_out for fold in folds.folds])) == list(range(len(groups)))
    for fold in (*folds.folds, *Folds.blend(groups, 0.4, seed).folds):
        assert len(fold.training) + len(fold.held_out) == len(groups)
        assert not set(groups[fold.training]) & set(groups[fold.held_out])


ROWS = np.arange(6)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([Fold(ROWS[:4], ROWS[4:]), Fold(ROWS[3:], ROWS[:3])], r"1 of 6 that no\s+fold holds out"),
        ([Fold(ROWS[3:], ROWS[:3])], r"3 of 6 that no\s+fold holds out"),
        ([Fold(ROWS[:3], ROWS[3:]), Fold(ROWS[4:], ROWS[:4])], "1 of 6 in those of several; the folds overlap"),
        ([Fold(ROWS[:4], ROWS[3:])], "Fold 0: expected groups either to train on or to hold out, got 1 in both"),
        ([Fold(ROWS[:3], np.array([3, 4, 6]))], r"holds out in 0\.\.5, got 3\.\.6"),
        ([Fold(np.array([-1, 0]), ROWS[3:])], r"trains on in 0\.\.5, got -1\.\.0"),
        ([Fold(np.array([0, 0]), ROWS[3:])], "each once"),
        ([Fold(np.array([], dtype=int), ROWS)], "one example or more"),
        ([Fold(ROWS[:3] > 0, ROWS[3:])], "one example or more"),
        ([], "6 of 6"),
    ],
)
def test_folds_that_overlap_do_not_cover_or_share_a_group_are_refused(folds, message):
    with pytest.raises(ValueError, match=message):
        Folds(folds, ROWS)


def test_a_group_on_both_sides_of_a_fold_is_refused_by_name():
    with pytest.raises(ValueError, match="got 1 in both, such as 7"):
        Folds([Fold([0, 1], [2, 3]), Fold([2, 3], [0, 1])], np.array([1, 7, 7, 2]))


def test_what_no_fold_covers_is_refused_and_never_taken_for_zero():
    data = problem(rows=24)
    folds = Folds.blend(data.groups)
    seen = out_of_fold(data, folds, views(0, 2))
    seen._examples = np.ones(24, dtype=bool)
    with pytest.raises(BadPredictions, match="Member 0: expected finite predictions, got NaN"):
        list(seen.stream())


def test_a_split_that_is_not_the_one_that_was_cut_is_refused():
    data, other = problem(rows=24), problem(rows=24)
    folds = Folds.by_group(data.groups, 3)
    other.groups = other.groups[::-1]
    with pytest.raises(ValueError, match="the split that was cut"):
        list(OutOfFold(other, folds, out_of_fold(data, folds, views(0, 1))._parts).stream())
    shorter = Data(data.inputs[:12], data.targets[:12], data.groups[:12])
    with pytest.raises(ValueError, match=r"24 examples that were cut into folds, got 12"):
        list(OutOfFold(shorter, folds, out_of_fold(data, folds, views(0, 1))._parts).stream())


def test_every_member_needs_a_part_for_each_fold():
    data = problem(rows=24)
    folds = Folds.by_group(data.groups, 3)
    with pytest.raises(ValueError, match=r"3 parts each, one for each fold, got \[2\]"):
        OutOfFold(data, folds, [[Nearest(data, ROWS, 1.0)] * 2])


def test_a_part_that_fails_or_predicts_another_shape_is_named():
    data = problem(rows=24)
    folds = Folds.by_group(data.groups, 2)

    class Fails(Nearest):
        def __call__(self, inputs):
            if self.view == 0:
                raise RuntimeError("out of memory")
            return super().__call__(inputs)[:, None]

    good = [Nearest(data, fold.training, 1.0) for fold in folds.folds]
    for view, message in ((0, "cannot predict: RuntimeError: out of memory"), (1, "expected predictions of shape")):
        bad = [Fails(data, fold.training, view) for fold in folds.folds]
        with pytest.raises(BadPredictions, match=f"Member 1: {message}"):
            list(OutOfFold(data, folds, [good, bad]).stream())


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
from ensembles.members.parts import Folds, train_parts

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
