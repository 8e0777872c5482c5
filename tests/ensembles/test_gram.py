import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles import BadPredictions, ErrorGram, ambiguity, blend, blend_error, error_correlation
from ensembles.combining.gram import blend_each


@st.composite
def problems(draw):
    """Predictions (k, N, ...) and targets (N, ...) of any size and scale, and weights (k,)."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    members, examples = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    shape = draw(st.sampled_from([(), (3,), (3, 5, 7), (2, 11)]))
    targets = generator.normal(size=(examples, *shape))
    spread = 10.0 ** generator.uniform(-2, 1, size=(members,) + (1,) * targets.ndim)
    predictions = targets + spread * generator.normal(size=(members, *targets.shape))
    weights = generator.dirichlet(np.ones(members))
    return predictions.astype(np.float32), targets.astype(np.float32), weights


@given(problems(), st.integers(1, 5))
@settings(deadline=None)
def test_gram_scores_equal_direct_scores(problem, batch):
    predictions, targets, weights = problem
    gram = ErrorGram(len(predictions))
    for start in range(0, len(targets), batch):
        part = slice(start, start + batch)
        gram.add(predictions[:, part], targets[part])
    blended = np.tensordot(weights, predictions.astype(np.float64), axes=1)
    direct = np.square(blended - targets).reshape(len(targets), -1).mean(axis=1)
    np.testing.assert_allclose(blend_error(gram.per_example, weights), direct, rtol=1e-9, atol=1e-12)


@given(problems())
@settings(deadline=None)
def test_ambiguity_is_what_the_blend_gains_on_its_members_mean_error(problem):
    predictions, targets, weights = problem
    gram = ErrorGram(len(predictions))
    gram.add(predictions, targets)
    total = gram.per_example.mean(axis=0)
    blended = np.tensordot(weights, predictions.astype(np.float64), axes=1)
    spread = np.tensordot(weights, np.square(predictions - blended), axes=1)  # Krogh & Vedelsby's other side
    assert ambiguity(total, weights) == pytest.approx(spread.mean(), rel=1e-6, abs=1e-9)
    assert ambiguity(total, weights) >= -1e-12
    assert np.abs(error_correlation(total)).max() <= 1


@pytest.mark.parametrize("at_once", [1, 20, 3 * 35, 3 * 3 * 35])
def test_large_batches_are_taken_in_parts_and_give_the_same(monkeypatch, at_once):
    generator = np.random.default_rng(0)
    predictions, targets = generator.normal(size=(2, 11, 5, 7)), generator.normal(size=(11, 5, 7))
    whole, parts = ErrorGram(2), ErrorGram(2)
    whole.add(predictions, targets)
    monkeypatch.setattr("ensembles.combining.gram._VALUES_AT_ONCE", at_once)
    parts.add(predictions, targets)
    np.testing.assert_allclose(whole.per_example, parts.per_example, rtol=1e-12)


@pytest.mark.parametrize("members", [1, 3, 8, 9, 20])
@pytest.mark.parametrize("values", [1, 767, 768, 769, 1537, 12288])
def test_every_value_and_every_pair_of_members_counts_once(members, values):
    generator = np.random.default_rng(0)
    predictions, targets = generator.normal(size=(members, 2, values)), generator.normal(size=(2, values))
    gram = ErrorGram(members)
    gram.add(predictions.astype(np.float32), targets.astype(np.float32))
    errors = predictions.astype(np.float32).astype(np.float64) - targets.astype(np.float32)
    np.testing.assert_allclose(
        gram.per_example, np.einsum("inv,jnv->nij", errors, errors) / values, rtol=1e-12, atol=1e-12
    )
    np.testing.assert_array_equal(gram.per_example, gram.per_example.transpose(0, 2, 1))


def test_small_errors_of_large_predictions_keep_their_digits():
    # An error of 1e-3 at values of 1000: float32 holds these exactly, its products would not.
    errors = np.random.default_rng(0).integers(-20, 20, (2, 1, 5000)) / 2**13
    gram = ErrorGram(2)
    gram.add((1000 + errors).astype(np.float32), np.full((1, 5000), 1000, np.float32))
    np.testing.assert_allclose(gram.per_example[0], errors[:, 0] @ errors[:, 0].T / 5000, rtol=1e-12)


def test_a_batch_takes_little_memory_beside_its_predictions():
    predictions = np.zeros((8, 64, 3, 32, 32), np.float32)  # 12 MiB of errors, were they all held
    targets = np.zeros((64, 3, 32, 32), np.float32)
    tracemalloc.start()
    ErrorGram(8).add(predictions, targets)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 2**20


def test_a_dropped_member_leaves_the_gram_of_the_others():
    generator = np.random.default_rng(0)
    predictions, targets = generator.normal(size=(3, 4, 5)), generator.normal(size=(4, 5))
    all_three, others = ErrorGram(3), ErrorGram(2)
    all_three.add(predictions, targets)
    others.add(predictions[[0, 2]], targets)
    all_three.drop(1)
    assert all_three.members == 2
    np.testing.assert_allclose(all_three.per_example, others.per_example, rtol=1e-12)
    all_three.add(predictions[[0, 2]], targets)
    assert all_three.per_example.shape == (8, 2, 2)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: np.where(np.arange(7) == 3, np.nan, a), "NaN or infinity in 2 of 14"),
        (lambda a: np.where(np.arange(7) == 3, np.inf, a), "NaN or infinity"),
        (lambda a: a[:, :1], r"expected predictions of shape \(2, 7\), got \(2, 1\)"),
        (lambda a: a.astype(int), "floating point, got int64"),
    ],
)
def test_bad_predictions_name_the_member_and_leave_nothing_behind(spoil, message):
    targets = np.zeros((2, 7))
    gram = ErrorGram(3)
    with pytest.raises(BadPredictions, match=message) as caught:
        gram.add([np.ones((2, 7)), np.ones((2, 7)), spoil(np.ones((2, 7)))], targets)
    assert caught.value.member == 2
    assert len(gram.per_example) == 0


@pytest.mark.parametrize("targets", [np.full((2, 7), np.nan), np.empty((0, 7)), None])
def test_missing_targets_are_refused(targets):
    with pytest.raises(ValueError, match="targets"):
        ErrorGram(1).add([np.zeros((2, 7))], targets)


def test_another_number_of_members_is_refused():
    with pytest.raises(ValueError, match="predictions of 3 members, got 2"):
        ErrorGram(3).add(np.zeros((2, 4, 5)), np.zeros((4, 5)))
    with pytest.raises(ValueError, match="at least one member"):
        ErrorGram(0)


def test_errors_too_large_to_be_squared_are_refused():
    gram = ErrorGram(2)
    with pytest.raises(BadPredictions, match="Member 1: expected errors that can be squared"):
        gram.add([np.ones((1, 3)), np.full((1, 3), 1e200)], np.zeros((1, 3)))
    assert len(gram.per_example) == 0


def test_weights_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ValueError, match=r"sum to one, got \[0.5, 0.4\] \(sum 0.9\)"):
        blend_error(np.eye(2), [0.5, 0.4])
    with pytest.raises(ValueError, match="each of 2 members"):
        blend_error(np.eye(2), [1.0])


def test_a_blend_holds_one_prediction_at_a_time_and_checks_each():
    def stream():
        yield np.ones((2, 3), np.float32)
        yield np.full((2, 3), 3, np.float32)

    np.testing.assert_array_equal(blend(stream(), [0.25, 0.75]), np.full((2, 3), 2.5, np.float32))
    with pytest.raises(BadPredictions, match=r"Member 1: expected predictions of shape \(2, 3\), got \(2, 1\)"):
        blend([np.ones((2, 3), np.float32), np.ones((2, 1), np.float32)], [0.5, 0.5])


def test_error_correlation_is_one_for_twins_and_zero_for_errors_apart():
    errors = np.array([[1.0, 0, 0, 0], [2, 0, 0, 0], [0, 3, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 0]])
    expected = [[1, 1, 0, -1, 0], [1, 1, 0, -1, 0], [0, 0, 1, 0, 0], [-1, -1, 0, 1, 0], [0, 0, 0, 0, 1]]
    np.testing.assert_allclose(error_correlation(errors @ errors.T), expected)


def test_rounding_never_takes_a_correlation_past_one():
    for size in np.linspace(0.1, 2, 200):  # sqrt(size)**2 < size for a fifth of these
        assert np.abs(error_correlation(np.full((2, 2), size))).max() == 1


def test_a_blend_with_weights_for_each_example_is_the_blend_of_each_alone():
    generator = np.random.default_rng(0)
    predictions = [generator.normal(size=(3, 2, 5, 7)).astype(np.float32) for _ in range(4)]
    weights = generator.dirichlet(np.ones(4), size=3)
    blended = blend_each(predictions, weights)
    for row in range(3):
        alone = blend([p[row : row + 1] for p in predictions], weights[row])
        np.testing.assert_allclose(blended[row : row + 1], alone, rtol=1e-6)
    assert blended.dtype == np.float32
