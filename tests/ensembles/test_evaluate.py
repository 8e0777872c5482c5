import tracemalloc

import numpy as np
import pytest

from ensembles import bootstrap_gain


def test_the_interval_covers_the_truth_at_about_its_nominal_rate():
    generator = np.random.default_rng(0)
    inside = 0
    for trial in range(300):
        best = generator.normal(20, 5, size=80)
        gain = bootstrap_gain(best, best + generator.normal(0.3, 1, size=80), seed=trial, repeats=500, level=0.9)
        inside += gain.low <= 0.3 <= gain.high
    assert 0.84 <= inside / 300 <= 0.95


def test_examples_of_one_group_count_as_one():
    generator = np.random.default_rng(0)
    inside = {"groups": 0, "alone": 0}
    groups = np.repeat(np.arange(40), 4)
    for trial in range(200):
        other = np.repeat(generator.normal(0.3, 1, size=40), 4)  # four times the same drawing is one drawing
        for name, given in (("groups", groups), ("alone", None)):
            gain = bootstrap_gain(np.zeros(160), other, seed=trial, repeats=300, groups=given)
            inside[name] += gain.low <= 0.3 <= gain.high
    assert inside["groups"] / 200 >= 0.89
    assert inside["alone"] / 200 < 0.8


def test_a_clear_gain_excludes_zero_and_no_gain_does_not():
    generator = np.random.default_rng(0)
    best = generator.normal(18, 5, size=200)
    clear = bootstrap_gain(best, best + generator.normal(1, 0.5, size=200), seed=1)
    assert 0.8 < clear.low < clear.mean < clear.high < 1.2
    assert clear.sure
    none = bootstrap_gain(best, best + generator.normal(0, 0.5, size=200), seed=1)
    assert none.low < 0 < none.high
    assert not none.sure


def test_the_same_seed_gives_the_same_interval():
    best, other = np.random.default_rng(0).normal(size=(2, 30))
    assert bootstrap_gain(best, other, seed=4) == bootstrap_gain(best, other, seed=4)
    assert bootstrap_gain(best, other, seed=4) != bootstrap_gain(best, other, seed=5)


def test_one_example_tells_no_interval():
    gain = bootstrap_gain(np.array([18.0]), np.array([19.0]), seed=0)
    assert gain.mean == 1
    assert np.isnan([gain.low, gain.high]).all()
    assert not gain.sure


def test_memory_is_bounded_however_many_repeats():
    scores = np.random.default_rng(0).normal(size=(2, 20_000))
    tracemalloc.start()
    bootstrap_gain(*scores, seed=0, repeats=400)  # at once these would be 64 MB of positions
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6


@pytest.mark.parametrize(
    ("best", "other", "message"),
    [
        (np.zeros(3), np.zeros(2), "two scores for each"),
        (np.zeros(0), np.zeros(0), "N >= 1"),
        (np.zeros(3), np.array([1, np.nan, np.inf]), "NaN or infinity in 2 of 3"),
    ],
)
def test_scores_that_cannot_be_compared_are_refused(best, other, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_gain(best, other, seed=0)
