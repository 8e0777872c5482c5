import dataclasses
import json
import pickle

import numpy as np
import pytest
import torch
from torch.amp.grad_scaler import GradScaler

from colorizer.checkpoint import CheckpointError
from colorizer.config import TrainingConfig
from colorizer.dataset import Drawings
from colorizer.losses import discriminator_cost
from colorizer.sampling import Sampler, to_floats, to_pixels, to_unit
from colorizer.seeds import isolate, seed_everything
from colorizer.training import Diverged, Trainer


def painted(count=11, size=16, seed=0):
    """Boxes with a black outline; the left half of each box is of one colour, the right half of another."""
    rng = np.random.default_rng(seed)
    lines = np.full((count, 1, size, size), 255, np.uint8)
    colors = np.full((count, 3, size, size), 255, np.uint8)
    for line, color in zip(lines, colors, strict=True):
        top, left = rng.integers(0, size // 2, 2)
        box = slice(top, top + size // 2), slice(left, left + size // 2)
        line[0][box] = 0
        color[0][box] = 30
        inner = slice(top + 1, top + size // 2 - 1), slice(left + 1, left + size // 2 - 1)
        line[0][inner] = 255
        color[1][inner] = 90
    return Drawings([str(n) for n in range(count)], np.arange(count), lines, colors)


def small_config(**changes):
    settings = {
        "channels": 4,
        "levels": 3,
        "discriminator_channels": 4,
        "batch_size": 3,
        "size": 16,
        "l1_weight": 0.0,
        "mse_weight": 100.0,
        "lr_g": 2e-3,
        "steps_per_report": 10,
        "total_reports": 4,
    }
    return TrainingConfig.from_dict(settings | changes)


def learning_rates(trainer):
    """Of weights and of biases and norms, in the generator and in the discriminator, at the last step."""
    optimizers = trainer._optimizer_g, trainer._optimizer_d
    return [group["lr"] for optimizer in optimizers for group in optimizer._first.param_groups]


def everything(trainer):
    """All that a training is made of, as one flat dictionary of tensors."""
    parts = {"shown": trainer.shown, "g": trainer.generator, "d": trainer.discriminator}
    weights = {f"{part}.{name}": t for part, net in parts.items() for name, t in net.state_dict().items()}
    return {name: tensor.clone() for name, tensor in (weights | trainer._state()).items()}


def assert_equal_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


VARIANTS = [
    {},
    {"dropout": 0.4, "ema": 0.9, "weight_decay": 0.01, "l1_weight": 50.0},
    {"norm": "none", "schedule": "linear", "upsample": "resize", "precision": "bfloat16"},
    {"adversarial_weight": 0.0, "norm": "instance", "flip": False, "batch_size": 13},
    {"data_fraction": 0.5},
]


@pytest.mark.parametrize("changes", VARIANTS)
def test_twenty_steps_are_ten_and_a_checkpoint_and_ten_bit_for_bit(changes, tmp_path):
    config, drawings = small_config(**changes), painted()
    straight = Trainer(config, drawings)
    straight.train(10)
    halfway = everything(straight)
    first = Trainer(config, drawings)
    first.train(10)
    first.save(tmp_path / "checkpoint")
    second = Trainer(config, drawings)
    second.restore(tmp_path / "checkpoint")
    assert second.steps == 10
    assert_equal_bits(everything(second), halfway)
    losses = straight.train(10)
    assert second.train(10) == losses
    assert_equal_bits(everything(second), everything(straight))
    assert second.evaluate(drawings) == straight.evaluate(drawings)


OPTIMIZERS = ["adam", "sgd", "rmsprop", "adadelta", "adam_sgd"]
MORE = {"accumulation": 2, "ema": 0.9, "clip_norm": 0.5, "clip_value": 0.1, "weight_decay": 0.01, "dropout": 0.3}


def train_with_reports(trainer, count, worse=1.0):
    """Steps with a report each, whose scores fall."""
    for _ in range(count):
        trainer.train(1)
        trainer.hear({"psnr": 20 - worse * trainer.steps})


@pytest.mark.parametrize("more", [{}, MORE], ids=["alone", "with all"])
@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "exponential", "plateau"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_six_steps_are_three_and_three_with_every_optimizer_and_schedule(optimizer, schedule, more, tmp_path):
    """The break comes before the rate falls at a plateau, and after Adam has handed over or just before it does."""
    config, drawings = (
        small_config(
            **{"lr_g": 1e-3, "handover": 0.4 if more else 0.6, "steps_per_report": 1, "total_reports": 6},
            **{"decay_steps": 2, "plateau_patience": 3, "warmup_steps": 5, "floor": 0.1},
            **{"optimizer": optimizer, "schedule": schedule, **more},
        ),
        painted(),
    )
    straight, first, second = (Trainer(config, drawings) for _ in range(3))
    train_with_reports(straight, 6)
    train_with_reports(first, 3)
    first.save(tmp_path)
    second.restore(tmp_path)
    assert_equal_bits(everything(second), everything(first))
    train_with_reports(second, 3)
    assert_equal_bits(everything(second), everything(straight))


def test_two_hundred_steps_are_a_hundred_and_a_hundred(tmp_path):
    config, drawings = (
        small_config(optimizer="adam_sgd", schedule="plateau", plateau_patience=2, steps_per_report=20, **MORE),
        painted(),
    )
    validation = painted(3, seed=1)
    trainers = straight, first, second = [Trainer(config, drawings) for _ in range(3)]
    for trainer, reports in zip(trainers, (10, 5, 0), strict=True):
        for _ in range(reports):
            trainer.train(20)
            trainer.hear(trainer.evaluate(validation))
    first.save(tmp_path)
    second.restore(tmp_path)
    for _ in range(5):
        second.train(20)
        second.hear(second.evaluate(validation))
    assert second.steps == 200
    assert_equal_bits(everything(second), everything(straight))


def test_a_plateau_of_the_scores_lowers_both_rates():
    trainer = Trainer(
        small_config(schedule="plateau", plateau_patience=2, plateau_factor=4.0, lr_g=8e-3, steps_per_report=1),
        painted(),
    )
    seen = []
    for psnr in (10.0, 9.0, 11.0, 10.0, 11.0, 5.0, 5.0):
        trainer.train(1)
        seen.append(learning_rates(trainer)[0])
        trainer.hear({"psnr": psnr})
    assert seen == pytest.approx([8e-3] * 5 + [2e-3] * 2)
    trainer.train(1)
    assert learning_rates(trainer) == pytest.approx([5e-4] * 2 + [2e-4 / 16] * 2)


def test_a_plateau_without_reports_is_refused_before_a_step_is_taken():
    trainer = Trainer(small_config(schedule="plateau"), painted())
    with pytest.raises(ValueError, match=r"scores of 1 reports by step 10 for .*, got those of 0\. Train for 10 steps"):
        trainer.train(11)
    trainer.train(10)
    with pytest.raises(ValueError, match=r"call hear\(evaluate\(validation\)\) after each"):
        trainer.train(1)
    assert trainer.steps == 10
    trainer.hear({"psnr": 10.0})
    trainer.train(10)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_batches_that_accumulate_are_one_large_batch(optimizer):
    """Every norm but "batch" looks at one drawing at a time."""
    settings = {"norm": "instance", "flip": False, "optimizer": optimizer, "lr_g": 1e-3, "lr_d": 1e-3}
    large = Trainer(small_config(batch_size=6, **settings), painted())
    small = Trainer(small_config(batch_size=2, accumulation=3, **settings), painted())
    for _ in range(3):
        expected = large.train(1)
        assert small.train(1) == pytest.approx(expected, rel=1e-4)
    for network in ("generator", "discriminator"):
        ours, theirs = (getattr(trainer, network).state_dict() for trainer in (small, large))
        for name, tensor in ours.items():
            assert torch.allclose(tensor, theirs[name], atol=1e-5), name


def test_float16_is_refused_where_there_is_no_gpu():
    with pytest.raises(ValueError, match=r"Expected a GPU for precision='float16', got the device 'cpu'.*'bfloat16'"):
        Trainer(small_config(precision="float16"), painted())


def test_the_scale_of_costs_is_no_part_of_a_step_and_goes_on_where_it_was(tmp_path):
    """GPUs alone compute in float16; the scaling for it works anywhere, and powers of two leave all bits."""
    config, drawings = small_config(clip_norm=0.5), painted()
    plain, scaled, again = (Trainer(config, drawings) for _ in range(3))
    for trainer in (scaled, again):
        trainer._computing.scaler = GradScaler("cpu", init_scale=2.0**10, growth_interval=3)
    assert scaled.train(4) == plain.train(4)
    assert torch.equal(scaled.generator.head.weight, plain.generator.head.weight)
    scaled.save(tmp_path)
    again.restore(tmp_path)
    assert (again._computing.scaler.get_scale(), again._computing.scaler._get_growth_tracker()) == (2.0**11, 1)
    scaled.train(3)
    again.train(3)
    assert again._computing.scaler.get_scale() == 2.0**12
    assert_equal_bits(everything(again), everything(scaled))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_whose_gradients_overflow_is_left_out_and_the_scale_halved(optimizer):
    trainer = Trainer(small_config(optimizer=optimizer, lr_g=1e-3), painted())
    trainer._computing.scaler = GradScaler("cpu", init_scale=2.0**127)
    before = everything(trainer)
    trainer.train(1)
    after = everything(trainer)
    for name, _ in trainer.generator.named_parameters():
        assert torch.equal(after[f"g.{name}"], before[f"g.{name}"])
    memory = [name for name in after if name.startswith(f"{optimizer}_g.")]
    assert all(torch.equal(after[name], before[name]) for name in memory)
    assert trainer._computing.scaler.get_scale() == 2.0**126


def test_the_seed_decides_and_nothing_else_does():
    config, drawings = small_config(dropout=0.3), painted()
    first = Trainer(config, drawings)
    first.train(5)
    seed_everything(99)
    torch.rand(7)
    second, other = Trainer(config, drawings), Trainer(dataclasses.replace(config, seed=1), drawings)
    before = torch.get_rng_state()
    second.train(2)
    other.train(2)
    assert torch.equal(torch.get_rng_state(), before)
    second.train(3)
    other.train(3)
    assert_equal_bits(everything(first), everything(second))
    assert not torch.equal(first.generator.head.weight, other.generator.head.weight)


def test_looking_at_the_scores_does_not_change_the_training():
    config, drawings = small_config(dropout=0.3), painted()
    watched, alone = Trainer(config, drawings), Trainer(config, drawings)
    watched.train(4)
    scores = watched.evaluate(painted(5, seed=1))
    watched.train(4)
    alone.train(4)
    alone.train(4)
    assert_equal_bits(everything(watched), everything(alone))
    assert {"mse", "psnr", "ssim", "ciede2000", "colourfulness"} <= scores.keys()
    with pytest.raises(ValueError, match="1 drawing or more to score, got 0"):
        alone.evaluate(painted(0))


def test_one_batch_is_learned_by_heart():
    drawings = painted(4, 16)
    config = small_config(channels=8, lr_g=1e-2, batch_size=4, flip=False, total_reports=40, adversarial_weight=0.1)
    trainer = Trainer(config, drawings)
    before = trainer.evaluate(drawings)["psnr"]
    trainer.train(250)
    after = trainer.evaluate(drawings)["psnr"]
    assert before < 12
    assert after > 25


def test_the_discriminator_learns_to_tell_and_the_generator_hears_of_it():
    config = small_config(lr_g=1e-6, lr_d=1e-2, mse_weight=0.0)
    trainer = Trainer(config, painted())
    start, end = trainer.train(1), {}
    for _ in range(4):
        end = trainer.train(10)
    assert start["loss_d"] == pytest.approx(0.69, abs=0.3)
    assert end["loss_d"] < 0.3
    assert end["adversarial"] > 1
    assert end["gradient_g"] > 0


def test_the_discriminator_hears_of_its_own_cost_alone():
    """Its gradients are those of its verdicts on true and generated drawings; the generator's step adds nothing."""
    trainer, reference = Trainer(small_config(), painted()), Trainer(small_config(), painted())
    trainer.train(1)
    lines, colors = (to_unit(part, torch.device("cpu")) for part in reference._showing.sampler.next())
    judge, fake = reference.discriminator, reference.generator.train()(lines).detach()
    cost = discriminator_cost(judge(lines, colors), judge(lines, fake))
    expected = torch.autograd.grad(cost, list(judge.parameters()))
    for parameter, gradient in zip(trainer.discriminator.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-6)
        assert parameter.requires_grad


def test_weight_decay_shrinks_weights_and_spares_biases():
    free = Trainer(small_config(lr_g=1e-3), painted())
    decayed = Trainer(small_config(lr_g=1e-3, weight_decay=50.0), painted())
    for trainer in (free, decayed):
        torch.nn.init.constant_(trainer.generator.head.bias, 1.0)
        trainer.train(10)
    assert decayed.generator.head.weight.norm() < 0.75 * free.generator.head.weight.norm()
    assert decayed.generator.head.bias.mean() > 0.9


def test_both_learning_rates_follow_the_schedule():
    trainer = Trainer(
        small_config(schedule="linear", steps_per_report=4, total_reports=1, lr_g=8e-3, lr_d=4e-3), painted()
    )
    for rate in (1, 0.75, 0.5, 0.25, 0.25):
        trainer.train(1)
        assert learning_rates(trainer) == pytest.approx([8e-3 * rate] * 2 + [4e-3 * rate] * 2)


def test_the_average_of_weights_follows_the_weights_and_is_the_one_shown():
    trainer = Trainer(small_config(ema=0.5), painted())
    expected = {name: p.detach().clone() for name, p in trainer.generator.named_parameters()}
    for step in range(1, 4):
        trainer.train(1)
        decay = min(0.5, (1 + step) / (10 + step))
        for name, parameter in trainer.generator.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * parameter.detach()
    assert trainer.shown is not trainer.generator
    for name, parameter in trainer.shown.named_parameters():
        assert torch.allclose(parameter, expected[name], atol=1e-6), name


def test_a_training_that_diverges_says_when_and_with_which_numbers():
    trainer = Trainer(small_config(lr_g=1e-3), painted())
    trainer.train(4)
    with torch.no_grad():
        trainer.generator.head.bias.fill_(float("nan"))
    with pytest.raises(Diverged, match=r"got loss_g=nan.*at step 5\. Lower lr_g") as caught:
        trainer.train(60)
    assert caught.value.step == 5
    assert np.isnan(caught.value.losses["reconstruction"])
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.step, str(again)) == (5, str(caught.value))


def test_a_checkpoint_of_another_architecture_is_refused_by_name(tmp_path):
    Trainer(small_config(channels=6), painted()).save(tmp_path)
    trainer = Trainer(small_config(), painted())
    before = everything(trainer)
    with pytest.raises(CheckpointError, match=r"Expected channels=4 in .*, found 6"):
        trainer.restore(tmp_path)
    assert_equal_bits(everything(trainer), before)


@pytest.mark.parametrize(("name", "ours", "theirs"), [("optimizer", "sgd", "adam"), ("frozen", "", "down.0")])
def test_a_checkpoint_of_another_optimizer_or_with_other_parts_frozen_is_refused_by_name(name, ours, theirs, tmp_path):
    Trainer(small_config(**{name: theirs}), painted()).save(tmp_path)
    with pytest.raises(CheckpointError, match=f"Expected {name}='{ours}' in .*, found '{theirs}'"):
        Trainer(small_config(**{name: ours}), painted()).restore(tmp_path)


def test_a_checkpoint_of_other_drawings_or_without_an_average_is_refused(tmp_path):
    Trainer(small_config(), painted()).save(tmp_path)
    with pytest.raises(CheckpointError, match=r"sampler.order as int64 \(12,\) .*found int64 \(11,\)"):
        Trainer(small_config(), painted(12)).restore(tmp_path)
    with pytest.raises(CheckpointError, match=r"generator\.\S+ as .*found no such tensor"):
        Trainer(small_config(ema=0.9), painted()).restore(tmp_path)


def test_a_training_goes_on_with_another_learning_rate(tmp_path):
    first = Trainer(small_config(), painted())
    first.train(3)
    first.save(tmp_path)
    second = Trainer(small_config(lr_g=1e-30, lr_d=1e-30), painted())
    second.restore(tmp_path)
    second.train(3)
    assert torch.allclose(first.generator.head.weight, second.generator.head.weight)


class TestTrainingConfig:
    def test_it_cannot_be_changed(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            TrainingConfig().lr_g = 1.0

    def test_it_survives_json(self):
        config = small_config(norm="group", seed=7, lr_g=3e-4)
        assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("lr_g", 0.0, r"Expected lr_g > 0, got lr_g=0\.0"),
            ("lr_d", float("nan"), "Expected lr_d to be a finite number, got nan"),
            ("beta1", 1.0, r"Expected 0 <= beta1 < 1, got beta1=1\.0"),
            ("dropout", -0.1, "Expected 0 <= dropout < 1"),
            ("weight_decay", -1e-3, "Expected weight_decay >= 0"),
            ("channels", 0, "Expected channels >= 1, got channels=0"),
            ("channels", 8.0, r"Expected channels to be a whole number, got 8\.0"),
            ("batch_size", True, "Expected batch_size to be a whole number, got True"),
            ("flip", 1, "Expected flip to be True or False, got 1"),
            ("norm", "spectral", "Expected norm to be one of 'batch', 'instance', 'group', 'layer', 'none', got 'spec"),
            ("discriminator_norm", "batch", "Expected discriminator_norm to be one of 'instance'"),
            ("schedule", None, "Expected schedule to be one of"),
            (
                "precision",
                "float64",
                "Expected precision to be one of 'float32', 'bfloat16', 'float16', 'auto', got 'float64'",
            ),
            ("optimizer", "lion", "Expected optimizer to be one of 'adam', 'sgd', 'rmsprop'"),
            ("momentum", 1.0, r"Expected 0 <= momentum < 1, got momentum=1\.0"),
            ("handover", 0.0, r"Expected 0 < handover < 1, got handover=0\.0"),
            ("decay_factor", 1.0, r"Expected 0 < decay_factor < 1, got decay_factor=1\.0"),
            ("decay_steps", 0, "Expected decay_steps >= 1, got decay_steps=0"),
            ("plateau_factor", 1.9, r"Expected 2 <= plateau_factor <= 10, got plateau_factor=1\.9"),
            ("plateau_factor", 11.0, "Expected 2 <= plateau_factor <= 10"),
            ("plateau_patience", 0, "Expected plateau_patience >= 1"),
            ("warmup_steps", -1, "Expected warmup_steps >= 0, got warmup_steps=-1"),
            ("floor", 1.0, r"Expected 0 <= floor < 1, got floor=1\.0"),
            ("clip_norm", -1.0, "Expected clip_norm >= 0"),
            ("clip_value", -1.0, "Expected clip_value >= 0"),
            ("accumulation", 0, "Expected accumulation >= 1, got accumulation=0"),
            ("start_from", 3, "Expected start_from to be a text, got 3"),
            ("lr_old_factor", 0.0, r"Expected 0 < lr_old_factor <= 1, got lr_old_factor=0\.0"),
            ("levels", 9, r"Expected 2\*\*levels <= 2 \* size, got levels=9"),
            ("discriminator_layers", 6, r"Expected 2\*\*discriminator_layers <= size / 2"),
            ("data_fraction", 0.0, r"Expected 0 < data_fraction <= 1, got data_fraction=0\.0"),
            ("data_fraction", 1.5, "Expected 0 < data_fraction <= 1"),
            ("seed", -1, "Expected seed >= 0"),
            ("seed", 2**32, r"Expected seed < 2\*\*32, got seed=4294967296"),
        ],
    )
    def test_a_value_out_of_its_range_is_refused_rule_first(self, name, value, message):
        with pytest.raises(ValueError, match=message):
            TrainingConfig.from_dict({name: value})

    def test_numbers_of_numpy_become_plain_ones(self):
        config = TrainingConfig.from_dict({"channels": np.int64(8), "lr_g": np.float64(1e-3), "flip": np.True_})
        assert json.loads(json.dumps(config.to_dict())) == config.to_dict()

    def test_an_unknown_name_is_refused_with_the_nearest_known_one(self):
        with pytest.raises(ValueError, match=r"got 'lrg'\. Did you mean 'lr_g'"):
            TrainingConfig.from_dict({"lrg": 1e-3})
        with pytest.raises(ValueError, match="Did you mean 'batch_size'"):
            TrainingConfig.from_dict({"batchsize": 4})

    def test_a_generator_without_any_cost_is_refused(self):
        with pytest.raises(ValueError, match="above 0, got 0 for all"):
            TrainingConfig(l1_weight=0.0, mse_weight=0.0, adversarial_weight=0.0)


class TestSampler:
    def test_an_epoch_shows_every_drawing_once_in_an_order_of_its_own(self):
        drawings = painted(7, 8)
        drawings.lines[:] = np.arange(7, dtype=np.uint8)[:, None, None, None]
        sampler = Sampler(drawings, batch_size=3, flip=False, seed=0)
        seen = torch.cat([sampler.next()[0][:, 0, 0, 0] for _ in range(14)]).tolist()
        epochs = [seen[start : start + 7] for start in range(0, 42, 7)]
        assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) > 1

    def test_a_batch_larger_than_the_dataset_is_full(self):
        lines, colors = Sampler(painted(2, 8), batch_size=5, flip=True, seed=0).next()
        assert (lines.shape, colors.shape) == ((5, 1, 8, 8), (5, 3, 8, 8))

    def test_lines_and_colours_are_mirrored_together_half_of_the_time_and_the_data_stay_as_they_are(self):
        rng = np.random.default_rng(0)
        lines, colors = (rng.integers(0, 256, (1, c, 5, 5), dtype=np.uint8) for c in (1, 3))
        lines.flags.writeable = colors.flags.writeable = False
        drawings = Drawings(["one"], np.arange(1), lines, colors)
        seen_lines, seen_colors = Sampler(drawings, batch_size=400, flip=True, seed=0).next()
        mirrored = (seen_lines.numpy() == lines[..., ::-1]).all((1, 2, 3))
        assert 150 < mirrored.sum() < 250
        assert (seen_colors.numpy()[mirrored] == colors[..., ::-1]).all()
        assert (seen_colors.numpy()[~mirrored] == colors).all()
        assert (seen_lines.numpy()[~mirrored] == lines).all()

    def test_a_part_of_the_data_is_the_same_drawings_whatever_the_seed(self):
        drawings = painted(20, 8)
        drawings.lines[:] = np.arange(20, dtype=np.uint8)[:, None, None, None]

        def seen(fraction, seed):
            sampler = Sampler(drawings, batch_size=7, flip=True, seed=seed, fraction=fraction)
            return set(torch.cat([sampler.next()[0][:, 0, 0, 0] for _ in range(12)]).tolist())

        assert len(seen(0.25, 0)) == 5
        assert seen(0.25, 0) == seen(0.25, 1) < seen(0.5, 2) < seen(1.0, 0) == set(range(20))

    def test_no_drawings_are_refused(self):
        with pytest.raises(ValueError, match="1 drawing or more"):
            Sampler(painted(0, 8), batch_size=2, flip=False, seed=0)


