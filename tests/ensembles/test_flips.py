import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.capabilities import Confident
from ensembles.members.flips import Flipped
from ensembles.predictor import Predictor

AXES = [(-1,), (-2,), (-2, -1), (-1, -2, -3)]


class Told:
    """A predictor made of a function. It remembers what it was asked."""

    output = "dense"
    gain_metric = "psnr"

    def __init__(self, function, flip_axes):
        self.function, self.flip_axes = function, flip_axes
        self.asked = []

    def __call__(self, inputs):
        self.asked.append(inputs)
        return self.function(inputs)

    def batches(self, split):
        yield split

    def scores(self, predictions, targets):
        return {"mse": np.square(predictions - targets).mean(axis=1)}

    def summarize(self, scores):
        return {"mse": 7.0}

    def picture(self, values):
        return np.full((5, 7, 3), 11, np.uint8)


class Unsure(Told):
    def __init__(self, function, doubt, flip_axes):
        super().__init__(function, flip_axes)
        self.doubt = doubt

    def with_log_variance(self, inputs):
        return self(inputs), self.doubt(inputs)


def inputs_of(seed, shape=(2, 3, 5, 7)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def slanted(inputs):
    """No flip undoes it: every pixel looks at its right and its lower neighbour."""
    return inputs + 0.5 * np.roll(inputs, 1, axis=-1) - 0.25 * np.roll(inputs, 1, axis=-2) + inputs.cumsum(axis=-1) / 9


@given(st.integers(0, 2**32 - 1), st.sampled_from(AXES))
@settings(deadline=None, max_examples=40)
def test_a_predictor_that_commutes_with_flips_is_left_as_it_is(seed, axes):
    predictor = Told(lambda inputs: np.tanh(inputs) * np.float32(0.3) - inputs**2, axes)
    inputs = inputs_of(seed)
    np.testing.assert_array_equal(Flipped(predictor)(inputs), predictor(inputs))


@given(st.integers(0, 2**32 - 1), st.sampled_from(AXES))
@settings(deadline=None, max_examples=40)
def test_whatever_the_predictor_a_flipped_input_has_the_flipped_prediction(seed, axes):
    flipped = Flipped(Told(slanted, axes))
    inputs = inputs_of(seed)
    for axis in axes:
        there = flipped(np.flip(inputs, axis))
        np.testing.assert_allclose(np.flip(there, axis), flipped(inputs), atol=1e-6)


def test_it_is_the_mean_over_all_combinations_of_the_axes():
    inputs = inputs_of(0)
    views = [np.flip(slanted(np.flip(inputs, axes)), axes) for axes in [(), (2,), (3,), (2, 3)]]
    expected = np.mean(views, axis=0, dtype=np.float64)
    found = Flipped(Told(slanted, (-1, -2)))(inputs)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32
    assert np.abs(found - slanted(inputs)).max() > 0.1


def test_who_has_the_plain_prediction_pays_for_the_flipped_ones_alone():
    inputs = inputs_of(1)
    predictor = Told(slanted, (-1, -2))
    flipped = Flipped(predictor)
    expected = flipped(inputs)
    assert len(predictor.asked) == flipped.views == 4
    plain = slanted(inputs)
    predictor.asked.clear()
    np.testing.assert_array_equal(flipped.from_plain(plain, inputs), expected)
    assert len(predictor.asked) == 3
    assert not any(np.array_equal(asked, inputs) for asked in predictor.asked)
    np.testing.assert_array_equal(plain, slanted(inputs))  # it is not summed into


def test_flipped_inputs_lie_in_memory_as_pytorch_takes_them():
    predictor = Told(slanted, (-1,))
    Flipped(predictor)(inputs_of(2))
    assert all(stride > 0 for asked in predictor.asked for stride in asked.strides)


def test_data_and_measures_are_those_of_the_predictor_within():
    flipped = Flipped(Told(slanted, (-1,)))
    assert isinstance(flipped, Predictor)
    assert (flipped.output, flipped.gain_metric) == ("dense", "psnr")
    assert list(flipped.batches("val")) == ["val"]
    np.testing.assert_array_equal(flipped.scores(np.ones((2, 3)), np.zeros((2, 3)))["mse"], [1, 1])
    assert flipped.summarize({}) == {"mse": 7.0}
    assert flipped.picture(np.zeros((3, 5, 7))).max() == 11


def test_only_who_is_unsure_says_so_when_flipped():
    assert not isinstance(Flipped(Told(slanted, (-1,))), Confident)
    assert isinstance(Flipped(Unsure(slanted, slanted, (-1,))), Confident)


def test_copies_stay_what_they_are():
    unsure = Unsure(slanted, np.abs, (-1,))
    inputs = inputs_of(3)
    for copied in (copy.copy(Flipped(unsure)), copy.deepcopy(Flipped(unsure))):
        assert isinstance(copied, Confident)
        np.testing.assert_array_equal(copied(inputs), Flipped(unsure)(inputs))


@pytest.mark.parametrize("axes", [(-1,), (-1, -2)])
def test_the_log_variance_is_that_of_the_views_mean_variance_each_flipped_back(axes):
    inputs = inputs_of(4)
    unsure = Unsure(slanted, lambda x: 3 * slanted(x)[:, :1], axes)
    values, told = Flipped(unsure).with_log_variance(inputs)
    views = [()] + ([(3,)] if len(axes) == 1 else [(3,), (2,), (3, 2)])
    variances = [np.flip(np.exp(3 * slanted(np.flip(inputs, view))[:, :1].astype(np.float64)), view) for view in views]
    np.testing.assert_allclose(told, np.log(np.mean(variances, axis=0)), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(values, Flipped(unsure)(inputs))
    assert told.shape == (2, 1, 5, 7)
    assert told.dtype == np.float32
    again = Flipped(unsure).from_plain_with_log_variance((slanted(inputs), 3 * slanted(inputs)[:, :1]), inputs)
    np.testing.assert_array_equal(again[1], told)
    np.testing.assert_array_equal(again[0], values)


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_a_calibrated_predictor_is_never_too_sure_of_its_mean_of_flips(seed):
    generator = np.random.default_rng(seed)
    inputs, shift = inputs_of(seed), generator.normal(size=(3, 5, 7))
    unsure = Unsure(lambda x: x + shift, lambda x: np.broadcast_to(np.log(shift**2), x.shape), (-1, -2))
    values, told = Flipped(unsure).with_log_variance(inputs)
    assert (np.square(values - inputs, dtype=np.float64) <= np.exp(told) * (1 + 1e-4) + 1e-9).all()


@pytest.mark.parametrize("shape", [(2, 1, 1, 1), (2, 1, 5, 1), (5, 7), (7,), ()])
def test_a_log_variance_that_broadcasts_is_flipped_where_it_differs(shape):
    inputs = inputs_of(5)
    told = inputs_of(6, shape)
    unsure = Unsure(slanted, lambda x: told, (-2, -1))
    found = Flipped(unsure).with_log_variance(inputs)[1]
    full = np.broadcast_to(told, inputs.shape)
    expected = Flipped(Unsure(slanted, lambda x: full, (-2, -1))).with_log_variance(inputs)[1]
    assert found.shape == shape
    np.testing.assert_allclose(np.broadcast_to(found, full.shape), expected, atol=1e-6)


def test_very_small_and_very_large_variances_neither_overflow_nor_vanish():
    told = np.full((2, 1, 5, 7), -2000.0)
    told[..., 1:, 3:] = 2000.0
    found = Flipped(Unsure(slanted, lambda x: told, (-1,))).with_log_variance(inputs_of(7))[1]
    np.testing.assert_allclose(found[..., 0, :], -2000)
    np.testing.assert_allclose(found[..., 1:, 3], 2000)
    np.testing.assert_allclose(found[..., 1:, [0, 1, 2, 4, 5, 6]], 2000 - np.log(2))


def test_a_predictor_without_flips_is_refused_with_what_to_do():
    predictor = Told(slanted, (-1,))
    del predictor.flip_axes
    with pytest.raises(ValueError, match=r"got a Told without flip_axes; give it that property"):
        Flipped(predictor)


@pytest.mark.parametrize("axes", [(), (3,), (-1, 0), (-1, -1)])
def test_axes_that_are_none_or_not_counted_from_the_end_are_refused(axes):
    with pytest.raises(ValueError, match=r"flip axes below zero, at least one and none twice, got"):
        Flipped(Told(slanted, axes))


def test_flipping_what_is_flipped_is_refused():
    with pytest.raises(ValueError, match="not flipped yet"):
        Flipped(Flipped(Told(slanted, (-1,))))


def test_the_batch_axis_is_never_flipped():
    with pytest.raises(ValueError, match=r"behind the batch axis, got an array of shape \(2, 3\)"):
        Flipped(Told(slanted, (-2,)))(inputs_of(0, (2, 3)))
    with pytest.raises(ValueError, match=r"behind the batch axis, got an array of shape \(2,\)"):
        Flipped(Told(lambda inputs: inputs.mean(axis=(1, 2, 3)), (-1,)))(inputs_of(0))


def test_a_prediction_of_another_shape_for_the_flipped_input_is_named():
    calls = []

    def changing(inputs):
        calls.append(inputs)
        return inputs[:, : len(calls)]

    with pytest.raises(ValueError, match=r"shape \(2, 1, 5, 7\) for inputs flipped along \[-1\], got \(2, 2, 5, 7\)"):
        Flipped(Told(changing, (-1,)))(inputs_of(0))
