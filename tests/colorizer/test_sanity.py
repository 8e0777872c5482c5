"""A training without a mistake passes every check; each check fails on the mistake that it is for."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from colorizer import objective, sanity, showing, training
from colorizer.config import TrainingConfig, build_generator
from colorizer.dataset import Drawings
from colorizer.drawings import draw_characters
from colorizer.generator import UNet
from colorizer.sampling import Sampler
from colorizer.sanity import Check, checks

CONFIG = {"size": 16, "levels": 3, "channels": 6, "discriminator_channels": 6, "batch_size": 4}


@pytest.fixture(scope="module")
def train() -> Drawings:
    drawn = list(draw_characters(24, size=16))
    lines = np.stack([one.line[None] for one in drawn])
    colors = np.stack([one.color.transpose(2, 0, 1) for one in drawn])
    labels = ["cat"] * 20 + ["dog"] * 4
    return Drawings([one.name for one in drawn], np.arange(24), lines, colors, labels)


def check(name: str, train: Drawings, **changes: Any) -> Check:
    config = TrainingConfig.from_dict(CONFIG | changes)
    looked_at = []
    for one in checks(config, train, looked_at.append):
        if one.name == name:
            assert looked_at[-1] == name
            return one
    raise AssertionError(name)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"norm": "none", "activation": "leaky", "batch_size": 5},
        {"adversarial": "hinge", "confidence": True, "dropout": 0.2, "accumulation": 2},
        {"adversarial_weight": 0.0, "l1_weight": 0.0, "schedule": "linear"},
        {"line_styles": "given,xdog", "hint_points": 5, "rotate": 10.0, "crop": 0.8, "hue": 30.0, "exposure": 0.5},
        {"rare_labels": 0.8, "blur": 1.0, "saturation": 0.5, "shift": 0.1, "hint_points": 3, "confidence": True},
    ],
)
def test_a_training_without_mistakes_passes_all(changes: dict[str, Any], train: Drawings) -> None:
    found = list(checks(TrainingConfig.from_dict(CONFIG | changes), train))
    assert [one.name for one in found] == ["inputs", "outputs", "order", "seeds", "chance", "gradients", "learning"]
    assert [one for one in found if not one.passed] == []


def test_pictures_that_show_nothing_are_noticed(train: Drawings) -> None:
    blank = Drawings(train.names, train.groups, np.full_like(train.lines, 255), train.colors)
    assert "a batch that shows nothing" in check("inputs", blank).said
    assert not check("inputs", blank).passed


def test_pictures_out_of_range_after_what_is_done_to_them_are_noticed(
    train: Drawings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check("inputs", train, hue=30.0, hint_points=9).said.endswith("of the drawings at the first step")
    monkeypatch.setattr(showing, "tinted", lambda colors, *others: 1.5 * colors)
    assert "expected [-1, 1]" in check("inputs", train, hue=30.0).said


def test_a_draw_for_pictures_from_another_generator_is_noticed(
    train: Drawings, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, other = showing.moved, torch.Generator()
    other.seed()
    monkeypatch.setattr(showing, "moved", lambda pictures, moves, rng: turn(pictures, moves, other))
    assert not check("seeds", train, rotate=30.0).passed


def test_outputs_out_of_range_are_noticed(train: Drawings, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = UNet.forward
    monkeypatch.setattr(UNet, "forward", lambda self, lines: 1.5 * forward(self, lines))
    assert "expected (4, 3, 16, 16) in [-1, 1]" in check("outputs", train).said


def test_drawings_that_come_twice_are_noticed(train: Drawings, monkeypatch: pytest.MonkeyPatch) -> None:
    take = Sampler.next
    again: dict[Sampler, Any] = {}

    def repeated(self: Sampler) -> Any:
        if again.get(self) is None:
            again[self] = take(self)
            return again[self]
        return again.pop(self)

    monkeypatch.setattr(Sampler, "next", repeated)
    found = check("order", train)
    assert not found.passed
    assert "came twice in an epoch" in found.said


def test_a_draw_from_another_generator_is_noticed(train: Drawings, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(config: TrainingConfig, rng: torch.Generator | None = None) -> UNet:
        return build_generator(config, torch.default_generator)

    monkeypatch.setattr(training, "build_generator", careless)
    found = check("seeds", train)
    assert not found.passed
    assert "draws from another generator" in found.said


def test_first_weights_that_are_too_large_are_noticed(train: Drawings, monkeypatch: pytest.MonkeyPatch) -> None:
    build = training.build_discriminator

    def large(*arguments: Any) -> Any:
        network = build(*arguments)
        with torch.no_grad():
            for weight in network.parameters():
                weight.mul_(20)
        return network

    monkeypatch.setattr(training, "build_discriminator", large)
    found = check("chance", train)
    assert not found.passed
    assert "Its first weights are too large" in found.said


def test_a_gradient_that_is_wrong_is_noticed(train: Drawings, monkeypatch: pytest.MonkeyPatch) -> None:
    cost: Callable[..., torch.Tensor] = objective.reconstruction_cost

    def half(*arguments: Any) -> torch.Tensor:
        whole = cost(*arguments)
        return (whole + whole.detach()) / 2  # the value is right, its gradient is not

    monkeypatch.setattr(objective, "reconstruction_cost", half)
    found = check("gradients", train)
    assert not found.passed
    assert "expected the same within 5 %" in found.said


def test_a_learning_rate_that_is_wrong_is_told_from_a_mistake(train: Drawings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sanity, "_OTHER_RATES", (1e-1, 1e3))
    slow = check("learning", train, lr_g=4e-6)
    assert not slow.passed
    assert "lr_g=4e-06 is wrong." in slow.said
    monkeypatch.setattr(sanity, "_STEPS", 30)
    forward = UNet.forward
    monkeypatch.setattr(UNet, "forward", lambda self, lines: 0.5 + 1e-6 * forward(self, lines))
    stuck = check("learning", train)
    assert not stuck.passed
    assert "suspect the networks, the costs or the data" in stuck.said
