"""What a training is shown: every setting changes what it says, alone, and all go on bit for bit."""

from typing import Any

import numpy as np
import pytest
import torch

from colorizer.checkpoint import CheckpointError, load_generator
from colorizer.config import TrainingConfig
from colorizer.dataset import Drawings
from colorizer.drawings import draw_characters
from colorizer.generator import predict
from colorizer.sampling import Sampler
from colorizer.settings.data import UNCHANGED
from colorizer.showing import Batch, Showing
from colorizer.training import Trainer

CPU = torch.device("cpu")
SMALL = {"size": 16, "levels": 2, "channels": 4, "discriminator_channels": 4, "batch_size": 3}
EVERYTHING = {
    "line_styles": "given,dilation,xdog,threshold",
    "hint_points": 6,
    "hint_keep": 0.9,
    "hint_keep_end": 0.1,
    "rotate": 10.0,
    "shift": 0.1,
    "crop": 0.8,
    "blur": 1.0,
    "hue": 30.0,
    "saturation": 0.3,
    "exposure": 0.4,
    "rare_labels": 0.7,
}


@pytest.fixture(scope="module")
def drawings() -> Drawings:
    drawn = list(draw_characters(13, size=16))
    lines = np.stack([one.line[None] for one in drawn])
    colors = np.ascontiguousarray(np.stack([one.color.transpose(2, 0, 1) for one in drawn]))
    labels = ["cat"] * 9 + ["dog"] * 3 + [""]
    return Drawings([one.name for one in drawn], np.arange(13), lines, colors, labels)


def config(**changes: Any) -> TrainingConfig:
    return TrainingConfig.from_dict(SMALL | changes)


def batches(drawings: Drawings, count: int = 4, **changes: Any) -> list[Batch]:
    showing = Showing(config(**changes), drawings, CPU)
    return [showing.next(step) for step in range(count)]


def changed(ours: list[Batch], plain: list[Batch]) -> set[str]:
    return {
        name
        for one, other in zip(ours, plain, strict=True)
        for name in ("lines", "colors")
        if not torch.equal(getattr(one, name), getattr(other, name))
    }


@pytest.mark.parametrize(
    ("setting", "value", "what"),
    [
        ("flip", True, {"lines", "colors"}),
        ("rotate", 10.0, {"lines", "colors"}),
        ("shift", 0.1, {"lines", "colors"}),
        ("crop", 0.7, {"lines", "colors"}),
        ("rare_labels", 1.0, {"lines", "colors"}),
        ("data_fraction", 0.4, {"lines", "colors"}),
        ("line_styles", "threshold", {"lines"}),
        ("line_styles", "given,xdog", {"lines"}),
        ("line_styles", "given,given", set()),
        ("blur", 1.0, {"lines"}),
        ("hue", 40.0, {"colors"}),
        ("saturation", 0.5, {"colors"}),
        ("exposure", 0.5, {"colors"}),
        ("hint_points", 3, set()),
    ],
)
def test_each_setting_changes_what_it_is_about_and_nothing_else(
    setting: str, value: Any, what: set[str], drawings: Drawings
) -> None:
    plain = batches(drawings, **UNCHANGED)
    ours = batches(drawings, **{**UNCHANGED, setting: value})
    assert changed(ours, plain) - ({"lines", "colors"} if value == "given,given" else set()) == what
    for one, other in zip(ours, plain, strict=True):
        for part, shape in (("lines", (3, 1, 16, 16)), ("colors", (3, 3, 16, 16))):
            tensor = getattr(one, part)
            assert tensor.shape == shape
            assert tensor.abs().max() <= 1
            assert tensor.is_contiguous(memory_format=torch.channels_last)
        if "colors" not in what and value != "given,given":
            white = other.colors == 1
            assert (one.colors[white] == 1).all()


@pytest.mark.parametrize("setting", ["hue", "saturation", "exposure"])
def test_white_paper_stays_white_in_other_colours(setting: str, drawings: Drawings) -> None:
    for one, other in zip(
        batches(drawings, **{**UNCHANGED, setting: 1.0}), batches(drawings, **UNCHANGED), strict=True
    ):
        white = (other.colors == 1).all(dim=1, keepdim=True).expand_as(other.colors)
        assert white.any()
        assert (one.colors[white] == 1).all()


