import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from ensembles.combining.gram import blend_error
from ensembles.combining.greedy import bagged_greedy, greedy
from ensembles.combining.simplex import best_for_log_error, best_for_log_error_each, best_on_simplex
from ensembles.combining.weights import inverse_variance, uniform


@st.composite
def errors(draw, most=5):
    """Errors (k, V): members of very different quality, with a shared part, now and then a near-duplicate."""
    k, values = draw(st.integers(1, most)), draw(st.integers(1, 40))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    result = generator.normal(size=(k, values)) * 10.0 ** generator.uniform(-1, 1, size=(k, 1))
    result += generator.normal(size=values) * draw(st.sampled_from([0.0, 0.3, 3.0]))
    if k > 1 and draw(st.booleans()):
        result[1] = result[0] * (1 + 10.0 ** -draw(st.integers(1, 12)))
    return result


def gram_of(e):
    return e @ e.T / e.shape[1]


def ridged(gram, ridge):
    return gram + ridge * gram.diagonal().min() * np.eye(len(gram))


def by_brute_force(matrix):
    """The minimum over the simplex, as the best of the stationary points of all its faces."""
    best, best_value = None, np.inf
    for size in range(1, len(matrix) + 1):
        for face in itertools.combinations(range(len(matrix)), size):
            inside = np.linalg.solve(matrix[np.ix_(face, face)], np.ones(size))
            weights = np.zeros(len(matrix))
            weights[list(face)] = inside / inside.sum()
            value = weights @ matrix @ weights
            if weights.min() >= 0 and value < best_value:
                best, best_value = weights, value
    return best


@given(errors(), st.sampled_from([1e-4, 1e-3, 1e-2]))
@settings(deadline=None, max_examples=300)
def test_simplex_weights_match_brute_force(e, ridge):
    gram = gram_of(e)
    expected = by_brute_force(ridged(gram, ridge))
    assume(blend_error(gram, expected) <= gram.diagonal().min())  # else the best member takes all: next test
    np.testing.assert_allclose(best_on_simplex(gram, ridge), expected, atol=1e-6)  # both lose nine digits at worst


@pytest.mark.parametrize("seed", [163, 775, 2046])  # least squares alone is wrong by up to 5e-5 on these
def test_simplex_weights_keep_their_digits_beside_duplicates_and_hopeless_members(seed):
    e = np.random.default_rng(seed).normal(size=(3, 5))
    e[1] = e[0] * (1 + 1e-3)
    e[2] *= 1e3
    expected = by_brute_force(ridged(gram_of(e), 1e-4))
    np.testing.assert_allclose(best_on_simplex(gram_of(e), 1e-4), expected, atol=1e-9)


def test_the_best_member_takes_all_where_the_ridge_would_cost_more_than_the_blend_gains():
    gram = gram_of(np.array([[1.0, 0.0], [2.0, 0.0]]))
    assert by_brute_force(ridged(gram, 5.0))[0] < 1
    np.testing.assert_array_equal(best_on_simplex(gram, 5.0), [1, 0])


@pytest.mark.parametrize("seed", range(5))
def test_simplex_weights_match_a_general_solver(seed):
    generator = np.random.default_rng(seed)
    gram = gram_of(generator.normal(size=(7, 60)) + generator.normal(size=60))
    matrix = ridged(gram, 1e-3)
    found = minimize(
        lambda w: w @ matrix @ w,
        uniform(7),
        jac=lambda w: 2 * matrix @ w,
        method="SLSQP",
        bounds=[(0, 1)] * 7,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(7)},
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    np.testing.assert_allclose(best_on_simplex(gram, 1e-3), found.x, atol=1e-6)


@given(errors(most=12), st.sampled_from([0.0, 1e-3]))
@settings(deadline=None, max_examples=200)
def test_fitted_weights_lie_on_the_simplex_and_are_never_worse_than_the_best_member(e, ridge):
    gram = gram_of(e)
    for weights in (best_on_simplex(gram, ridge), greedy(gram), bagged_greedy(gram, bags=3)):
        assert weights.shape == (len(e),)
        assert weights.min() >= 0
        assert weights.sum() == pytest.approx(1, abs=1e-12)
        assert blend_error(gram, weights) <= gram.diagonal().min() * (1 + 1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(2, 8))
