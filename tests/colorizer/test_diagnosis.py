"""What a training says of itself is what a direct computation gives; every verdict is on one that has the fault."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from colorizer import baselines
from colorizer.config import TrainingConfig
from colorizer.dataset import Drawings
from colorizer.diagnosis import Examination, verdict
from colorizer.drawings import draw_characters
from colorizer.training import Trainer


class Two(nn.Module):
    """(B, 2, H, W) to (B, 5, H, W) by a convolution and a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 5, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.conv(x))


def test_measures_of_a_step_are_those_of_a_direct_computation() -> None:
    torch.manual_seed(0)
    generator, discriminator = Two(), nn.Conv2d(5, 1, 1)
    with torch.no_grad():
        generator.conv.weight[3] = 0
        generator.conv.bias[3] = -1  # says 0 of everything
    optimizer = torch.optim.SGD([*generator.parameters(), *discriminator.parameters()], lr=0.1)
    before = generator.conv.weight.detach().clone()
    x = torch.randn(4, 2, 3, 7)
    with Examination(generator, discriminator) as examination:
        said = generator(x)
        logits = discriminator(said)
        logits.square().mean().backward()
        optimizer.step()
    generator(torch.zeros(4, 2, 3, 7))  # no longer looked at
    told = examination.measures()
    gradient = generator.conv.weight.grad
    assert told["layers/gradient/g.conv"] == pytest.approx(float(gradient.norm()))
    ratio = 0.1 * gradient.norm() / before.norm()
    assert told["layers/update_ratio/g.conv"] == told["update_ratio_g"] == pytest.approx(float(ratio), rel=1e-4)
    assert told["layers/dead/g.act"] == told["dead_g"] == pytest.approx(1 / 5)
    assert told["layers/mean/g.act"] == pytest.approx(float(said.detach().mean()))
    assert told["layers/std/g.act"] == pytest.approx(float(said.detach().std()))
    weights = generator.conv.weight.detach().flatten()
    for share in (0, 5, 25, 50, 75, 95, 100):
        assert told[f"layers/weight_q{share:02}/g.conv"] == pytest.approx(float(torch.quantile(weights, share / 100)))
    assert sum("weight_q" in name for name in told) == 7 * 2  # of both networks
    assert told["d_real_acc"] == pytest.approx(float((logits[:2] > 0).float().mean()))
    assert told["d_fake_acc"] == pytest.approx(float((logits[2:] < 0).float().mean()))
    assert "dead_d" not in told  # it has no units
    assert all(math.isfinite(value) for value in told.values())


def test_the_least_and_the_largest_of_many_weights_are_of_all_of_them() -> None:
    generator, discriminator = nn.Conv2d(64, 128, 3), nn.Conv2d(128, 1, 1)
    with torch.no_grad():
        flat = generator.weight.view(-1)
        flat[1], flat[2] = -7.0, 9.0  # between those that are sorted
    with Examination(generator, discriminator) as examination:
        discriminator(generator(torch.randn(2, 64, 3, 5)))
    told = examination.measures()
    quantiles = [told[f"layers/weight_q{share:02}/g."] for share in (0, 5, 25, 50, 75, 95, 100)]
    assert (quantiles[0], quantiles[-1]) == (-7.0, 9.0)
    assert quantiles == sorted(quantiles)
    wanted = np.quantile(generator.weight.detach().numpy(), [0.05, 0.25, 0.5, 0.75, 0.95])
    assert quantiles[1:-1] == pytest.approx(wanted, abs=0.002)


def test_of_what_runs_several_times_in_a_step_the_first_counts() -> None:
    generator, discriminator = Two(), nn.Conv2d(5, 1, 1)
    with Examination(generator, discriminator) as examination:
        first = discriminator(generator(torch.randn(2, 2, 3, 5)))
        discriminator(generator(torch.randn(2, 2, 3, 5)))
    assert examination.measures()["d_real_acc"] == float((first[:1] > 0).float().mean())


def test_layers_that_are_kept_as_they_are_have_no_steps() -> None:
    generator, discriminator = Two(), nn.Conv2d(5, 1, 1)
    generator.requires_grad_(False)
    with Examination(generator, discriminator) as examination:
        discriminator(generator(torch.randn(2, 2, 3, 5)))
    told = examination.measures()
    assert "update_ratio_g" not in told
    assert "layers/update_ratio/g.conv" not in told


@pytest.fixture(scope="module")
def drawings() -> Drawings:
    """Embedded ones, 48 of 16 x 16."""
    return embedded(48)


def embedded(count: int, seed: int = 0) -> Drawings:
    drawn = list(draw_characters(count, seed, size=16))
    lines = np.stack([one.line[None] for one in drawn])
    colors = np.stack([one.color.transpose(2, 0, 1) for one in drawn])
    return Drawings([one.name for one in drawn], np.arange(count), lines, colors)


