import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from ensembles import BadPredictions
from ensembles.combining.combiner import Predicted
from ensembles.combining.convolution import Convolution, Convolved
from ensembles.combining.method import InMemory

QUICK = Convolution(hidden=6, epochs=4)


@dataclass(frozen=True)
class Judge:
    output: str = "dense"
    gain_metric: str = "psnr"

    def scores(self, predictions, targets):
        mse = np.square(predictions.astype(np.float64) - targets).reshape(len(targets), -1).mean(axis=1)
        return {"mse": mse, "psnr": 10 * np.log10(4 / np.maximum(mse, 1e-9))}

    def summarize(self, scores):
        return {name: float(values.mean()) for name, values in scores.items()}


def pictures(examples=48, channels=3, size=(5, 7), seed=0):
    """Two members that are both wrong where the input is bright: the truth is twice their mean there."""
    generator = np.random.default_rng(seed)
    inputs = generator.uniform(-1, 1, (examples, 1, *size)).astype(np.float32)
    truth = generator.uniform(-0.8, 0.8, (examples, channels, *size)).astype(np.float32)
    seen = np.where(inputs > 0, truth / 2, truth)
    values = [seen + np.float32(0.05) * generator.normal(size=truth.shape).astype(np.float32) for _ in range(2)]
    return Predicted(inputs, values), truth


def observed(predicted, targets, output="dense", metric="psnr", groups=None, at_once=16):
    return InMemory(Judge(output, metric), predicted, targets, groups, at_once)


def mse(values, targets):
    return np.square(values.astype(np.float64) - targets).mean()


def test_it_learns_what_no_weights_can_express():
    predicted, targets = pictures()
    fresh, truth = pictures(seed=1)
    rule = Convolution(hidden=16, epochs=30, learning_rate=1e-2).fit(observed(predicted, targets))
    assert mse(rule(fresh), truth) < 0.7 * mse(np.mean(fresh.values, axis=0), truth)


def test_it_sees_the_pixels_around():
    generator = np.random.default_rng(0)
    truth = generator.normal(size=(60, 2, 8, 9)).astype(np.float32)
    moved = np.roll(truth, 1, axis=3)
    predicted = Predicted(np.zeros((60, 1)), [moved, moved + np.float32(0.01)])
    rule = Convolution(hidden=16, epochs=30, learning_rate=1e-2).fit(observed(predicted, truth))
    assert mse(rule(predicted), truth) < 0.8 * truth.var()


