import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.account.evaluate import error_correlation
from ensembles.combining.combiner import Predicted, Subset, Weighted
from ensembles.combining.gram import blend_error
from ensembles.combining.method import InMemory, fold_of
from ensembles.combining.selection import best_few, diverse_order
from ensembles.combining.weighting import (
    BaggedGreedy,
    BestSingle,
    Greedy,
    InverseVariance,
    Limited,
    Mean,
    Simplex,
    SimplexLog,
)

METHODS = (BestSingle(), Mean(), InverseVariance(), Simplex(), SimplexLog(), Greedy(), BaggedGreedy())
BY_NAME = pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)


class Measures:
    output = "values"
    gain_metric = "mse"


class Matrices:
    """Examples of which nothing but their Gram matrices is known: who asks for predictions fails."""

    def __init__(self, gram):
        self.gram, self.members = gram, gram.shape[-1]

    def of(self, members):
        return Matrices(self.gram[np.ix_(np.arange(len(self.gram)), members, members)])

    def only(self, examples):
        return Matrices(self.gram[examples])


def observed(members=5, examples=23, seed=0):
    generator = np.random.default_rng(seed)
    targets = generator.normal(size=(examples, 4))
    spread = generator.uniform(0.5, 1.5, (members, 1, 1))
    predictions = targets + spread * generator.normal(size=(members, examples, 4))
    groups = np.arange(examples) // 2
    return InMemory(Measures(), Predicted(targets, list(predictions)), targets, groups)


def total_weights(rule, members):
    weights = np.zeros(members)
    weights[rule.used] = rule.narrowed().weights
    return weights


@pytest.mark.parametrize(
    "method",
    [*METHODS, Limited(Simplex(), 2), Limited(SimplexLog(), 3), Limited(Greedy(), 2, (1, 2, 3, 2, 1), 4.0)],
    ids=lambda method: type(method).__name__,
)
def test_the_rule_of_a_fold_is_the_one_fitted_without_it(method):
    seen = observed()
    fold = fold_of(seen.groups, 5)
    rules = method.cross_fit(Matrices(seen.gram), fold)
    assert len(rules) == 5
    for number, rule in enumerate(rules):
        alone = method.fit(Matrices(seen.gram[fold != number]))
        np.testing.assert_allclose(total_weights(rule, 5), total_weights(alone, 5), atol=1e-7)


@BY_NAME
def test_what_is_known_of_a_fold_does_not_change_its_rule(method):
    seen = observed()
    fold = fold_of(seen.groups, 5)
    spoilt = seen.gram.copy()
    spoilt[fold == 3] *= np.random.default_rng(1).uniform(1, 9, (5, 1)) * np.ones((5, 5))
    spoilt = (spoilt + spoilt.transpose(0, 2, 1)) / 2
    before, after = (method.cross_fit(Matrices(gram), fold)[3] for gram in (seen.gram, spoilt))
    np.testing.assert_allclose(after.weights, before.weights, atol=1e-12)


def test_weights_fitted_to_noise_are_not_believed_without_the_examples_they_were_fitted_to():
    e = np.random.default_rng(0).normal(size=(12, 10, 1))  # ten members of equal worth, twelve examples of one value
    seen, fold = Matrices(e @ e.transpose(0, 2, 1)), np.arange(12) % 5
    believed = blend_error(seen.gram, Simplex().fit(seen).weights).mean()
    rules = Simplex().cross_fit(seen, fold)
    honest = np.mean([blend_error(seen.gram[n], rules[fold[n]].weights) for n in range(12)])
    assert honest > 2 * believed


def test_the_best_single_is_the_first_member_even_where_another_has_a_lower_error():
    assert BestSingle().fit(Matrices(np.diag([2.0, 1.0])[None])).weights.tolist() == [1, 0]


@BY_NAME
def test_one_member_suits_the_best_single_alone(method):
    told = method.unsuited(Matrices(np.ones((3, 1, 1))))
    assert told is None if isinstance(method, BestSingle) else told.startswith("there is one member alone")
    assert method.unsuited(Matrices(np.ones((3, 2, 2)))) is None


@BY_NAME
def test_a_single_fold_is_refused_where_something_is_fitted(method):
    if isinstance(method, BestSingle | Mean):
        assert len(method.cross_fit(observed(), np.zeros(23, dtype=int))) == 1
    else:
        with pytest.raises(ValueError, match="at least two folds"):
            method.cross_fit(observed(), np.zeros(23, dtype=int))


def test_folds_that_do_not_cover_the_examples_are_refused():
    with pytest.raises(ValueError, match=r"fold of each of 23 examples, got shape \(22,\)"):
        Simplex().cross_fit(observed(), np.arange(22) % 5)


