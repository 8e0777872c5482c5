from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles import BadPredictions
from ensembles.combining.combiner import Predicted
from ensembles.combining.confidence import ByConfidence, ConfidenceWeighted
from ensembles.combining.method import InMemory
from ensembles.combining.simplex import best_on_simplex


@dataclass(frozen=True)
class Judge:
    output: str = "dense"
    gain_metric: str = "psnr"

    def scores(self, predictions, targets):
        mse = np.square(predictions - targets).reshape(len(targets), -1).mean(axis=1)
        return {"mse": mse, "psnr": -10 * np.log10(mse)}

    def summarize(self, scores):
        return {name: float(values.mean()) for name, values in scores.items()}


SHAPE = (20, 3, 5, 7)


def heteroscedastic(seed, members=3, shape=SHAPE):
    """Members with independent errors, each of another size at every value, which they know up to a factor."""
    generator = np.random.default_rng(seed)
    targets = generator.normal(size=shape)
    told = generator.normal(0, 1.5, size=(members, *shape))
    factors = generator.normal(0, 2, size=members)
    values = [
        targets + np.exp((own + factor) / 2) * generator.normal(size=shape)
        for own, factor in zip(told, factors, strict=True)
    ]
    return Predicted(np.zeros(len(targets)), values, list(told)), targets, factors


def observed(predicted, targets, output="dense", at_once=6):
    return InMemory(Judge(output), predicted, targets, at_once=at_once)


def mse(values, targets):
    return np.square(values - targets).mean()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_members_that_know_where_they_err_are_better_weighted_by_it_than_alike(seed, members):
    predicted, targets, _ = heteroscedastic(seed, members)
    half = np.arange(20) < 10
    rule = ConfidenceWeighted().fit(observed(predicted.rows(half), targets[half]))
    found, truth = rule(predicted.rows(~half)), targets[~half]
    others = [values[~half] for values in predicted.values]
    assert mse(found, truth) < mse(np.mean(others, axis=0), truth)


@pytest.mark.parametrize("seed", range(5))
def test_members_of_equal_worth_that_know_where_they_err_are_better_together_than_each_alone(seed):
    predicted, targets, factors = heteroscedastic(seed)
    level = [
        targets + (values - targets) / np.exp(factor / 2)
        for values, factor in zip(predicted.values, factors, strict=True)
    ]
    alike = Predicted(predicted.inputs, level, predicted.log_variances)
    found = ConfidenceWeighted().fit(observed(alike, targets))(alike)
    assert mse(found, targets) < 0.6 * min(mse(values, targets) for values in level)


def test_the_scale_of_each_member_is_what_its_variances_were_off_by():
    predicted, targets, factors = heteroscedastic(0, shape=(400, 1, 5, 7))
    rule = ConfidenceWeighted().fit(observed(predicted, targets))
    np.testing.assert_allclose(rule.log_scales, factors, atol=0.05)
    direct = [
        np.log(np.mean(np.square(values - targets) / np.exp(told)))
        for values, told in zip(predicted.values, predicted.log_variances, strict=True)
    ]
    np.testing.assert_allclose(rule.log_scales, direct, atol=1e-12)


def test_weights_are_one_over_the_recalibrated_variances():
    predicted, targets, _ = heteroscedastic(1)
    rule = ConfidenceWeighted().fit(observed(predicted, targets))
    precision = np.exp(-(np.array(predicted.log_variances) + rule.log_scales[:, None, None, None, None]))
    expected = (precision * predicted.values).sum(axis=0) / precision.sum(axis=0)
    np.testing.assert_allclose(rule(predicted), expected, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.lists(st.floats(-600, 600), min_size=3, max_size=3))
def test_scaling_the_variances_of_a_member_changes_nothing(seed, shifts):
    predicted, targets, _ = heteroscedastic(seed)
    shifted = [told + shift for told, shift in zip(predicted.log_variances, shifts, strict=True)]
    other = Predicted(predicted.inputs, predicted.values, shifted)
    rules = [ConfidenceWeighted().fit(observed(each, targets)) for each in (predicted, other)]
    np.testing.assert_allclose(rules[1](other), rules[0](predicted), atol=1e-9)


def test_variances_beyond_the_range_of_floats_do_no_harm():
    predicted, targets, _ = heteroscedastic(2)
    extreme = [1e4 * np.sign(told) for told in predicted.log_variances]
    wild = Predicted(predicted.inputs, predicted.values, extreme)
    rule = ConfidenceWeighted().fit(observed(wild, targets))
    assert np.isfinite(rule(wild)).all()


def test_a_member_without_error_takes_all_weight():
    predicted, targets, _ = heteroscedastic(3)
    perfect = Predicted(predicted.inputs, [targets, *predicted.values[1:]], predicted.log_variances)
    rule = ConfidenceWeighted().fit(observed(perfect, targets))
    np.testing.assert_array_equal(rule(perfect), targets)