@settings(deadline=None)
def test_fitted_weights_do_not_depend_on_the_order_of_the_members(seed, members):
    generator = np.random.default_rng(seed)
    gram = gram_of(generator.normal(size=(members, 30)) + generator.normal(size=30))
    order = generator.permutation(members)
    for fit in (best_on_simplex, greedy, inverse_variance):
        np.testing.assert_allclose(fit(gram[np.ix_(order, order)]), fit(gram)[order], atol=1e-9)


def test_near_duplicates_share_their_weight():
    generator = np.random.default_rng(0)
    e = generator.normal(size=(3, 200))
    e[1] = e[0] + 1e-5 * generator.normal(size=200)
    weights = best_on_simplex(gram_of(e))
    assert weights[0] == pytest.approx(weights[1], rel=1e-2)
    assert weights[2] > 0.4


def test_perfect_members_share_all_weight():
    np.testing.assert_array_equal(best_on_simplex(np.diag([0.0, 2.0, 0.0])), [0.5, 0, 0.5])


def direct_greedy(predictions, targets, rounds):
    """Ensemble selection as its authors tell it: bags of members, scored over stored predictions."""

    def error(bag):
        return np.square(np.mean([predictions[member] for member in bag], axis=0) - targets).mean()

    order = sorted(range(len(predictions)), key=lambda member: error([member]))
    bags = [order[: size + 1] for size in range(min(rounds, len(order)))]
    bag = min(bags, key=error)
    seen = [bag]
    while len(bag) < rounds:
        bag = min(([*bag, member] for member in range(len(predictions))), key=error)
        seen.append(bag)
    return np.bincount(min(seen, key=error), minlength=len(predictions))


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 12))
@settings(deadline=None)
def test_greedy_picks_the_same_members_as_a_direct_search_over_pixels(seed, members, rounds):
    generator = np.random.default_rng(seed)
    targets = generator.normal(size=(3, 5, 7))
    shared = generator.normal(size=(3, 5, 7))
    spread = generator.uniform(0.3, 2, size=(members, 1, 1, 1))
    predictions = targets + 0.5 * shared + spread * generator.normal(size=(members, 3, 5, 7))
    counts = direct_greedy(predictions, targets, rounds)
    weights = greedy(gram_of((predictions - targets).reshape(members, -1)), rounds)
    np.testing.assert_allclose(weights, counts / counts.sum(), atol=1e-12)


def test_greedy_prefers_members_already_in_over_their_duplicates():
    e = np.array([[1.1, 0.2], [0.1, 1.0], [1.1, 0.2]])
    weights = greedy(gram_of(e), rounds=40)
    assert (weights > 0).tolist() == [True, True, False]


def test_greedy_keeps_the_best_prefix_and_not_the_last_bag():
    gram = np.diag([1.0, 1.0])
    np.testing.assert_array_equal(greedy(gram, rounds=5), [0.5, 0.5])  # three of five picks are worse than one of two


def test_greedy_needs_a_round():
    with pytest.raises(ValueError, match="rounds >= 1, got 0"):
        greedy(np.eye(2), 0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 5), st.integers(1, 12))
@settings(deadline=None)
def test_bagged_greedy_is_the_mean_of_greedy_selections_from_parts_of_the_members(seed, members, bags, rounds):
    e = np.random.default_rng(seed).normal(size=(members, 30))
    gram = gram_of(e + np.random.default_rng(seed + 1).normal(size=30))
    drawn = np.random.default_rng(seed).random((bags, members)).argsort(axis=1) < np.ceil(members / 2)
    expected = np.zeros(members)
    for bag in drawn:
        inside = np.flatnonzero(bag)
        expected[inside] += greedy(gram[np.ix_(inside, inside)], rounds) / bags
    if blend_error(gram, expected) > gram.diagonal().min():
        expected = np.eye(members)[gram.diagonal().argmin()]
    np.testing.assert_allclose(bagged_greedy(gram, rounds, bags, seed=seed), expected, atol=1e-12)


