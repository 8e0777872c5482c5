from dataclasses import dataclass

import numpy as np
import pytest

from ensembles import BadPredictions
from ensembles.combining.combiner import Predicted
from ensembles.combining.confidence import ConfidenceWeighted
from ensembles.combining.stacking import Ridge
from ensembles.members.folds import Folds
from ensembles.members.out_of_fold import OutOfFold


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
        OutOfFold(data, folds, [[Nearest(data, np.arange(6), 1.0)] * 2])


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
