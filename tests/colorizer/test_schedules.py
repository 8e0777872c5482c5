import math
from itertools import pairwise

import pytest

from colorizer.config import TrainingConfig
from colorizer.schedules import Plateau


def config(**changes):
    return TrainingConfig(steps_per_report=10, total_reports=4, **changes)


@pytest.mark.parametrize(
    ("schedule", "middle"), [("constant", 1.0), ("linear", 0.5), ("cosine", 0.5), ("exponential", 0.04)]
)
def test_schedules_fall_from_one_over_the_whole_training(schedule, middle):
    rates = [config(schedule=schedule, decay_factor=0.2, decay_steps=10).rate(step) for step in range(50)]
    assert rates[0] == 1
    assert rates[20] == pytest.approx(middle)
    assert all(a >= b > 0 for a, b in pairwise(rates))
    assert rates[39:] == [rates[39]] * 11
    assert schedule == "constant" or rates[39] < 0.03


def test_the_exponential_falls_smoothly_by_the_same_factor_in_the_same_time():
    falling = config(schedule="exponential", decay_factor=0.5, decay_steps=5)
    assert falling.rate(1) == pytest.approx(0.5**0.2)
    for step in range(30):
        assert falling.rate(step + 5) == pytest.approx(falling.rate(step) / 2)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "exponential", "plateau"])
def test_no_schedule_falls_below_the_floor_and_all_are_the_same_above_it(schedule):
    free = config(schedule=schedule, decay_steps=10)
    held = config(schedule=schedule, decay_steps=10, floor=0.2)
    for step in range(45):
        plateaus = step // 10
        assert held.rate(step, plateaus) == max(0.2, free.rate(step, plateaus))
    assert schedule == "constant" or held.rate(39, 3) == 0.2


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "exponential", "plateau"])
def test_rates_warm_up_evenly_and_then_are_those_without(schedule):
    cold, warm = config(schedule=schedule), config(schedule=schedule, warmup_steps=4)
    shares = [warm.rate(step) / cold.rate(step) for step in range(7)]
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1])
    assert warm.rate(5) == cold.rate(5)


def test_a_plateau_divides_the_rate():
    falling = config(schedule="plateau", plateau_factor=4.0)
    assert [falling.rate(7, plateaus) for plateaus in range(3)] == [1, 0.25, 0.0625]
    assert config(schedule="constant").rate(7, 3) == 1


def test_a_plateau_is_as_many_reports_as_one_is_patient_for_without_a_better_score():
    plateau = Plateau(patience=2)
    counts = []
    for score in (1.0, 0.5, 2.0, 2.0, 1.5, 1.9, 1.8, 3.0, 2.0, 4.0, 0.0):
        plateau.hear(score)
        counts.append(plateau.count)
    assert counts == [0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 2]
    assert plateau.heard == 11


def test_a_score_that_is_not_a_number_is_no_better():
    plateau = Plateau(patience=1)
    plateau.hear(math.nan)
    assert plateau.count == 1
    plateau.hear(-50.0)
    assert plateau.count == 1


@pytest.mark.parametrize("heard", range(6))
def test_a_plateau_goes_on_from_its_state(heard):
    scores = (0.1, 0.1000000001, 0.05, 0.2, 0.0, 0.0)  # in float32 the second would be no better
    one, other = Plateau(patience=2), Plateau(patience=2)
    for score in scores[:heard]:
        one.hear(score)
    other.load_state(one.state())
    for score in scores[heard:]:
        one.hear(score)
        other.hear(score)
    assert (one.count, one.heard) == (other.count, other.heard) == (1, 6)
    assert all((one.state()[key] == other.state()[key]).all() for key in ("best", "counts"))
