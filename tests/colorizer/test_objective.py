"""The costs of a config joined, and that every option trains: finite, saved, restored, continued bit for bit."""

import contextlib

import numpy as np
import pytest
import torch

from colorizer import objective
from colorizer.config import TrainingConfig, build_discriminator, build_generator
from colorizer.dataset import Drawings
from colorizer.drawings import draw_characters
from colorizer.losses import in_space, reconstruction_cost
from colorizer.objective import Objective
from colorizer.penalties import r1_penalty, slopes
from colorizer.rarity import Rarity
from colorizer.training import Trainer

SIZE = 16
ALWAYS = ("loss_g", "loss_d", "adversarial", "reconstruction")


@pytest.fixture(scope="module")
def drawings():
    drawn = list(draw_characters(11, size=SIZE))
    lines = np.stack([drawing.line for drawing in drawn])[:, None]
    colors = np.ascontiguousarray(np.stack([drawing.color for drawing in drawn]).transpose(0, 3, 1, 2))
    return Drawings([drawing.name for drawing in drawn], np.arange(11), lines, colors)


def small_config(**changes):
    settings = {"channels": 4, "levels": 3, "discriminator_channels": 4, "batch_size": 3, "size": SIZE}
    return TrainingConfig.from_dict({**settings, "steps_per_report": 10, "total_reports": 2, **changes})


def some(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


class Costs:
    """An objective with its networks and a batch of unequal sizes."""

    def __init__(self, drawings, **changes):
        self.config = small_config(**changes)
        self.objective = Objective(self.config, drawings, torch.device("cpu"), contextlib.nullcontext)
        self.generator = build_generator(self.config)
        self.discriminator = build_discriminator(self.config)
        self.lines, self.colors = some(2, 1, 8, 12), some(2, 3, 8, 12, seed=1)
        self.painted = self.objective.paint(self.generator, self.lines)

    def of_discriminator(self):
        fake = self.painted[0].detach()
        return self.objective.of_discriminator(self.discriminator, self.lines, self.colors, fake)

    def of_generator(self):
        networks = self.generator, self.discriminator
        return self.objective.of_generator(*networks, self.lines, self.colors, *self.painted)


OPTIONS = [
    *({"norm": norm} for norm in ("layer", "instance")),
    *({"activation": activation} for activation in ("prelu", "maxout", "elu", "silu")),
    {"attention": True, "dropout": 0.3},
    {"passes": 3, "norm": "group"},
    {"initialization": "glorot"},
    {"initialization": "normal", "upsample": "resize"},
    {"confidence": True, "ema": 0.9},
    {"confidence": True, "precision": "bfloat16", "attention": True, "passes": 2},
    {"discriminator_spectral": True},
    {"discriminator_spectral": True, "adversarial": "hinge", "discriminator_norm": "none"},
    {"adversarial": "least_squares", "label_smoothing": 0.1},
    {"adversarial": "vanilla", "label_smoothing": 0.1},
    {"adversarial": "wgan_gp"},
    {"adversarial": "wgan_gp", "precision": "bfloat16", "discriminator_spectral": True},
    {"adversarial": "dragan", "discriminator_norm": "instance"},
    {"r1_weight": 1.0, "adversarial": "hinge"},
    {"huber_weight": 20.0, "l1_weight": 0.0},
    {"color_space": "lab", "precision": "bfloat16"},
    {"feature_weight": 10.0, "discriminator_layers": 3},
    {"tv_weight": 1.0},
    {"l1_decay": 1e-4, "l2_decay": 1e-3},
    {"rare_weight": 0.5, "data_fraction": 0.5},
    {
        "confidence": True,
        "passes": 2,
        "attention": True,
        "activation": "maxout",
        "norm": "layer",
        "discriminator_spectral": True,
        "adversarial": "wgan_gp",
        "feature_weight": 5.0,
        "tv_weight": 1.0,
        "l2_decay": 1e-4,
        "rare_weight": 0.5,
        "color_space": "lab",
        "huber_weight": 5.0,
        "accumulation": 2,
    },
]


@pytest.mark.parametrize("changes", OPTIONS, ids=str)
def test_every_option_trains_and_goes_on_from_a_checkpoint_bit_for_bit(changes, drawings, tmp_path):
    config = small_config(**changes)
    straight, first, second = (Trainer(config, drawings) for _ in range(3))
    told = straight.train(10)
    assert all(np.isfinite(value) for value in told.values())
    assert set(ALWAYS) < told.keys()
    first.train(10)
    first.save(tmp_path)
    second.restore(tmp_path)
    assert second.train(10) == straight.train(10)
    for ours, theirs in ((second.shown, straight.shown), (second.discriminator, straight.discriminator)):
        expected = theirs.state_dict()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in ours.state_dict().items())
    assert all(tensor.isfinite().all() for tensor in second.shown.state_dict().values())
    assert second.evaluate(drawings)["psnr"] == straight.evaluate(drawings)["psnr"] > 5


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ()),
        ({"adversarial": "wgan_gp"}, ("penalty",)),
        ({"r1_weight": 1.0}, ("penalty",)),
        ({"adversarial": "wgan_gp", "adversarial_weight": 0.0}, ()),
        ({"feature_weight": 1.0}, ("feature",)),
        ({"confidence": True}, ("likelihood",)),
        ({"tv_weight": 1.0}, ("variation",)),
        ({"l1_decay": 1.0}, ("decay",)),
        ({"l2_decay": 1.0}, ("decay",)),
    ],
)
def test_what_a_report_tells_follows_from_the_config(changes, names, drawings):
    trainer = Trainer(small_config(**changes), drawings)
    assert set(trainer.train(1)) == {*ALWAYS, *names, "gradient_g", "gradient_d"}