def test_no_example_at_all_is_refused():
    with pytest.raises(ValueError, match="for each example"):
        Simplex().fit(Matrices(np.empty((0, 2, 2))))


# Limits


def error_of(gram, chosen, blend):
    inside = gram[np.ix_(chosen, chosen)]
    if blend == "mean":
        return inside.mean()
    return blend_error(inside, Simplex().weigh(inside))


@st.composite
def libraries(draw):
    """A Gram matrix of members in families, their costs, and limits that leave some of them out."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    k = draw(st.integers(2, 7))
    e = generator.normal(size=(k, 60)) * np.exp(generator.normal(0, 0.3, (k, 1))) + 0.7 * generator.normal(size=60)
    e += 0.5 * generator.normal(size=(3, 60))[generator.integers(0, 3, k)]
    costs = generator.uniform(0.5, 5, k)
    return e @ e.T / 60, draw(st.integers(1, k)), costs, generator.uniform(costs.min(), costs.sum())


@given(libraries(), st.sampled_from(["simplex", "mean"]), st.booleans())
@settings(deadline=None, max_examples=200)
def test_the_members_chosen_keep_within_the_limits_and_beat_each_that_could_be_had_alone(library, blend, priced):
    gram, most, costs, budget = library
    if not priced:
        costs, budget = None, np.inf
    chosen = best_few(gram, most, costs, budget, blend)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert 1 <= len(chosen) <= most
    assert costs is None or costs[chosen].sum() <= budget * (1 + 1e-9)
    if len(chosen) < len(gram):
        had = [member for member in range(len(gram)) if costs is None or costs[member] <= budget]
        assert error_of(gram, chosen, blend) <= min(gram[member, member] for member in had) * (1 + 1e-9)


def test_the_members_chosen_are_nearly_always_the_best_of_all_choices():
    generator = np.random.default_rng(0)
    off = []
    for _ in range(60):
        k, most = 7, int(generator.integers(1, 6))
        e = generator.normal(size=(k, 60)) * np.exp(generator.normal(0, 0.3, (k, 1))) + 0.7 * generator.normal(size=60)
        gram, costs = e @ e.T / 60, generator.uniform(0.5, 5, k)
        budget = generator.uniform(costs.min(), costs.sum())
        choices = [list(c) for size in range(1, most + 1) for c in itertools.combinations(range(k), size)]
        best = min(error_of(gram, c, "simplex") for c in choices if costs[c].sum() <= budget)
        off.append(error_of(gram, best_few(gram, most, costs, budget), "simplex") / best - 1)
    assert np.mean(np.array(off) > 1e-3) <= 0.05


def test_limits_that_leave_room_for_all_change_nothing():
    seen = observed()
    whole = Simplex().fit(seen)
    limited = Limited(Simplex(), 5, [1, 2, 3, 4, 5], 15.0).fit(seen)
    np.testing.assert_allclose(total_weights(limited, 5), whole.weights)


def test_where_all_can_be_had_those_without_weight_are_not_left_out():
    assert best_few(np.array([[1.0, 2], [2, 9]]), 2).tolist() == [0, 1]


@pytest.mark.parametrize("seed", [98, 216, 396])
def test_members_are_exchanged_where_adding_one_after_the_other_leads_astray(seed):
    generator = np.random.default_rng(seed)
    e = generator.normal(size=(8, 20)) + 0.7 * generator.normal(size=20)
    gram = e @ e.T / 20
    best = min(itertools.combinations(range(8), 3), key=lambda chosen: error_of(gram, list(chosen), "simplex"))
    assert best_few(gram, 3).tolist() == list(best)


def test_a_member_that_brings_next_to_nothing_is_left_out():
    assert best_few(np.diag([1.0, 1e5, 2e5]), 2).tolist() == [0]


def test_a_twin_of_a_member_is_not_paid_for():
    e = np.random.default_rng(0).normal(size=(4, 50))
    e[2] = e[0]
    assert not {0, 2} <= set(best_few(e @ e.T / 50, 3).tolist())


def test_a_cheap_pair_is_found_beside_a_good_member_that_would_take_the_whole_budget():
    gram = np.array([[1.0, 0, 0], [0, 1.2, 0], [0, 0, 1.2]])
    assert best_few(gram, 3, [10, 5, 5], 10).tolist() == [1, 2]
    assert best_few(gram, 3, [10, 5, 6], 10).tolist() == [0]


def test_many_cheap_members_are_found_beside_several_better_ones_that_each_take_the_whole_budget():
    gram = np.diag([1.0, 1.0, 1.0, 1.0, 1.2, 1.2, 1.2])
    assert best_few(gram, 5, [10] * 4 + [3] * 3, 10).tolist() == [4, 5, 6]


def test_a_perfect_member_is_enough():
    assert best_few(np.diag([1.0, 0.0, 2.0]), 2).tolist() == [1]


def test_a_limited_rule_takes_its_members_from_among_all():
    seen = observed(seed=1)
    rule = Limited(Mean(), 2, blend="mean").fit(seen)
    assert isinstance(rule, Subset)
    assert len(rule.used) == 2
    predicted, _ = next(seen.stream())
    expected = np.mean([predicted.values[position] for position in rule.used], axis=0)
    np.testing.assert_allclose(rule(predicted), expected)
    assert isinstance(rule.narrowed(), Weighted)


def test_the_choice_of_members_is_made_without_the_fold_it_is_judged_on():
    # In fold 0 members 0 and 1 are the best, everywhere else 2 and 3.
    good, bad = np.diag([1.0, 1.0, 9.0, 9.0]), np.diag([9.0, 9.0, 1.0, 1.0])
    fold = np.array([0, 0, 0, 0, 1, 1, 2])
    seen = Matrices(np.array([good] * 4 + [bad] * 3))
    rules = Limited(Simplex(), 2).cross_fit(seen, fold)
    assert [rule.used.tolist() for rule in rules] == [[2, 3], [0, 1], [0, 1]]


def test_a_budget_below_the_cheapest_member_is_refused_with_both_figures():
    with pytest.raises(ValueError, match=r"got 2; it costs 2\.5"):
        Limited(Mean(), 2, [4.0, 2.5, 9.0, 3.0, 3.0], 2.0).fit(observed())


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"max_members": 0}, "max_members >= 1"),
        ({"max_members": 2, "max_cost": 5.0}, "costs of the members"),
        ({"max_members": 2, "costs": [1.0, -1.0], "max_cost": 5.0}, "finite costs >= 0"),
        ({"max_members": 2, "costs": [1.0, np.nan], "max_cost": 5.0}, "finite costs >= 0"),
    ],
)
def test_limits_that_make_no_sense_are_refused_at_once(settings_, message):
    with pytest.raises(ValueError, match=message):
        Limited(Mean(), **settings_)


def test_costs_of_other_members_are_refused():
    with pytest.raises(ValueError, match="one cost for each of 5 members"):
        Limited(Mean(), 2, [1.0, 2.0], 5.0).fit(observed())


# Diversity


def test_without_diversity_the_order_is_that_of_the_scores():
    gram = observed(6).gram.mean(axis=0)
    assert diverse_order(gram, [3, 5, 5, 1, 4, 2], 0).tolist() == [1, 2, 4, 0, 5, 3]


def test_with_diversity_a_twin_of_the_best_comes_after_a_worse_member_that_errs_elsewhere():
    e = np.array([[1.0, 0, 0], [1, 0.1, 0], [0, 1.2, 0]])
    scores = [3.0, 2.9, 2.0]  # 1, 0.9, 0 once stretched; correlation with the first: 1, 0
    assert diverse_order(e @ e.T, scores, 0.0).tolist() == [0, 1, 2]
    assert diverse_order(e @ e.T, scores, 0.8).tolist() == [0, 1, 2]
    assert diverse_order(e @ e.T, scores, 1.0).tolist() == [0, 2, 1]


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.floats(0, 1))
@settings(deadline=None)
def test_each_member_comes_once_and_the_best_score_first(seed, members, diverse):
    generator = np.random.default_rng(seed)
    e, scores = generator.normal(size=(members, 20)), generator.normal(size=members)
    order = diverse_order(e @ e.T, scores, diverse)
    assert sorted(order.tolist()) == list(range(members))
    assert order[0] == scores.argmax()


def test_more_diversity_chooses_members_that_correlate_less():
    generator = np.random.default_rng(0)
    lower = []
    for _ in range(50):
        e = generator.normal(size=(10, 40)) + 2 * generator.normal(size=(3, 40))[generator.integers(0, 3, 10)]
        gram, scores = e @ e.T, generator.normal(size=10)
        by_score, diverse = (diverse_order(gram, scores, d)[:4] for d in (0.0, 1.0))
        alike = error_correlation(gram)
        lower.append(alike[np.ix_(by_score, by_score)].mean() - alike[np.ix_(diverse, diverse)].mean())
    assert np.min(lower) > -0.1
    assert np.mean(lower) > 0.1


@pytest.mark.parametrize("scores", [[1.0], [1.0, np.nan]])
def test_scores_that_are_missing_are_refused(scores):
    with pytest.raises(ValueError, match="finite score for each of 2 members"):
        diverse_order(np.eye(2), scores, 0.5)


def test_more_diversity_than_there_is_is_refused():
    with pytest.raises(ValueError, match="0 <= diverse <= 1, got 2"):
        diverse_order(np.eye(2), [1, 2], 2)