def test_bagged_greedy_is_the_same_for_the_same_seed_alone():
    gram = gram_of(np.random.default_rng(0).normal(size=(12, 50)))
    first, again, other = (bagged_greedy(gram, bags=4, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize("wrong", [{"bags": 0}, {"share": 0.0}, {"share": 1.5}])
def test_bags_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=r"bags >= 1 and 0 < share <= 1"):
        bagged_greedy(np.eye(3), **wrong)


def test_inverse_variance_is_the_best_where_errors_do_not_correlate():
    gram = np.diag([1.0, 2.0, 4.0])
    np.testing.assert_allclose(inverse_variance(gram), [4 / 7, 2 / 7, 1 / 7])
    np.testing.assert_allclose(inverse_variance(gram), best_on_simplex(gram, ridge=0))


def test_inverse_variance_leaves_correlation_out():
    np.testing.assert_allclose(inverse_variance(np.array([[1.0, 0.9], [0.9, 2.0]])), [2 / 3, 1 / 3])


def test_members_that_are_perfect_share_all_inverse_variance():
    np.testing.assert_array_equal(inverse_variance(np.diag([0.0, 2.0, 0.0])), [0.5, 0, 0.5])


@pytest.mark.parametrize("fit", [best_on_simplex, greedy, bagged_greedy, inverse_variance])
@pytest.mark.parametrize("gram", [np.ones((2, 3)), np.empty((0, 0)), np.full((2, 2), np.nan)])
def test_what_is_not_a_gram_matrix_is_refused(fit, gram):
    with pytest.raises(ValueError, match="Gram matrix"):
        fit(gram)


def log_error(per_example, weights):
    return np.log(blend_error(per_example, weights)).mean()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), members=st.integers(1, 6), examples=st.integers(1, 9))
def test_weights_for_the_log_error_have_a_lower_one_than_any_other_fit(seed, members, examples):
    generator = np.random.default_rng(seed)
    scale = np.exp(generator.normal(0, 2, (examples, 1, 1)))  # some examples much harder than others
    e = scale * (generator.normal(size=(examples, members, 11)) + generator.normal(size=(examples, 1, 11)))
    per_example = e @ e.transpose(0, 2, 1) / 11
    found = best_for_log_error(per_example, ridge=0)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)
    others = [uniform(members), *generator.dirichlet(np.ones(members), size=20)]
    start = log_error(per_example, uniform(members))
    assert log_error(per_example, found) <= start + 1e-9
    near = [0.95 * found + 0.05 * other for other in others]
    assert log_error(per_example, found) <= min(log_error(per_example, w) for w in near) + 1e-5


def test_for_the_log_error_easy_examples_count_as_much_as_hard_ones():
    # Member 0 is better on the many easy examples, member 1 on one hard one that outweighs them all in square.
    easy, hard = np.diag([0.01, 0.04]), np.diag([8.0, 2.0])
    per_example = np.array([easy] * 9 + [hard])
    assert best_on_simplex(per_example.mean(axis=0))[0] < 0.3
    assert best_for_log_error(per_example)[0] > 0.7


def test_a_perfect_member_does_not_break_the_log_error():
    per_example = np.array([np.diag([0.0, 1.0]), np.diag([0.0, 2.0])])
    np.testing.assert_allclose(best_for_log_error(per_example), [1, 0], atol=1e-9)


def test_weights_for_the_log_error_of_several_choices_are_those_of_each_alone():
    generator = np.random.default_rng(0)
    e = np.exp(generator.normal(0, 1, (20, 1, 1))) * generator.normal(size=(20, 4, 9))
    per_example = e @ e.transpose(0, 2, 1) / 9
    counted = np.array([[1.0] * 20, [0, 1] * 10, [1, 1, 0, 0] * 5])
    found = best_for_log_error_each(per_example, counted)
    for weights, some in zip(found, counted, strict=True):
        np.testing.assert_allclose(weights, best_for_log_error(per_example[some > 0]), atol=1e-7)


@pytest.mark.parametrize("scale", [1e-20, 1e12])
def test_weights_for_the_log_error_do_not_depend_on_its_unit(scale):
    e = np.random.default_rng(0).normal(size=(6, 3, 5))
    per_example = e @ e.transpose(0, 2, 1)
    np.testing.assert_allclose(best_for_log_error(scale * per_example), best_for_log_error(per_example), atol=1e-6)


def test_the_best_member_takes_all_where_the_log_error_of_its_blends_is_higher():
    # Alone, member 0 is nearly perfect on one example, which the logarithm prizes and every blend would spoil.
    per_example = np.array([np.diag([1e-9, 1.0]), np.diag([1.0, 0.8])])
    weights = best_for_log_error(per_example)
    assert log_error(per_example, weights) <= log_error(per_example, [1, 0]) + 1e-9


def test_the_log_error_needs_a_matrix_for_each_example():
    with pytest.raises(ValueError, match="for each example"):
        best_for_log_error(np.eye(3))
    with pytest.raises(ValueError, match="for each example"):
        best_for_log_error(np.empty((0, 3, 3)))
