import numpy as np
import pytest

from ensembles.combining.combiner import Predicted, Subset, Weighted
from ensembles.combining.method import fold_of
from ensembles.combining.stored import _KINDS, describe, restored
from ensembles.recipes import METHODS, SUFFIXES, USUAL, recipes, with_soups

VALUES = [np.random.default_rng(seed).normal(size=(2, 3, 5, 7)).astype(np.float32) for seed in range(4)]
PREDICTED = Predicted(np.zeros((2, 1, 5, 7), np.float32), VALUES)


def test_a_subset_takes_its_members_in_its_own_order():
    rule = Subset(Weighted(np.array([0.7, 0.0, 0.3])), np.array([3, 1, 0]), 4)
    assert rule.members == 4
    assert rule.used.tolist() == [3, 0]
    expected = 0.7 * VALUES[3].astype(float) + 0.3 * VALUES[0]
    np.testing.assert_allclose(rule(PREDICTED), expected, rtol=1e-6)
    narrowed = rule.narrowed()
    np.testing.assert_array_equal(narrowed(PREDICTED.of(rule.used)), rule(PREDICTED))


def test_a_subset_of_a_subset_is_one():
    inner = Subset(Weighted(np.array([1.0])), np.array([1]), 3)
    rule = Subset(inner, np.array([3, 2, 0]), 4)
    assert rule.used.tolist() == [2]
    np.testing.assert_array_equal(rule(PREDICTED), VALUES[2])
    settings, arrays = describe(rule)
    np.testing.assert_array_equal(restored(settings, arrays)(PREDICTED.of(rule.used)), VALUES[2])


def test_every_kind_that_a_file_may_name_exists():
    for kind in _KINDS:
        with pytest.raises(ValueError, match=r"whole|[Ee]xpected"):
            restored({"kind": kind, "settings": {}}, {})


def test_rows_and_members_of_what_was_predicted_can_be_chosen():
    told = Predicted(PREDICTED.inputs, VALUES, [value**2 for value in VALUES])
    some = told.of([2, 0]).rows(np.array([False, True]))
    np.testing.assert_array_equal(some.values[0], VALUES[2][1:])
    np.testing.assert_array_equal(some.log_variances[1], VALUES[0][1:] ** 2)
    assert some.inputs.shape == (1, 1, 5, 7)


def test_folds_split_no_group_and_are_of_like_size():
    groups = np.repeat(np.arange(23), 3)
    fold = fold_of(groups, 5, seed=1)
    assert {len(set(fold[groups == group])) for group in range(23)} == {1}
    assert np.ptp(np.bincount(fold)) <= 3
    assert fold_of(np.array([4, 4, 9]), 5).max() == 1
    np.testing.assert_array_equal(fold, fold_of(groups, 5, seed=1))


def test_all_recipes_can_be_made_and_the_single_model_leads():
    names = [recipe.name for recipe in recipes("all")]
    assert names[0] == "best_single"
    assert len(names) == len(METHODS) * (1 + len(SUFFIXES))
    assert {recipe.name for recipe in recipes()} == set(USUAL) <= set(names)
    assert [recipe.name for recipe in recipes(["mean", "mean", "soups"])] == ["best_single", "mean"]
    assert with_soups("all")
    assert with_soups(["mean", "soups"])
    assert not with_soups("usual")