def test_what_is_switched_off_draws_no_number_and_keeps_no_state(drawings: Drawings) -> None:
    assert set(Showing(config(), drawings, CPU).state()) == {"order", "rng"}
    assert set(Showing(config(hue=1.0), drawings, CPU).state()) == {"order", "rng", "shown"}
    first = batches(drawings, 1)[0]
    assert first.given is first.lines


def test_hints_fade_from_the_first_step_to_the_last(drawings: Drawings) -> None:
    showing = Showing(config(hint_points=20, batch_size=13, total_reports=1, steps_per_report=101), drawings, CPU)
    told = [float(showing.next(step).given[:, -1].sum()) for step in (0, 50, 100, 500)]
    assert told[0] > 1.5 * told[1] > 0
    assert told[2:] == [0, 0]
    kept = config(hint_points=20, hint_keep=0.0, hint_keep_end=1.0, steps_per_report=1, total_reports=5)
    assert not Showing(kept, drawings, CPU).next(0).given[:, 1:].any()
    assert Showing(kept, drawings, CPU).next(4).given[:, 1:].any()


def test_the_generator_is_given_lines_and_hints_and_the_discriminator_lines(
    drawings: Drawings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(config(hint_points=4), drawings)
    seen: dict[str, set[int]] = {"g": set(), "d": set()}
    trainer.generator.down[0].register_forward_pre_hook(lambda _, given: seen["g"].add(given[0].shape[1]))
    trainer.discriminator.register_forward_pre_hook(lambda _, given: seen["d"].add(given[0].shape[1]))
    trainer.train(2)
    assert seen == {"g": {5}, "d": {1}}


@pytest.mark.parametrize("more", [{}, {"ema": 0.9, "dropout": 0.3, "accumulation": 2, "passes": 2, "confidence": True}])
def test_two_hundred_steps_are_a_hundred_and_a_hundred_with_everything_on(
    more: dict[str, Any], drawings: Drawings, tmp_path: Any
) -> None:
    settings = config(**EVERYTHING, **more, steps_per_report=20, total_reports=10)
    straight, first, second = (Trainer(settings, drawings) for _ in range(3))
    straight.train(200)
    first.train(100)
    first.save(tmp_path)
    second.restore(tmp_path)
    second.train(100)
    for ours, theirs in (
        (second.generator.state_dict(), straight.generator.state_dict()),
        (second.discriminator.state_dict(), straight.discriminator.state_dict()),
        (second._state(), straight._state()),
    ):
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            assert torch.equal(tensor, theirs[name]), name
    assert second.evaluate(drawings) == straight.evaluate(drawings)


def test_a_checkpoint_with_hints_predicts_from_lines_alone_as_the_training_did(
    drawings: Drawings, tmp_path: Any
) -> None:
    trainer = Trainer(config(**EVERYTHING), drawings)
    trainer.train(3)
    trainer.save(tmp_path)
    generator, description = load_generator(tmp_path)
    lines = torch.rand(2, 1, 5, 7) * 2 - 1
    assert torch.equal(predict(generator, lines), predict(trainer.shown, lines))
    assert description.config == trainer.config


def test_a_training_goes_on_with_and_without_what_is_done_to_drawings(drawings: Drawings, tmp_path: Any) -> None:
    plain, moved = config(), config(rotate=5.0)
    for name, here, there in (("more", plain, moved), ("less", moved, plain)):
        one, other = Trainer(here, drawings), Trainer(there, drawings)
        one.train(2)
        one.save(tmp_path / name)
        other.restore(tmp_path / name)
        other.train(1)
        assert other.steps == 3


def test_a_checkpoint_without_hints_is_refused_where_they_are_asked_for(drawings: Drawings, tmp_path: Any) -> None:
    Trainer(config(), drawings).save(tmp_path)
    with pytest.raises(CheckpointError, match=r"Expected hints=True in .*, found False"):
        Trainer(config(hint_points=3), drawings).restore(tmp_path)
    Trainer(config(hint_points=7), drawings).save(tmp_path)
    Trainer(config(hint_points=3), drawings).restore(tmp_path)


def test_a_training_with_hints_begins_with_the_layers_of_one_without(drawings: Drawings, tmp_path: Any) -> None:
    origin = Trainer(config(), drawings)
    origin.save(tmp_path)
    taken = Trainer(config(hint_points=3, start_from=str(tmp_path), seed=5), drawings)
    fresh = taken._origin.fresh if taken._origin else ()
    assert sorted(fresh) == ["generator.down.0.0.weight", "generator.sketch.weight"]
    assert torch.equal(taken.generator.head.weight, origin.generator.head.weight)


def test_validation_sees_the_given_lines_whatever_is_shown(drawings: Drawings) -> None:
    """Two trainers of equal weights: what a training is shown plays no part in scores."""
    one = Trainer(config(), drawings)
    other = Trainer(config(**{**EVERYTHING, "hint_points": 0}), drawings)
    assert one.evaluate(drawings) == other.evaluate(drawings)
    assert one.examine()["train_mse"] == other.examine()["train_mse"]


def drawn(drawings: Drawings, count: int, **settings: float) -> list[int]:
    """Positions of the drawings that come."""
    numbered = np.broadcast_to(np.arange(len(drawings), dtype=np.uint8)[:, None, None, None], drawings.lines.shape)
    marked = Drawings(drawings.names, drawings.groups, numbered.copy(), drawings.colors, drawings.labels)
    sampler = Sampler(marked, count, False, 0, **settings)
    return sampler.next()[0][:, 0, 0, 0].tolist()


@pytest.mark.parametrize(("rare", "shares"), [(1.0, (1 / 3, 1 / 3, 1 / 3)), (0.5, (3 / 5.73, 1.73 / 5.73, 1 / 5.73))])
def test_rare_labels_come_as_often_as_their_weight_says(
    rare: float, shares: tuple[float, ...], drawings: Drawings
) -> None:
    rows = drawn(drawings, 6000, rare_labels=rare)
    found = np.unique([drawings.labels[row] for row in rows], return_counts=True)[1] / 6000
    np.testing.assert_allclose(found, (shares[2], shares[0], shares[1]), atol=0.03)  # "", cat, dog
    assert set(rows) == set(range(13))


def test_rare_labels_and_a_fraction_of_the_data_work_together(drawings: Drawings) -> None:
    some = set(drawn(drawings, 500, fraction=0.5))
    assert set(drawn(drawings, 500, fraction=0.5, rare_labels=1.0)) == some
    assert 3 < len(some) < 8


def test_rare_labels_need_labels(drawings: Drawings) -> None:
    bare = Drawings(drawings.names, drawings.groups, drawings.lines, drawings.colors)
    with pytest.raises(ValueError, match=r"labels for rare_labels=0\.5, got drawings without.*--table CSV --label"):
        Trainer(config(rare_labels=0.5), bare)
    Trainer(config(rare_labels=0.0), bare)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("rotate", 46, "0 <= rotate <= 45"),
        ("rotate", -1, "0 <= rotate <= 45"),
        ("shift", 0.5, "0 <= shift < 0.5"),
        ("crop", 0, "0 < crop <= 1"),
        ("crop", 1.1, "0 < crop <= 1"),
        ("blur", 11, "0 <= blur <= 10"),
        ("hue", 181, "0 <= hue <= 180"),
        ("saturation", 1.5, "0 <= saturation <= 1"),
        ("exposure", 4, "0 <= exposure <= 3"),
        ("hint_points", -1, "hint_points >= 0"),
        ("hint_points", 1.5, "hint_points to be a whole number"),
        ("rare_labels", 2, "0 <= rare_labels <= 1"),
    ],
)
def test_values_that_no_drawing_can_be_shown_by_are_refused(name: str, value: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=f"Expected {rule}, got "):
        TrainingConfig.from_dict({name: value})
