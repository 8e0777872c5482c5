import numpy as np
import pytest
import torch
from torch import nn

from colorizer import checkpoint
from colorizer.checkpoint import CheckpointError
from colorizer.config import TrainingConfig, build_generator
from colorizer.dataset import Drawings
from colorizer.generator import predict, predict_with_log_variance
from colorizer.inference import load_predictor
from colorizer.narrowing import filter_layers, filter_norms, narrow, widths_of
from colorizer.pruning import prune, prune_and_retrain, strongest
from colorizer.training import Trainer


def drawings(count=5, size=16):
    rng = np.random.default_rng(0)
    lines, colors = (rng.integers(0, 256, (count, c, size, size), dtype=np.uint8) for c in (1, 3))
    return Drawings([str(n) for n in range(count)], np.arange(count), lines, colors)


def small_config(**changes):
    settings = {"channels": 3, "levels": 3, "discriminator_channels": 4, "batch_size": 3, "size": 16, "lr_g": 1e-3}
    return TrainingConfig.from_dict({**settings, "steps_per_report": 2, "total_reports": 2, **changes})


def stirred(config, seed=0):
    """A generator of float64 in which every number that one could forget to cut has a value of its own."""
    generator = build_generator(config).double().eval()
    rng = torch.Generator().manual_seed(seed)
    for tensor in generator.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(0.3 * torch.rand(tensor.shape, generator=rng, dtype=torch.float64) - 0.1)
    for layer in generator.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_var.abs_().add_(0.5)
    return generator


def silence(generator, kept):
    """Set to zero, in place, the filters that are not kept, with their biases and norms."""
    blocks = [*generator.down, *generator.up]
    for block, layer, rows in zip(blocks, filter_layers(generator), kept, strict=True):
        gone = sorted(set(range(len(filter_norms(layer)))) - set(rows.tolist()))
        for part in block:
            for parameter in part.parameters():
                if isinstance(part, nn.ConvTranspose2d) and parameter.dim() == 4:
                    parameter.data[:, gone] = 0
                else:
                    parameter.data[gone] = 0


VARIANTS = [
    {},
    {"norm": "instance", "activation": "leaky", "upsample": "resize"},
    {"norm": "none", "activation": "prelu", "dropout": 0.5, "passes": 2},
    {"activation": "silu", "confidence": True, "levels": 2},
    {"attention": True, "activation": "elu"},
    {"levels": 1, "norm": "batch"},
]


@pytest.mark.parametrize("changes", VARIANTS)
def test_the_smaller_network_is_the_one_with_filters_of_zero(changes):
    config = small_config(**changes)
    whole, smaller = stirred(config), stirred(config)
    kept = strongest(whole, 0.4)
    silence(whole, kept)
    narrow(smaller, kept)
    lines = torch.rand(2, 1, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        expected, found = whole(lines), smaller(lines)
        assert torch.allclose(found, expected, rtol=0, atol=1e-12)
        if config.confidence:
            ours, theirs = (network.with_log_variance(lines)[1] for network in (smaller, whole))
            assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)
    assert not torch.allclose(expected, stirred(config)(lines), atol=1e-3)
    assert parameters(smaller) < parameters(whole)


def test_with_whole_numbers_they_are_equal_to_the_bit():
    """Sums of whole numbers are exact in any order."""
    config = small_config(norm="none", activation="relu")
    whole, smaller = build_generator(config).double(), build_generator(config).double()
    rng = torch.Generator().manual_seed(0)
    for tensor in whole.state_dict().values():
        tensor.copy_(torch.randint(-1, 2, tensor.shape, generator=rng))
    smaller.load_state_dict(whole.state_dict())
    kept = strongest(whole, 0.5)
    silence(whole, kept)
    narrow(smaller, kept)
    for last in ("head", "sketch"):  # so that not every colour ends at -1 or 1
        getattr(whole, last).weight.data.mul_(2.0**-12)
        getattr(smaller, last).weight.data.mul_(2.0**-12)
    lines = torch.randint(-1, 2, (2, 1, 9, 7), generator=rng).double()
    found = smaller(lines)
    assert torch.equal(found, whole(lines))
    assert found.abs().min() < 0.9


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_filters_with_the_least_weights_for_their_layer_go():
    generator = build_generator(small_config(levels=1))  # 3 filters down, 3 up
    down, up = filter_layers(generator)
    with torch.no_grad():
        for number, size in enumerate((2.0, 1.0, 3.0)):  # of their mean: 1, 0.5, 1.5
            down.weight[number] = size / 16
            down.weight[number, :, ::2] *= -1
        for number, size in enumerate((90.0, 18.0, 12.0)):  # 2.25, 0.45, 0.3
            up.weight[:, number] = size / (3 * 16)
    assert [filter_norms(layer).tolist() for layer in (down, up)] == [[2, 1, 3], [90, 18, 12]]
    for share, kept in (
        (0.17, [[0, 1, 2], [0, 1]]),
        (0.34, [[0, 1, 2], [0]]),
        (0.5, [[0, 2], [0]]),
        (0.99, [[2], [0]]),
    ):
        assert [rows.tolist() for rows in strongest(generator, share)] == kept


def test_attention_keeps_its_filters_and_refuses_to_lose_one():
    generator = build_generator(small_config(attention=True))
    assert [len(rows) for rows in strongest(generator, 0.99)] == [1, 1, 12, 1, 1, 1]
    kept = [torch.arange(2) for _ in filter_layers(generator)]
    with pytest.raises(
        ValueError, match="deepest layer whole with attention, which adds to all of its 12 filters, got 2"
    ):
        narrow(generator, kept)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    trainer = Trainer(small_config(ema=0.5), drawings(), data={"path": "somewhere", "digest": "0" * 64})
    trainer.train(3)
    folder = tmp_path_factory.mktemp("trained")
    trainer.save(folder, {"psnr": 12.0}, why="so")
    return folder