BASE: dict[str, Any] = {
    "size": 16,
    "levels": 3,
    "channels": 8,
    "discriminator_channels": 8,
    "batch_size": 4,
    "schedule": "constant",
    "total_reports": 1,
}
# fault: what makes it, steps, drawings to learn from, what is said of it
FAULTS: dict[str, tuple[dict[str, Any], int, int, str]] = {
    "steps of G": ({"lr_g": 0.03}, 8, 48, "learning rate of G likely too high: update ratio "),
    "steps of D": ({"lr_d": 0.05}, 8, 48, "learning rate of D likely too high: update ratio "),
    "no steps": ({"lr_g": 1e-8}, 20, 48, "G hardly moves: update ratio "),
    "no steps of D": ({"lr_d": 1e-8}, 20, 48, "D hardly moves: update ratio "),
    "overfitted": ({"flip": False}, 250, 4, "overfits: validation "),
    "never fooled": ({"lr_g": 1e-7, "lr_d": 4e-3}, 150, 48, "discriminator has won: it knows "),
    "dead": ({"lr_g": 0.1, "norm": "none"}, 60, 48, "most units of G are dead: "),
    "vanished": (
        {"levels": 4, "channels": 4, "norm": "none", "initialization": "normal"},
        5,
        48,
        "gradients vanish in G: ",
    ),
    "washed out": (
        {"levels": 4, "channels": 4, "norm": "none", "initialization": "normal"},
        5,
        48,
        "colours are washed out: ",
    ),
    "saturated": ({"lr_g": 0.5}, 60, 48, "no gradient reaches most of G"),
    "worthless": ({"lr_g": 1e-8}, 20, 48, "worse than the line copied: psnr "),
}


def said_of(changes: dict[str, Any], steps: int, train: Drawings, validation: Drawings) -> str:
    config = TrainingConfig.from_dict(BASE | {"steps_per_report": steps} | changes)
    trainer = Trainer(config, train)
    measures = trainer.train(steps) | trainer.examine()
    scores = trainer.evaluate(validation)
    trivial = {f"baseline/{name}/psnr": told["psnr"] for name, told in baselines.score(train, validation).items()}
    return verdict(measures | scores | trivial | {"val_mse": scores["mse"]})


def test_one_that_paints_worse_than_the_mean_picture_says_so() -> None:
    drawings = embedded(24)
    alike = replace(drawings, colors=np.broadcast_to(drawings.colors[:1], drawings.colors.shape).copy())
    said = said_of({"lr_g": 1e-8}, 5, alike, alike)
    assert "worse than the mean colour image: psnr " in said


def test_discriminators_with_dead_units_say_so() -> None:
    config = TrainingConfig.from_dict(BASE)
    trainer = Trainer(config, embedded(8))
    with torch.no_grad():  # weights of zero come of a decay that is too strong
        for layer in trainer.discriminator.body:
            if isinstance(layer, nn.Conv2d):
                layer.weight.zero_()
    trainer.train(1)
    assert "most units of D are dead: " in verdict(trainer.examine())


def test_steps_of_a_schedule_at_its_end_are_no_fault(drawings: Drawings) -> None:
    trainer = Trainer(TrainingConfig.from_dict(BASE | {"schedule": "cosine", "steps_per_report": 4000}), drawings)
    trainer.train(20)
    trainer.steps = 3999
    trainer.train(1)
    measures = trainer.examine()
    assert measures["rate"] < 1e-6
    assert "hardly moves" not in verdict(measures)
    assert "update ratio 2.0e-02" not in verdict(measures | {"update_ratio_g": 2e-2, "rate": 1.0})
    told = verdict(measures | {"update_ratio_g": 2e-2, "rate": 0.5})
    assert "learning rate of G likely too high: update ratio 4.0e-02 at the full learning rate" in told


def test_a_unit_that_spoke_but_once_is_not_dead() -> None:
    config = TrainingConfig.from_dict(BASE | {"levels": 4, "batch_size": 1})  # the deepest level is one pixel large
    trainer = Trainer(config, embedded(8))
    trainer.train(1)
    measures = trainer.examine()
    assert {"layers/dead/g.down.2.2", "layers/mean/g.down.3.1"} <= measures.keys()
    assert "layers/dead/g.down.3.1" not in measures


@pytest.mark.parametrize("fault", FAULTS)
def test_a_training_with_a_fault_says_so(fault: str) -> None:
    changes, steps, count, words = FAULTS[fault]
    assert words in said_of(changes, steps, embedded(count), embedded(16, seed=1))


def test_the_best_baseline_that_is_better_is_named_and_none_that_is_worse() -> None:
    trivial = {"baseline/line_copied/psnr": 9.5, "baseline/mean_image/psnr": 11.8}
    assert verdict({"psnr": 9.1, **trivial}) == "worse than the mean colour image: psnr 9.1 against 11.8"
    assert verdict({"psnr": 11.9, **trivial}) == ""


def test_trainings_with_the_same_fault_say_the_same_up_to_the_colon() -> None:
    some = {"dead_g": 0.63, "dead_d": 0.7, "layers/gradient/g.down.0": 1.0, "layers/gradient/g.up.2": 1e-6}
    others = {"dead_g": 0.9, "dead_d": 1.0, "layers/gradient/g.down.1": 1e-7, "layers/gradient/g.up.2": 1.0}
    assert verdict(some) == (
        "most units of G are dead: 63 %; most units of D are dead: 70 %;"
        " gradients vanish in G: up.2 has 1.0e-06 of the largest"
    )
    faults = [[said.partition(": ")[0] for said in verdict(measures).split("; ")] for measures in (some, others)]
    assert faults[0] == faults[1]


@pytest.mark.parametrize("changes", [{}, {"norm": "group", "activation": "silu"}, {"schedule": "cosine"}])
def test_a_healthy_training_says_nothing(changes: dict[str, Any], drawings: Drawings) -> None:
    assert said_of(changes, 200, drawings, embedded(16, seed=1)) == ""


def test_a_training_that_is_looked_at_is_the_same(drawings: Drawings) -> None:
    config = TrainingConfig.from_dict(BASE | {"steps_per_report": 4})
    looked_at, other = Trainer(config, drawings), Trainer(config, drawings)
    looked_at.train(4)
    for _ in range(4):
        other._step()  # never looked at
    ours, theirs = looked_at.generator.state_dict(), other.generator.state_dict()
    assert all(np.array_equal(ours[name].numpy(), theirs[name].numpy()) for name in ours)