@pytest.mark.parametrize("shape", [(20, 1, 5, 7), (20, 1, 1, 1), (1, 3, 1, 1), ()])
def test_confidence_may_be_given_for_pixels_examples_or_channels(shape):
    generator = np.random.default_rng(0)
    targets = generator.normal(size=SHAPE)
    values = [targets + generator.normal(size=SHAPE) for _ in range(2)]
    told = [generator.normal(size=shape) for _ in range(2)]
    spread = Predicted(np.zeros(20), values, [np.broadcast_to(each, SHAPE) for each in told])
    if shape[:1] == (1,) or not shape:  # InMemory cuts rows, which these do not have
        rules = [ConfidenceWeighted().fit(observed(spread, targets))]
    else:
        given_so = Predicted(np.zeros(20), values, told)
        rules = [ConfidenceWeighted().fit(observed(each, targets)) for each in (given_so, spread)]
    for rule in rules:
        np.testing.assert_allclose(rule(Predicted(np.zeros(20), values, told)), rules[-1](spread), atol=1e-12)


def test_a_part_of_the_weight_may_come_from_a_base():
    predicted, targets, _ = heteroscedastic(4)
    seen = observed(predicted, targets)
    sure = ConfidenceWeighted().fit(seen)(predicted)
    mixed = ConfidenceWeighted(share=0.25).fit(seen)(predicted)
    np.testing.assert_allclose(mixed, 0.25 * sure + 0.75 * np.mean(predicted.values, axis=0))
    base = ConfidenceWeighted(share=0.25, base=lambda grams: best_on_simplex(grams.mean(axis=0))).fit(seen)
    weights = best_on_simplex(seen.gram.mean(axis=0))
    np.testing.assert_allclose(base(predicted), 0.25 * sure + 0.75 * np.tensordot(weights, predicted.values, 1))


def test_probabilities_still_sum_to_one():
    generator = np.random.default_rng(0)
    targets = np.eye(4)[generator.integers(4, size=30)]
    values = list(generator.dirichlet(np.ones(4), size=(3, 30)))
    predicted = Predicted(np.zeros(30), values, list(generator.normal(size=(3, 30, 4))))
    result = ConfidenceWeighted().fit(observed(predicted, targets, "probabilities"))(predicted)
    np.testing.assert_allclose(result.sum(axis=1), 1)


def test_it_does_not_suit_members_of_which_one_tells_nothing():
    predicted, targets, _ = heteroscedastic(5)
    assert ConfidenceWeighted().unsuited(observed(predicted, targets)) is None
    silent = Predicted(predicted.inputs, predicted.values)
    assert "variances" in ConfidenceWeighted().unsuited(observed(silent, targets))
    with pytest.raises(ValueError, match="log-variances of every member, got none"):
        ConfidenceWeighted().fit(observed(silent, targets))
    with pytest.raises(ValueError, match="log-variances of every member, got none"):
        ConfidenceWeighted().fit(observed(predicted, targets))(silent)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_variance_that_is_not_finite_is_refused_by_the_number_of_its_member(bad):
    predicted, targets, _ = heteroscedastic(6)
    rule = ConfidenceWeighted().fit(observed(predicted, targets))
    predicted.log_variances[1][19, 2, 4, 6] = bad
    for use in (lambda: ConfidenceWeighted().fit(observed(predicted, targets)), lambda: rule(predicted)):
        with pytest.raises(BadPredictions, match=r"Member 1: expected finite log-variances.* 1 of \d+"):
            use()


def test_a_variance_of_another_shape_is_refused():
    predicted, targets, _ = heteroscedastic(7)
    told = [predicted.log_variances[0], predicted.log_variances[1], np.zeros((20, 2, 5, 7))]
    with pytest.raises(BadPredictions, match="Member 2: expected log-variances that broadcast"):
        ConfidenceWeighted().fit(observed(Predicted(predicted.inputs, predicted.values, told), targets))
    wider = [np.zeros((2, *SHAPE)), *predicted.log_variances[1:]]
    rule = ConfidenceWeighted().fit(observed(predicted, targets))
    with pytest.raises(BadPredictions, match="Member 0: expected log-variances that broadcast"):
        rule(Predicted(predicted.inputs, predicted.values, wider))


def test_a_rule_that_was_stored_predicts_the_same_bytes():
    predicted, targets, _ = heteroscedastic(8)
    values = [each.astype(np.float32) for each in predicted.values]
    predicted = Predicted(predicted.inputs, values, predicted.log_variances)
    rule = ConfidenceWeighted(share=0.7).fit(observed(predicted, targets))
    again = ByConfidence.restore(*rule.state())
    assert again(predicted).dtype == np.float32
    assert again(predicted).tobytes() == rule(predicted).tobytes()
    assert again.asks_confidence


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, np.nan])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="0 < share <= 1"):
        ConfidenceWeighted(share)


def test_without_examples_nothing_is_calibrated():
    empty = Predicted(np.zeros(0), [np.zeros((0, 2))], [np.zeros((0, 2))])
    with pytest.raises(ValueError, match="at least one example"):
        ConfidenceWeighted().fit(observed(empty, np.zeros((0, 2))))
