"""What errors share is found where it is, in numbers that a direct computation gives, and not found where it is not."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from colorizer.dataset import Drawings
from colorizer.inference import Batch
from colorizer.inspecting.error_analysis import Account, account, chosen, findings


def seen(error: Any, traits: dict[str, Any] | None = None, labels: list[str] | None = None, groups: Any = None) -> Any:
    count = len(error)
    groups = np.arange(count) if groups is None else groups
    return Account([f"d{n}" for n in range(count)], groups, labels or [], {"mse": np.asarray(error)}, traits or {})


def batches(drawings: Drawings, size: int) -> list[Batch]:
    inputs, targets = (part.astype(np.float32) / 127.5 - 1 for part in (drawings.lines, drawings.colors))
    return [
        Batch(
            drawings.names[start : start + size],
            inputs[start : start + size],
            targets[start : start + size],
            drawings.groups[start : start + size],
        )
        for start in range(0, len(drawings), size)
    ]


def scores(predictions: Any, targets: Any) -> dict[str, Any]:
    return {
        "mse": np.square(predictions - targets).mean(axis=(1, 2, 3)).astype(np.float64),
        "colourfulness_true": targets.max(axis=(1, 2, 3)).astype(np.float64),
    }


def test_every_drawing_is_scored_and_described_a_batch_at_a_time() -> None:
    rng = np.random.default_rng(0)
    lines = rng.integers(0, 256, (70, 1, 5, 7), np.uint8)
    colors = rng.integers(240, 256, (70, 3, 5, 7), np.uint8)
    sides = np.array([[30, 10]] * 69 + [[0, 0]], np.int32)
    drawings = Drawings([f"d{n}" for n in range(70)], np.arange(70), lines, colors, ["cat"] * 70, sides)
    asked = []

    def predict(inputs: Any) -> Any:
        asked.append(len(inputs))
        return np.repeat(inputs, 3, axis=1)

    found = account(predict, batches(drawings, 32), scores, drawings)
    assert asked == [32, 32, 6]
    whole = batches(drawings, 70)[0]
    direct = scores(np.repeat(whole.inputs, 3, axis=1), whole.targets)
    for name, values in direct.items():
        np.testing.assert_array_equal(found.scores[name], values)
    for n in (0, 69):
        assert found.traits["line density"][n] == (lines[n] < 128).sum() / 35
        painted = sum((colors[n, :, y, x] < 250).any() for y in range(5) for x in range(7))
        assert found.traits["painted share"][n] == pytest.approx(painted / 35)
        luma = 0.299 * colors[n, 0].mean() + 0.587 * colors[n, 1].mean() + 0.114 * colors[n, 2].mean()
        assert found.traits["darkness"][n] == pytest.approx(1 - luma / 255)
    assert (found.traits["size"][0], found.traits["elongation"][0]) == (30, 3)
    assert np.isnan([found.traits["size"][69], found.traits["elongation"][69]]).all()  # nobody knows
    np.testing.assert_array_equal(found.traits["colourfulness"], direct["colourfulness_true"])
    assert found.labels == ["cat"] * 70


def test_without_drawings_there_is_nothing_to_look_at() -> None:
    empty = Drawings([], np.arange(0), np.zeros((0, 1, 5, 7), np.uint8), np.zeros((0, 3, 5, 7), np.uint8))
    with pytest.raises(ValueError, match="1 drawing or more to look at, got 0"):
        account(lambda inputs: inputs, [], scores, empty)


def test_a_trait_that_errors_grow_with_is_said_with_its_rank_correlation() -> None:
    rng = np.random.default_rng(1)
    density, other = rng.uniform(0, 0.4, 120), rng.uniform(0, 1, 120)
    error = np.exp(6 * density + rng.normal(size=120))  # ranks count, not sizes
    first, second = findings(seen(error, {"darkness": other, "line density": density}))
    assert (first.about, first.sure, second.about, second.sure) == ("line density", True, "darkness", False)
    assert first.value == pytest.approx(spearmanr(density, error).statistic)
    assert second.value == pytest.approx(spearmanr(other, error).statistic)
    assert 0 < first.low < first.value < first.high < 1
    assert first.said.startswith("The denser the lines, the larger the squared error: rank correlation 0.")
    turned, _ = findings(seen(1 / error, {"darkness": other, "line density": density}))
    assert turned.value == pytest.approx(-first.value)
    assert turned.said.startswith("The sparser the lines, the larger the squared error: rank correlation 0.")


def test_a_label_with_larger_errors_is_said_with_how_many_times_as_large() -> None:
    rng = np.random.default_rng(2)
    labels = ["flags"] * 30 + ["faces"] * 60 + [""] * 30 + ["rare"] * 7
    error = np.where(np.array(labels) == "flags", 0.2, 0.1) * np.exp(rng.normal(0, 0.3, 127))
    found = {one.about: one for one in findings(seen(error, labels=labels))}
    assert found.keys() == {"flags", "faces"}  # seven say nothing, and no label is none
    flags = found["flags"]
    inside = np.array(labels) == "flags"
    expected = np.exp(np.log(error[inside]).mean() - np.log(error[~inside]).mean())
    assert flags.value == pytest.approx(expected)
    assert 1 < flags.low < flags.value < flags.high < 3
    said = f"Drawings of label flags have {expected:.2g} times the typical squared error of the others ["
    assert flags.said.startswith(said)
    assert flags.said.endswith("], n=30.")
    assert found["faces"].value < 1


def test_noise_is_no_finding_however_many_things_are_looked_at() -> None:
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        names = ("line density", "painted share", "darkness", "colourfulness")
        traits = {name: rng.normal(size=150) for name in names}
        labels = [f"l{n}" for n in rng.integers(0, 6, 150)]
        found = findings(seen(rng.lognormal(size=150), traits, labels))
        assert len(found) == 10
        alarms += any(one.sure for one in found)
    assert alarms <= 3  # one is expected; without the raised level it would be eight


def test_drawings_of_one_group_count_as_one() -> None:
    rng = np.random.default_rng(3)
    density = rng.uniform(size=60)
    error = np.exp(density + rng.normal(size=60))
    (alone,) = findings(seen(error, {"line density": density}))
    again = {"line density": np.repeat(density, 4)}
    (grouped,) = findings(seen(np.repeat(error, 4), again, groups=np.repeat(np.arange(60), 4)))
    (apart,) = findings(seen(np.repeat(error, 4), again))
    width = alone.high - alone.low
    assert grouped.high - grouped.low == pytest.approx(width, rel=0.1)
    assert apart.high - apart.low < 0.7 * width


def test_what_does_not_vary_and_too_few_groups_are_not_looked_at() -> None:
    error = np.linspace(1, 2, 40)
    assert findings(seen(error, {"line density": np.full(40, 0.1), "size": np.full(40, np.nan)})) == []
    assert findings(seen(error, {"line density": error}, ["a"] * 20 + ["b"] * 20, groups=np.arange(40) // 6)) == []


def test_unknown_values_of_a_trait_are_left_out_of_it_alone() -> None:
    rng = np.random.default_rng(4)
    error, size, density = rng.uniform(size=(3, 50))
    size[:20] = np.nan
    found = {one.about: one for one in findings(seen(error, {"size": size, "line density": density}))}
    assert (found["size"].count, found["line density"].count) == (30, 50)
    assert found["size"].value == pytest.approx(spearmanr(size[20:], error[20:]).statistic)


@pytest.mark.parametrize("count", [1, 2, 3, 9, 40, 41, 300])
def test_no_drawing_is_shown_twice_and_the_worst_come_first(count: int) -> None:
    error = np.random.default_rng(count).permutation(count).astype(float)
    shown = chosen(error)
    positions = np.concatenate(list(shown.values()))
    worst = len(shown["worst"])
    assert worst == min(24, (count + 1) // 2)
    assert len(np.unique(positions)) == len(positions) == worst + min(count - worst, 16)
    assert error[shown["worst"]].tolist() == [count - 1 - n for n in range(worst)]
    assert error[shown["best"]].tolist() == list(range(len(shown["best"])))
    if count == 300:
        assert np.abs(error[shown["typical"]] - 149.5).max() == 3.5