def test_a_pruned_checkpoint_opens_predicts_and_says_what_it_is(trained, tmp_path):
    config = prune(trained, tmp_path, 0.3)
    whole, _ = checkpoint.load_generator(trained)
    generator, description = checkpoint.load_generator(tmp_path)
    silence(whole, strongest(whole, 0.3))
    lines = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(predict(generator, lines), predict(whole, lines), atol=1e-6)
    assert parameters(generator) < 0.7 * parameters(whole)
    assert description.config == config
    assert config.widths == widths_of(generator)
    total = sum(map(int, config.widths.split(",")))
    assert total == 3 + 6 + 12 + 6 + 3 + 3 - round(0.3 * 33)
    assert description.notes["pruned"] == {"from": str(trained), "share": 0.3, "before": "3,6,12,6,3,3"}
    assert description.notes["why"] == "so"
    assert (description.metrics, description.data["path"]) == ({}, "somewhere")
    predictor = load_predictor(tmp_path)
    assert np.array_equal(predictor(lines.numpy()), predict(generator, lines).numpy())


def test_rounds_of_pruning_and_training_leave_ever_smaller_generators_that_can_go_on(trained, tmp_path):
    data = drawings()
    settings = {"total_reports": 3, "schedule": "plateau", "plateau_patience": 1}
    rounds = list(prune_and_retrain(trained, tmp_path, data, data, share=0.25, rounds=2, settings=settings))
    sizes = [parameters(checkpoint.load_generator(folder)[0]) for folder in (trained, *(r.folder for r in rounds))]
    assert sizes[0] > sizes[1] > sizes[2]
    assert [r.parameters for r in rounds] == sizes[1:]
    for number, done in enumerate(rounds, start=1):
        description = checkpoint.read(done.folder)
        assert (description.steps, description.config.total_reports) == (6, 3)
        assert description.metrics == done.scores
        assert description.config.start_from == str(tmp_path / f"round-{number}-pruned")
        assert description.notes["start_from"]["fresh"] == []
        assert description.data["path"] == "somewhere"
        trainer = Trainer(description.config, data)
        trainer.restore(done.folder)
        assert trainer.evaluate(data) == pytest.approx(done.scores)


def test_generators_whose_filters_cannot_be_missed_one_by_one_are_refused(tmp_path):
    for changes, message in (
        ({"norm": "group"}, "Expected norm='batch', 'instance' or 'none' with widths, got norm='group'"),
        ({"norm": "layer"}, "got norm='layer', which mixes the filters"),
        ({"activation": "maxout"}, "Expected an activation other than 'maxout' with widths"),
    ):
        Trainer(small_config(**changes), drawings()).save(tmp_path)
        with pytest.raises(ValueError, match=message):
            prune(tmp_path, tmp_path / "smaller", 0.5)
        assert not (tmp_path / "smaller").exists()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_none_or_all_is_refused(share):
    with pytest.raises(ValueError, match=f"Expected 0 < share < 1, got share={share}"):
        strongest(build_generator(small_config()), share)


def test_no_rounds_are_refused(trained, tmp_path):
    with pytest.raises(ValueError, match="Expected rounds >= 1, got rounds=0"):
        next(prune_and_retrain(trained, tmp_path, drawings(), drawings(), share=0.5, rounds=0))


def test_widths_are_a_hyperparameter_like_others():
    generator = build_generator(small_config(widths="2,5,7,1,3,2"))
    assert widths_of(generator) == "2,5,7,1,3,2"
    assert predict(generator, torch.zeros(2, 1, 5, 7)).shape == (2, 3, 5, 7)
    told = build_generator(small_config(widths="2,5,7,1,3,2", confidence=True, norm="none"))
    assert predict_with_log_variance(told, torch.zeros(2, 1, 5, 7))[1].shape == (2, 1, 5, 7)


def test_narrow_layers_say_how_narrow_they_are():
    """Whoever compares or prints networks goes by these."""
    generator = build_generator(small_config(widths="2,5,7,1,3,2", activation="prelu"))
    layers = list(generator.modules())
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.shape[:2] == (layer.out_channels, layer.in_channels)
        elif isinstance(layer, nn.ConvTranspose2d):
            assert layer.weight.shape[:2] == (layer.in_channels, layer.out_channels)
        elif isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.shape == layer.running_mean.shape == (layer.num_features,)
    assert [layer.num_parameters for layer in layers if isinstance(layer, nn.PReLU)] == [2, 5, 7, 1, 3, 2]


@pytest.mark.parametrize("widths", ["2,5,7,1,3", "2,5,7,1,3,0", "2,5,7,1,3,-1", "2,5,7,1,3,x", "2, 5,7,1,3,2"])
def test_widths_that_are_none_are_refused(widths):
    with pytest.raises(ValueError, match=f"Expected widths as 2 . levels = 6 whole numbers.*got widths='{widths}'"):
        small_config(widths=widths)


def test_widths_beyond_those_of_the_channels_are_refused():
    with pytest.raises(ValueError, match="Expected widths of 6 or less where channels gives as many, got 7"):
        build_generator(small_config(widths="2,7,7,1,3,2"))


def test_a_checkpoint_of_other_widths_is_refused_by_name(trained):
    trainer = Trainer(small_config(ema=0.5, widths="2,5,7,1,3,2"), drawings())
    with pytest.raises(CheckpointError, match=r"Expected widths='2,5,7,1,3,2' in .*, found ''"):
        trainer.restore(trained)
