import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.members.folds import Fold, Folds


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
