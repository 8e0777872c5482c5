import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from colorizer import checkpoint
from colorizer.checkpoint import CheckpointError
from colorizer.config import TrainingConfig
from colorizer.dataset import Drawings
from colorizer.training import Trainer
from colorizer.transfer import freeze


def drawings(count=7, size=16):
    rng = np.random.default_rng(0)
    lines, colors = (rng.integers(0, 256, (count, c, size, size), dtype=np.uint8) for c in (1, 3))
    return Drawings([str(n) for n in range(count)], np.arange(count), lines, colors)


def small_config(**changes):
    settings = {"channels": 4, "levels": 3, "discriminator_channels": 4, "batch_size": 3, "size": 16, "lr_g": 1e-3}
    return TrainingConfig.from_dict(settings | changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint, and the trainer that wrote it."""
    trainer = Trainer(small_config(seed=5), drawings())
    trainer.train(4)
    folder = tmp_path_factory.mktemp("trained")
    trainer.save(folder)
    return folder, trainer


def equal(a, b):
    return all(torch.equal(tensor, b[name]) for name, tensor in a.items())


def test_a_training_begins_with_the_weights_of_another_and_with_nothing_else_of_it(trained, tmp_path):
    folder, other = trained
    trainer = Trainer(small_config(start_from=str(folder), ema=0.9), drawings())
    for ours in (trainer.generator, trainer.average):
        assert equal(ours.state_dict(), other.generator.state_dict())
    assert equal(trainer.discriminator.state_dict(), other.discriminator.state_dict())
    assert trainer.steps == 0
    assert not trainer._state()["adam_g.head.weight.exp_avg"].any()
    trainer.save(tmp_path, reason="why")
    notes = checkpoint.read(tmp_path).notes
    assert notes == {"reason": "why", "start_from": {"folder": str(folder), "fresh": []}}


def test_what_does_not_fit_stays_fresh_and_is_named(trained, tmp_path):
    folder, other = trained
    config = small_config(upsample="resize", discriminator_channels=6)
    fresh, trainer = (Trainer(dataclasses.replace(config, start_from=start), drawings()) for start in ("", str(folder)))
    ours, theirs, new = (t.generator.state_dict() for t in (trainer, other, fresh))
    for name, tensor in ours.items():
        assert torch.equal(tensor, (new if name.startswith("up.") else theirs)[name]), name
    trainer.save(tmp_path)
    named = checkpoint.read(tmp_path).notes["start_from"]["fresh"]
    expected = [f"generator.{name}" for name in ours if name.startswith("up.")]
    assert [name for name in named if name.startswith("generator.")] == expected
    assert "discriminator.body.0.weight" in named
    assert "discriminator.body.5.bias" not in named  # one number, in either


def test_a_generator_alone_is_enough(trained, tmp_path):
    folder, other = trained
    checkpoint.write(tmp_path, checkpoint.read(folder), {checkpoint.GENERATOR: other.generator.state_dict()})
    trainer = Trainer(small_config(start_from=str(tmp_path)), drawings())
    assert equal(trainer.generator.state_dict(), other.generator.state_dict())
    assert equal(trainer.discriminator.state_dict(), Trainer(small_config(), drawings()).discriminator.state_dict())


def test_a_checkpoint_that_shares_nothing_is_refused_with_the_reason(trained, tmp_path):
    with pytest.raises(
        CheckpointError, match=r"Expected layers of this generator in .*: channels=4 there and 5 here\. "
    ):
        Trainer(small_config(channels=5, start_from=str(trained[0])), drawings())
    with pytest.raises(CheckpointError, match=r"Expected a checkpoint, found no checkpoint\.json"):
        Trainer(small_config(start_from=str(tmp_path)), drawings())


def test_old_tensors_of_the_generator_learn_at_a_share_of_its_rate(trained):
    """Plain gradient descent is linear in the rate, so that one step shows it."""
    settings = {"start_from": str(trained[0]), "upsample": "resize", "optimizer": "sgd", "momentum": 0.0, "lr_g": 0.5}
    full, slow = (Trainer(small_config(lr_old_factor=factor, **settings), drawings()) for factor in (1.0, 0.125))
    start = {name: parameter.detach().clone() for name, parameter in full.generator.named_parameters()}
    for trainer in (full, slow):
        trainer.train(1)
    ours = dict(slow.generator.named_parameters())
    assert any(name.startswith("up.") for name in start)
    for name, parameter in full.generator.named_parameters():
        share = 1.0 if name.startswith("up.") else 0.125
        assert torch.allclose(ours[name] - start[name], share * (parameter - start[name]), atol=1e-6), name
    assert equal(slow.discriminator.state_dict(), full.discriminator.state_dict())


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9, "weight_decay": 0.1, "accumulation": 2, "dropout": 0.3}])
def test_what_is_frozen_keeps_its_bits_with_the_statistics_of_its_norms(changes):
    trainer = Trainer(small_config(frozen="down.0, down.1,up.0.0", **changes), drawings())
    before = {name: tensor.clone() for name, tensor in trainer.generator.state_dict().items()}
    trainer.train(3)
    trainer.evaluate(drawings())
    trainer.train(2)
    for network in (trainer.generator, trainer.shown):
        for name, tensor in network.state_dict().items():
            still = name.startswith(("down.0.", "down.1.", "up.0.0."))
            assert torch.equal(tensor, before[name]) is still, name
    assert "down.1.1.running_mean" in before
    assert "up.0.1.running_mean" in before


def test_a_training_with_frozen_and_old_layers_goes_on_bit_for_bit(trained, tmp_path):
    settings = {"start_from": str(trained[0]), "frozen": "down.1", "lr_old_factor": 0.5, "optimizer": "adam_sgd"}
    config = small_config(steps_per_report=6, total_reports=1, upsample="resize", **settings)
    straight, first, second = (Trainer(config, drawings()) for _ in range(3))
    straight.train(6)
    first.train(2)
    first.save(tmp_path)
    second.restore(tmp_path)
    second.train(4)
    assert equal(second.generator.state_dict(), straight.generator.state_dict())
    assert equal(second._state(), straight._state())


def test_an_unknown_prefix_is_refused_with_the_nearest_known_one():
    for frozen, near in (("dwon.1", "down.1"), ("down.0,haed", "head"), ("up.1.0.weigth", r"up.1.0.weight")):
        with pytest.raises(ValueError, match=f"begin names of parameters, got .* Did you mean '{near}'"):
            Trainer(small_config(frozen=frozen), drawings())


def test_a_prefix_covers_whole_parts_of_names():
    network = nn.ModuleDict({"down1": nn.Linear(2, 3), "down10": nn.Linear(3, 5)})
    assert freeze(network, "down1") == [network["down1"]]
    assert [parameter.requires_grad for parameter in network.parameters()] == [False, False, True, True]
    assert freeze(network, "") == []
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_generator_with_nothing_left_to_train_is_refused():
    with pytest.raises(
        ValueError, match="a part of the generator to be left to train, got frozen='down,up,head,sketch'"
    ):
        Trainer(small_config(frozen="down,up,head,sketch"), drawings())
