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
from colorizer.training import Trainer

CONFIG = {"size": 16, "levels": 3, "channels": 6, "discriminator_channels": 6, "batch_size": 4}


@pytest.fixture(scope="module")
def train() -> Drawings:
    drawn = list(draw_characters(24, size=16))
    lines = np.stack([one.line[None] for one in drawn])
    colors = np.stack([one.color.transpose(2, 0, 1) for one in drawn])
    labels = ["cat"] * 20 + ["dog"] * 4
    return Drawings([one.name for one in drawn], np.arange(24), lines, colors, labels)


@pytest.fixture(scope="module")
def origin(train: Drawings, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint whose discriminator knows what it looks at."""
    torch.set_num_threads(1)
    trainer = Trainer(TrainingConfig.from_dict(CONFIG | {"lr_g": 1e-5, "lr_d": 1e-2}), train)
    trainer.train(150)
    folder = tmp_path_factory.mktemp("origin") / "checkpoint"
    trainer.save(folder)
    return str(folder)


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
        {"feature_weight": 1.0, "tv_weight": 1.0, "l1_decay": 1e-4, "l2_decay": 1e-4, "huber_weight": 1.0},
        {"precision": "float16", "ema": 0.9, "data_fraction": 0.5},
        {"precision": "bfloat16", "label_smoothing": 0.1, "batch_size": 1},
        {"schedule": "plateau", "steps_per_report": 1, "warmup_steps": 2, "clip_norm": 1.0},
        {"r1_weight": 1.0, "discriminator_spectral": True, "attention": True, "activation": "prelu"},
        {"adversarial": "wgan_gp", "discriminator_norm": "none", "norm": "group", "activation": "elu"},
        {"adversarial": "dragan", "discriminator_norm": "instance", "norm": "layer", "activation": "maxout"},
        {"adversarial": "least_squares", "upsample": "resize", "norm": "instance", "activation": "silu"},
        {"frozen": "down,up", "accumulation": 3, "flip": False, "initialization": "glorot"},
    ],
)
def test_a_training_without_mistakes_passes_all(changes: dict[str, Any], train: Drawings) -> None:
    found = list(checks(TrainingConfig.from_dict(CONFIG | changes), train))
    assert [one.name for one in found] == ["inputs", "outputs", "order", "seeds", "chance", "gradients", "learning"]
    assert [one for one in found if not one.passed] == []


@pytest.mark.parametrize("changes", [{}, {"frozen": "down,up", "lr_old_factor": 0.01}])
def test_a_training_that_begins_with_the_weights_of_another_passes_all(
    changes: dict[str, Any], train: Drawings, origin: str
) -> None:
    config = TrainingConfig.from_dict(CONFIG | {"start_from": origin} | changes)
    assert [one for one in checks(config, train) if not one.passed] == []


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


def test_epochs_in_one_order_are_noticed(train: Drawings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sampler, "_epoch", lambda self: torch.arange(24))
    found = check("order", train)
    assert not found.passed
    assert found.said == "two epochs of 24 drawings came in the same order"


def test_drawings_are_told_apart_however_many_there_are() -> None:
    pixels = np.zeros((70_000, 3, 1, 1), np.uint8)
    many = Drawings([""] * 70_000, np.arange(70_000), pixels[:, :1], pixels)
    found = check("order", many, batch_size=1000)
    assert found.passed
    assert found.said.startswith("each of 70000 drawings once an epoch")


def test_a_draw_from_another_generator_is_noticed(train: Drawings, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(config: TrainingConfig, rng: torch.Generator | None = None) -> UNet:
        return build_generator(config, torch.default_generator)

    monkeypatch.setattr(training, "build_generator", careless)
    found = check("seeds", train)
    assert not found.passed
    assert "draws from another generator" in found.said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("vanilla", "and 0.69 for verdicts of 0"),
        ("dragan", "and 0.69 for verdicts of 0"),
        ("least_squares", "and 0.50 for verdicts of 0"),
        ("hinge", "and 2.00 for verdicts of 0"),
    ],
)
def test_first_weights_that_are_too_large_are_noticed(
    kind: str, said: str, train: Drawings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fair = check("chance", train, adversarial=kind)
    assert fair.passed
    assert fair.said.endswith(said)
    build = training.build_discriminator

    def large(*arguments: Any) -> Any:
        network = build(*arguments)
        with torch.no_grad():
            for weight in network.parameters():
                weight.mul_(20)
        return network

    monkeypatch.setattr(training, "build_discriminator", large)
    found = check("chance", train, adversarial=kind)
    assert not found.passed
    assert "Its first weights are too large" in found.said


def test_a_cost_without_a_value_at_chance_is_only_to_be_finite(train: Drawings) -> None:
    assert check("chance", train, adversarial="wgan_gp").said.endswith("are finite; they have no value at chance")


def test_a_discriminator_that_knows_before_it_learns_is_noticed(
    train: Drawings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost: Callable[..., torch.Tensor] = objective.discriminator_cost
    monkeypatch.setattr(objective, "discriminator_cost", lambda *arguments: 0.1 * cost(*arguments))
    found = check("chance", train)
    assert not found.passed
    assert "It cannot know so much yet" in found.said


def halved(cost: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A cost whose value is right, and its gradient is not."""

    def half(*arguments: Any) -> torch.Tensor:
        whole = cost(*arguments)
        return (whole + whole.detach()) / 2

    return half


@pytest.mark.parametrize(
    ("network", "cost", "changes"),
    [
        ("generator", "reconstruction_cost", {}),
        ("generator", "adversarial_cost", {"l1_weight": 0.1, "mse_weight": 0.1}),
        ("generator", "likelihood_cost", {"confidence": True}),
        ("discriminator", "discriminator_cost", {}),
        ("discriminator", "slope_penalty", {"adversarial": "wgan_gp"}),
        ("discriminator", "slope_penalty", {"adversarial": "dragan"}),
        ("discriminator", "r1_penalty", {"r1_weight": 1.0}),
    ],
)
def test_a_gradient_that_is_wrong_is_noticed(
    network: str, cost: str, changes: dict[str, Any], train: Drawings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, cost, halved(getattr(objective, cost)))
    found = check("gradients", train, **changes)
    assert not found.passed
    assert found.said.startswith(f"the {network}'s cost changes by ")
    assert torch.get_default_dtype() == torch.float32


def cut(x: torch.Tensor) -> torch.Tensor:
    return x.detach() + 0 * x


@pytest.mark.parametrize(
    ("layer", "before", "first", "wrong"),
    [
        ("head", True, "down.0.0.weight", "for 16 of 19 tensors, the last up.2.1.bias"),
        ("head", False, "down.0.0.weight", "for 18 of 19 tensors, the last head.bias"),
        ("sketch", False, "sketch.weight", "for 1 of 19 tensors, the last sketch.weight"),
        ("deepest", False, "down.0.0.weight", "for 7 of 19 tensors, the last down.2.0.bias"),
    ],
)
def test_a_part_of_the_generator_that_is_cut_off_is_named(
    layer: str, before: bool, first: str, wrong: str, train: Drawings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(layer, before, monkeypatch)
    found = check("gradients", train)
    assert not found.passed
    assert f"along a random direction of {first}, whose gradient says" in found.said
    assert wrong in found.said


def cut_off(layer: str, before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no gradient through to what a layer of the generator is given, or to what it makes of that."""

    def build(*arguments: Any) -> UNet:
        network = build_generator(*arguments)
        part = network.get_submodule(layer)
        if before:
            part.register_forward_pre_hook(lambda module, given: (cut(given[0]),))
        else:
            part.register_forward_hook(lambda module, given, made: cut(made))
        return network

    monkeypatch.setattr(training, "build_generator", build)


def test_what_a_silent_layer_hides_is_seen(train: Drawings, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off("deepest.looks", False, monkeypatch)
    found = check("gradients", train, attention=True)
    assert not found.passed
    assert "of 23 tensors, the last deepest.looks.bias" in found.said


def test_what_does_not_learn_is_not_missed(train: Drawings, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off("deepest", False, monkeypatch)
    assert not check("gradients", train).passed
    frozen = check("gradients", train, frozen="down")
    assert frozen.passed
    assert frozen.said.endswith("12 of the generator and 7 of the discriminator")


def test_the_batch_to_learn_by_heart_is_said(train: Drawings) -> None:
    assert "of the error of the mean picture is left on one batch of 4 " in check("learning", train, batch_size=1).said
    single = check("learning", train.chosen(np.array([3])), batch_size=1)
    assert single.passed
    assert "of the error of the mean colour is left on one batch of 1 " in single.said
    again = check("learning", train.chosen(np.array([3, 3, 3])))
    assert "of the error of the mean colour is left on one batch of 3 " in again.said


def test_weights_that_have_learned_may_learn_slowly(
    train: Drawings, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sanity, "_OTHER_RATES", (1e3,))
    slow = check("learning", train, start_from=origin, lr_g=4e-6)
    assert slow.passed
    assert slow.said.endswith("lr_g=4e-06 is careful.")


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
