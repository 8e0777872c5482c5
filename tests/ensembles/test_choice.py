import numpy as np
import pytest

from ensembles.account.choice import choose

SINGLE = np.random.default_rng(0).normal(20, 1, 200)
GROUPS = np.arange(200)


def chosen(others, groups=GROUPS, allowed=None):
    validated = {"best_single": SINGLE, **others}
    kept = set(validated) if allowed is None else allowed
    return choose(validated, groups, "psnr", single="best_single", allowed=kept, seed=0)


def test_what_is_surely_better_ships():
    choice = chosen({"mean": SINGLE + 0.5, "greedy": SINGLE + 0.3})
    assert choice.name == "mean"
    assert "a gain of 0.5 [0.5, 0.5]" in choice.reason
    assert choice.gains["greedy"].mean == pytest.approx(0.3)


def test_a_gain_within_its_interval_ships_the_single_model_and_says_so():
    spread = np.random.default_rng(1).normal(0, 2, 200)
    noisy = SINGLE + spread - spread.mean() + 0.05
    choice = chosen({"mean": noisy})
    assert choice.name == "best_single"
    assert "mean gains" in choice.reason
    assert "an interval that holds zero" in choice.reason


def test_groups_are_what_the_interval_is_over():
    # Each example helps, but they are of four groups, one of which loses: that may be luck.
    gain = np.repeat([0.9, 1.1, 1.0, -0.4], 50)
    assert chosen({"mean": SINGLE + gain}).name == "mean"
    assert chosen({"mean": SINGLE + gain}, groups=np.repeat(np.arange(4), 50)).name == "best_single"


def test_nothing_better_ships_the_single_model():
    choice = chosen({"mean": SINGLE - 0.1})
    assert choice.name == "best_single"
    assert "nothing has a better cross-fitted psnr" in choice.reason


def test_only_what_is_allowed_ships():
    others = {"mean": SINGLE + 0.5, "greedy": SINGLE + 0.3}
    assert chosen(others, allowed={"best_single", "greedy"}).name == "greedy"
    alone = chosen(others, allowed={"greedy"})
    assert alone.name == "greedy"
    assert "within the limits; the best single model is not" in alone.reason
    with pytest.raises(ValueError, match="at least one way to combine"):
        chosen(others, allowed=set())


def test_a_single_group_chooses_nothing():
    choice = choose(
        {"best_single": np.empty(0)}, np.zeros(5), "psnr", single="best_single", allowed=["best_single"], seed=0
    )
    assert choice.name == "best_single"
    assert "one group" in choice.reason
    assert np.isnan(choice.gains["best_single"].low)