def test_where_nothing_can_be_learnt_it_stays_the_plain_mean():
    generator = np.random.default_rng(0)
    targets = generator.normal(size=(24, 2, 5, 7)).astype(np.float32)
    errors = generator.normal(size=(3, 24, 2, 5, 7)).astype(np.float32)
    errors -= errors.mean(axis=0)  # the mean is the truth
    predicted = Predicted(generator.normal(size=(24, 1, 5, 7)), list(targets + errors))
    rule = QUICK.fit(observed(predicted, targets))
    np.testing.assert_allclose(rule(predicted), np.mean(predicted.values, axis=0), atol=1e-6)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    predicted, targets = pictures()
    settings = {"hidden": 6, "epochs": 4, "learning_rate": 1e-2}
    first, again, other = (
        Convolution(**settings, seed=seed).fit(observed(predicted, targets))(predicted).tobytes() for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_fitting_leaves_the_random_state_of_others_alone():
    import torch

    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    expected = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    predicted, targets = pictures()
    QUICK.fit(observed(predicted, targets))
    assert (torch.rand(1), np.random.rand()) == expected  # noqa: NPY002


def test_a_rule_that_was_stored_predicts_the_same_bytes():
    predicted, targets = pictures()
    rule = Convolution(hidden=6, epochs=4, learning_rate=1e-2).fit(observed(predicted, targets, output="colours"))
    settings, arrays = rule.state()
    again = Convolved.restore(settings, {name: values.copy() for name, values in arrays.items()})
    assert again.members == rule.members == 2
    assert again(predicted).tobytes() == rule(predicted).tobytes()
    assert np.abs(rule(predicted) - np.mean(predicted.values, axis=0)).max() > 1e-3  # or nothing was learnt to store


def test_results_have_the_shape_type_and_range_of_the_members():
    predicted, targets = pictures()
    loud = Predicted(predicted.inputs, [np.clip(3 * values, -1, 1) for values in predicted.values])
    targets = np.clip(9 * targets, -1, 1)
    result = Convolution(hidden=6, epochs=4, learning_rate=1e-2).fit(observed(loud, targets, output="colours"))(loud)
    assert result.shape == targets.shape
    assert result.dtype == np.float32
    assert np.abs(result).max() <= 1
    assert QUICK.fit(observed(predicted, targets))(predicted.rows(slice(0, 0))).shape == (0, 3, 5, 7)


@pytest.mark.parametrize(
    ("inputs", "used"),
    [
        (np.zeros((48, 2, 5, 7)), 2),
        (np.zeros((48, 2, 10, 14)), 0),
        (np.zeros((48, 5)), 0),
        (np.zeros((48, 2, 5, 7), dtype=np.int64), 0),
    ],
)
def test_inputs_are_used_where_they_are_pictures_of_the_same_size(inputs, used):
    predicted, targets = pictures()
    rule = Convolution(hidden=6, epochs=1).fit(observed(Predicted(inputs, predicted.values), targets))
    assert rule.input_channels == used
    if used:
        with pytest.raises(ValueError, match="Expected inputs of shape"):
            rule(Predicted(inputs[:, :1], predicted.values))


def test_what_stops_the_training_was_not_trained_on():
    seen_groups = []

    class Watched(InMemory):
        def only(self, examples):
            seen_groups.append(set(self.groups[examples]))
            return super().only(examples)

    predicted, targets = pictures()
    groups = np.arange(48) // 4
    QUICK.fit(Watched(Judge(), predicted, targets, groups))
    training, judged = seen_groups
    assert not training & judged
    assert training | judged == set(groups)
    assert len(judged) == 2


def test_an_epoch_that_is_worse_is_never_kept():
    """Targets of the groups that stop the training disagree with all others."""
    predicted, targets = pictures()
    held = []

    class Watched(InMemory):
        def only(self, examples):
            held.append(examples)
            return super().only(examples)

    QUICK.fit(Watched(Judge(), predicted, targets))
    mean = np.mean(predicted.values, axis=0)
    targets = np.where(held[1][:, None, None, None], mean, targets).astype(np.float32)
    rule = Convolution(hidden=6, epochs=6, learning_rate=1e-2).fit(observed(predicted, targets))
    np.testing.assert_allclose(rule(predicted), mean, atol=1e-6)


def test_it_suits_pictures_of_enough_groups_alone():
    predicted, targets = pictures()
    assert QUICK.unsuited(observed(predicted, targets)) is None
    assert "pixels" in QUICK.unsuited(observed(predicted, targets, output="values"))
    assert "fewer than four" in QUICK.unsuited(observed(predicted, targets, groups=np.arange(48) % 3))
    with pytest.raises(ValueError, match="at least two groups"):
        QUICK.fit(observed(predicted, targets, groups=np.zeros(48)))


def test_predictions_and_targets_that_are_not_finite_are_refused():
    predicted, targets = pictures()
    rule = QUICK.fit(observed(predicted, targets))
    wrong = [predicted.values[0], predicted.values[1].copy()]
    wrong[1][0, 0, 0, 0] = np.inf
    with pytest.raises(BadPredictions, match="Member 1"):
        rule(Predicted(predicted.inputs, wrong))
    with pytest.raises(BadPredictions, match="Member 1"):
        QUICK.fit(observed(Predicted(predicted.inputs, wrong), targets))
    targets[:, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="finite targets"):
        QUICK.fit(observed(predicted, targets))


@pytest.mark.parametrize("name", ["hidden", "epochs", "patience", "batch", "learning_rate"])
def test_settings_without_sense_are_refused(name):
    with pytest.raises(ValueError, match=name):
        Convolution(**{name: 0})


def test_a_rule_that_is_not_whole_is_refused():
    predicted, targets = pictures()
    settings, arrays = QUICK.fit(observed(predicted, targets)).state()
    with pytest.raises(ValueError, match="shapes"):
        Convolved.restore(settings, {**arrays, "step": np.ones(2)})
    with pytest.raises(ValueError, match="shapes"):
        Convolved.restore({**settings, "input_channels": 2}, arrays)
    with pytest.raises(ValueError, match="finite numbers in 'scale'"):
        Convolved.restore(settings, {**arrays, "scale": np.full_like(arrays["scale"], np.nan)})
    with pytest.raises(KeyError):
        Convolved.restore(settings, {})


def test_importing_the_module_does_not_import_torch():
    code = "import sys; from ensembles.combining import convolution; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