def test_bytes_become_numbers_in_minus_one_to_one_and_bytes_again():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 2, 8, 16)
    floats = to_floats(pixels)
    assert (floats.min(), floats.max()) == (-1, 1)
    assert torch.equal(to_unit(torch.from_numpy(pixels), torch.device("cpu")), torch.from_numpy(floats))
    assert (to_pixels(floats) == pixels).all()
    assert to_pixels(np.array([-7.0, 7.0])).tolist() == [0, 255]


def test_isolate_undoes_what_a_trial_may_leave_behind():
    isolate(5)
    clean = torch.get_rng_state()
    first = torch.rand(3), np.random.rand(3)  # noqa: NPY002
    torch.set_num_threads(2)
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_autocast_enabled("cpu", True)
    torch.use_deterministic_algorithms(True)
    isolate(5)
    assert torch.get_num_threads() == 1
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert torch.zeros(1).device.type == "cpu"
    assert not torch.is_autocast_enabled("cpu")
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.get_rng_state(), clean)
    assert torch.equal(torch.rand(3), first[0])
    assert (np.random.rand(3) == first[1]).all()  # noqa: NPY002


def test_seeds_out_of_range_are_refused():
    with pytest.raises(ValueError, match="Expected 0 <= seed < 2"):
        seed_everything(-1)
    with pytest.raises(ValueError, match="Expected threads >= 1, got 0"):
        isolate(0, threads=0)


def test_networks_lie_as_convolutions_are_quickest_with():
    trainer = Trainer(small_config(ema=0.5), painted())
    for network in (trainer.generator, trainer.discriminator, trainer.average):
        deep = [weight for weight in network.parameters() if weight.dim() == 4 and min(weight.shape) > 1]
        assert deep
        assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in deep)


def test_what_was_learnt_is_judged_by_the_weights_that_predict():
    trainer = Trainer(small_config(ema=0.9), painted())
    trainer.train(5)
    as_it_is = trainer.examine()["train_mse"]
    with torch.no_grad():
        trainer.generator.head.bias.add_(5)  # what goes on training predicts nothing
    assert trainer.examine()["train_mse"] == as_it_is
    with torch.no_grad():
        trainer.average.head.bias.add_(5)
    assert trainer.examine()["train_mse"] != as_it_is