def test_costs_that_are_off_are_not_computed(drawings, monkeypatch):
    names = ["feature_cost", "likelihood_cost", "variation_cost", "decay_cost", "slope_penalty", "r1_penalty", "Rarity"]
    for name in names:
        monkeypatch.setattr(objective, name, None)
    costs = Costs(drawings)
    costs.of_discriminator()
    costs.of_generator()


@pytest.mark.parametrize(
    "changes",
    [
        {"feature_weight": 3.0, "tv_weight": 2.0, "l1_decay": 1e-3, "confidence": True, "adversarial_weight": 0.7},
        {"adversarial_weight": 0.0, "tv_weight": 2.0},
    ],
)
def test_the_generators_cost_is_the_sum_of_what_is_told(changes, drawings):
    costs = Costs(drawings, **changes)
    told = {name: cost.item() for name, cost in costs.of_generator().items()}
    parts = sum(value for name, value in told.items() if name not in {"loss_g", "adversarial"})
    weighted = costs.config.adversarial_weight * told["adversarial"]
    assert told["loss_g"] == pytest.approx(parts + weighted)
    assert all(told[name] != 0 for name in told if name != "adversarial")


@pytest.mark.parametrize("changes", [{}, {"feature_weight": 1.0}])
def test_verdicts_cost_what_the_config_says(changes, drawings):
    costs = Costs(drawings, **changes, adversarial="least_squares", label_smoothing=0.3)
    fake = costs.discriminator(costs.lines, costs.painted[0])
    real = costs.discriminator(costs.lines, costs.colors)
    assert costs.of_generator()["adversarial"].item() == pytest.approx((fake - 1).square().mean().item(), rel=1e-5)
    expected = ((real - 0.7).square().mean() + fake.square().mean()) / 2
    assert costs.of_discriminator()["loss_d"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("name", ["feature_weight", "tv_weight", "likelihood_weight", "l1_decay", "l2_decay"])
def test_weights_scale_what_they_weigh(name, drawings):
    settings = {"confidence": True, "feature_weight": 1.0, "tv_weight": 1.0, "l1_decay": 1.0, "l2_decay": 1.0}
    once, thrice = (Costs(drawings, **(settings | {name: weight})).of_generator() for weight in (1.0, 3.0))
    other = {"l1_decay": 0.5, "l2_decay": 0.5}  # decays share a part
    part = {"feature_weight": "feature", "tv_weight": "variation", "likelihood_weight": "likelihood"}.get(name, "decay")
    if part == "decay":
        alone = Costs(drawings, **(settings | dict.fromkeys(other, 0.0) | {name: 2.0})).of_generator()["decay"]
        assert (thrice[part] - once[part]).item() == pytest.approx(alone.item(), rel=1e-5)
    else:
        assert thrice[part].item() == pytest.approx(3 * once[part].item(), rel=1e-5)


def test_the_penalty_is_part_of_the_discriminators_cost(drawings):
    costs, plain = Costs(drawings, r1_weight=4.0), Costs(drawings)
    told = costs.of_discriminator()
    expected = 4 * r1_penalty(costs.discriminator, costs.lines, costs.colors)
    assert told["penalty"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert told["loss_d"].item() == pytest.approx((plain.of_discriminator()["loss_d"] + expected).item(), rel=1e-5)


@pytest.mark.parametrize(("kind", "points"), [("wgan_gp", "between"), ("dragan", "around")])
def test_slopes_are_measured_where_the_method_says(kind, points, drawings, monkeypatch):
    costs, seen = Costs(drawings, adversarial=kind, penalty_weight=3.0), []
    original = getattr(objective, points)
    monkeypatch.setattr(objective, points, lambda *given: seen.append(given) or original(*given))
    torch.manual_seed(0)
    told = costs.of_discriminator()
    given = (costs.colors, costs.painted[0].detach()) if points == "between" else (costs.colors,)
    assert all(torch.equal(a, b) for a, b in zip(seen[0], given, strict=True))
    torch.manual_seed(0)
    expected = 3 * objective.slope_penalty(costs.discriminator, costs.lines, original(*given))
    assert told["penalty"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("changes", [{}, {"feature_weight": 5.0, "adversarial": "least_squares"}])
def test_the_generators_cost_teaches_the_discriminator_nothing(changes, drawings):
    costs = Costs(drawings, **changes)
    costs.of_generator()["loss_g"].backward()
    assert all(p.grad is None and p.requires_grad for p in costs.discriminator.parameters())
    assert all(p.grad is not None for p in costs.generator.parameters())


def test_decay_spares_biases_and_norms(drawings):
    costs = Costs(drawings, l2_decay=2.0, l1_decay=1.0, activation="prelu")
    costs.of_generator()["decay"].backward()
    for name, parameter in costs.generator.named_parameters():
        if name.endswith("bias") or parameter.dim() == 1:
            assert parameter.grad is None, name
        else:
            assert torch.allclose(parameter.grad, 2 * parameter + parameter.sign()), name


def test_errors_are_taken_in_the_space_and_by_the_rarity_of_the_config(drawings):
    costs = Costs(drawings, color_space="lab", rare_weight=0.5, l1_weight=2.0, mse_weight=3.0)
    rare = Rarity(drawings.colors, 0.5).weights(costs.colors)
    spaces = (in_space(each, "lab") for each in (costs.painted[0], costs.colors))
    expected = reconstruction_cost(*spaces, 3.0, 2.0, weights=rare)
    assert costs.of_generator()["reconstruction"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_rare_colours_are_counted_in_the_part_of_the_data_that_is_learnt_from(drawings):
    half = Costs(drawings, rare_weight=0.5, data_fraction=0.5)
    part = {tuple(row) for row in half.objective._rarity._weights[None].tolist()}
    whole = Costs(drawings, rare_weight=0.5)
    assert part != {tuple(row) for row in whole.objective._rarity._weights[None].tolist()}


def test_a_generator_learns_where_it_is_far_off(drawings):
    """The left half of each drawing has colours that no line tells, the right half is white."""
    rng = np.random.default_rng(0)
    colors = np.full_like(drawings.colors, 255)
    colors[..., : SIZE // 2] = rng.integers(0, 256, (11, 3, 1, 1), dtype=np.uint8)
    guess = Drawings(drawings.names, drawings.groups, np.full_like(drawings.lines, 255), colors)
    settings = {"adversarial_weight": 0.0, "l1_weight": 0.0, "mse_weight": 1.0, "flip": False, "schedule": "constant"}
    trainer = Trainer(small_config(**settings, confidence=True, lr_g=2e-3), guess)
    trainer.train(150)
    with torch.no_grad():
        painted, told = trainer.shown.eval().with_log_variance(torch.ones(1, 1, SIZE, SIZE))
    error = (torch.from_numpy(colors) / 127.5 - 1 - painted).square().mean((0, 1))  # (S, S)
    left, right = (slice(2, -2), slice(2, SIZE // 2 - 2)), (slice(2, -2), slice(SIZE // 2 + 2, -2))
    assert told[0, 0][left].exp().mean().item() == pytest.approx(error[left].mean().item(), rel=0.3)
    assert error[left].mean() > 0.3
    assert told[0, 0][right].exp().mean() < 0.05


def test_penalties_hold_slopes_where_they_pull_them(drawings):
    """WGAN-GP draws slopes to 1, R1 to 0."""
    found = {}
    lines, colors = (torch.from_numpy(part[:6]).float() / 127.5 - 1 for part in (drawings.lines, drawings.colors))
    for name, changes in {
        "wgan": {"adversarial": "wgan_gp", "penalty_weight": 1e3},
        "r1": {"r1_weight": 1e2},
        "none": {},
    }.items():
        config = small_config(**changes, lr_g=1e-9, lr_d=2e-3, schedule="constant", discriminator_norm="none")
        trainer = Trainer(config, drawings)
        trainer.train(100)
        points = (colors + trainer.generator(lines).detach()) / 2
        found[name] = slopes(trainer.discriminator, lines, points).mean().item()
    assert found["wgan"] == pytest.approx(1, rel=0.1), found
    assert found["r1"] < 0.1 < found["none"], found
