import logging
import sys
import warnings

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

from ensembles.combining.combiner import Combiner, Weighted  # noqa: E402
from ensembles.combining.gram import blend  # noqa: E402
from ensembles.export import ExportError, networks_of, to_onnx  # noqa: E402
from ensembles.members.flips import Flipped  # noqa: E402


def inputs_of(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape or (3, 1, 5, 7)).astype(np.float32)


def played(path, inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["predictions"], {"inputs": inputs})[0]


def files(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_a_weighted_mean_becomes_one_file_that_predicts_the_same_for_any_size(torch_tiny, tmp_path):
    members = [torch_tiny.make(0), torch_tiny.make(1, width=6, activation="elu"), torch_tiny.make(2, norm="group")]
    weights = [0.5, 0.2, 0.3]
    exported = to_onnx([member.module for member in members], weights, tmp_path / "deep" / "mean.onnx", inputs_of(0))
    assert files(tmp_path / "deep") == ["mean.onnx"]
    assert exported.path == tmp_path / "deep" / "mean.onnx"
    assert exported.dynamic_axes == (0, 2, 3)
    assert 0 < exported.max_difference < 1e-5
    for shape in [(3, 1, 5, 7), (1, 1, 5, 7), (4, 1, 12, 9)]:
        inputs = inputs_of(1, *shape)
        expected = blend([member(inputs) for member in members], weights)
        np.testing.assert_allclose(played(exported.path, inputs), expected, atol=1e-5)


@pytest.mark.parametrize(("axes", "each"), [((-1,), True), ((-2, -1), False)])
def test_flips_are_exported_with_each_member_or_with_the_whole(torch_tiny, tmp_path, axes, each):
    members = [torch_tiny.make(seed) for seed in range(2)]
    for member in members:
        member.flip_axes = axes
    flipped, weights = [Flipped(member) for member in members], np.array([0.25, 0.75])
    modules, shares = networks_of(flipped if each else members, Weighted(weights))
    exported = to_onnx(modules, shares, tmp_path / "f.onnx", inputs_of(0), flip_axes=() if each else axes)
    inputs = inputs_of(1, 2, 1, 6, 9)
    expected = blend([member(inputs) for member in flipped], weights)
    assert np.abs(expected - blend([member(inputs) for member in members], weights)).max() > 1e-2
    np.testing.assert_allclose(played(exported.path, inputs), expected, atol=1e-5)


class Padding(nn.Module):
    """A network in two halvings, which pads to what it can halve: recorded on 8 x 8, the padding would be lost."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 2, 4, stride=4)
        self.up = nn.ConvTranspose2d(2, 3, 4, stride=4)

    def forward(self, x):
        height, width = x.shape[-2:]
        below, right = -height % 4, -width % 4
        if below or right:
            x = nn.functional.pad(x, (0, right, 0, below), value=1.0)
        return self.up(self.down(x))[..., :height, :width]


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (1, 1, 7, 8)])
def test_a_network_that_pads_takes_every_size_whatever_the_examples_have(tmp_path, shape):
    torch.manual_seed(0)
    network = Padding().eval()
    exported = to_onnx([network], [1.0], tmp_path / "p.onnx", inputs_of(0, *shape))
    assert exported.dynamic_axes == (0, 2, 3)
    for other in [(1, 1, 8, 8), (3, 1, 9, 6), (2, 1, 16, 13), (1, 1, 1, 2)]:
        inputs = inputs_of(1, *other)
        expected = network(torch.from_numpy(inputs)).detach().numpy()
        np.testing.assert_allclose(played(exported.path, inputs), expected, atol=1e-5)


def test_a_network_of_one_size_is_exported_with_that_size(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(35, 4), nn.Softmax(dim=1)).eval()
    exported = to_onnx([network], [1.0], tmp_path / "one.onnx", inputs_of(0, 1, 1, 5, 7))
    assert exported.dynamic_axes == (0,)
    assert files(tmp_path) == ["one.onnx"]
    inputs = inputs_of(1, 6, 1, 5, 7)
    expected = network(torch.from_numpy(inputs)).detach().numpy()
    np.testing.assert_allclose(played(exported.path, inputs), expected, atol=1e-6)


def test_rows_of_features_are_exported_too(tmp_path):
    torch.manual_seed(0)
    networks = [nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double().eval() for _ in range(2)]
    exported = to_onnx(networks, [0.5, 0.5], tmp_path / "rows.onnx", inputs_of(0, 4, 3))
    assert exported.dynamic_axes == (0,)
    found = played(exported.path, inputs_of(1, 5, 3).astype(np.float64))
    inputs = torch.from_numpy(inputs_of(1, 5, 3)).double()
    np.testing.assert_allclose(found, sum(n(inputs) for n in networks).detach().numpy() / 2, atol=1e-6)


def test_networks_are_left_as_they_were_and_members_without_weight_are_not_in_the_file(torch_tiny, tmp_path):
    one, other = torch_tiny.make(0).module, torch_tiny.make(1, width=64).module
    before = {name: tensor.clone() for name, tensor in one.state_dict().items()}
    one.to(memory_format=torch.channels_last).train()
    exported = to_onnx([one, other], [1.0, 0.0], tmp_path / "one.onnx", inputs_of(0))
    assert one.training
    assert all(tensor.equal(before[name]) for name, tensor in one.state_dict().items())
    assert exported.path.stat().st_size < 60_000
    np.testing.assert_allclose(
        played(exported.path, inputs_of(1)), one.eval()(torch.from_numpy(inputs_of(1))).detach().numpy(), atol=1e-5
    )


def test_a_batch_that_is_looked_at_as_a_whole_does_not_pass_the_check(tmp_path):
    class ByCount(nn.Module):
        def forward(self, x):
            return x * 2 if x.shape[0] > 1 else x  # recorded as x * 2

    with pytest.raises(ExportError, match=r"PyTorch within 0.0001 from the ONNX file, got a difference of .* \(1, 3\)"):
        to_onnx([ByCount()], [1.0], tmp_path / "bad.onnx", inputs_of(0, 4, 3))
    assert files(tmp_path) == []


def test_an_older_file_stays_where_a_new_one_fails(tmp_path):
    (tmp_path / "mean.onnx").write_bytes(b"older")

    class Untraceable(nn.Module):
        def forward(self, x):
            return x * float(x.sum().item() > 0) if x.sum().item() > 0 else x

    with pytest.raises(ExportError, match="PyTorch cannot export these networks"):
        to_onnx([Untraceable()], [1.0], tmp_path / "mean.onnx", inputs_of(0))
    assert files(tmp_path) == ["mean.onnx"]
    assert (tmp_path / "mean.onnx").read_bytes() == b"older"


def test_a_newer_file_takes_the_place_of_an_older_one(tmp_path):
    (tmp_path / "mean.onnx").write_bytes(b"older")
    to_onnx([nn.Tanh()], [1.0], tmp_path / "mean.onnx", inputs_of(0, 2, 3))
    np.testing.assert_allclose(
        played(tmp_path / "mean.onnx", inputs_of(1, 2, 3)), np.tanh(inputs_of(1, 2, 3)), atol=1e-6
    )


def test_a_network_that_predicts_nan_is_not_exported(tmp_path):
    class Lost(nn.Module):
        def forward(self, x):
            return x / 0

    with pytest.raises(ExportError, match="expected finite predictions"):
        to_onnx([Lost()], [1.0], tmp_path / "bad.onnx", inputs_of(0, 4, 3))
    assert files(tmp_path) == []


@pytest.mark.parametrize("weights", [[0.5, 0.6], [1.0], []])
def test_weights_that_do_not_fit_are_refused(tmp_path, weights):
    with pytest.raises(ValueError, match=r"sum to one|one weight for each"):
        to_onnx([nn.Tanh(), nn.Tanh()], weights, tmp_path / "bad.onnx", inputs_of(0))


def test_no_examples_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one network and one example, got 1, 0"):
        to_onnx([nn.Tanh()], [1.0], tmp_path / "bad.onnx", inputs_of(0)[:0])


def test_more_than_one_file_holds_is_refused_before_anything_is_written(tmp_path):
    class Huge(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.ones(1).expand(2**30))  # 4 GiB that take 4 bytes

        def __deepcopy__(self, memo):
            return self

    with pytest.raises(ExportError, match=r"below 2 GiB.*got 4\.0 GiB; export fewer members"):
        to_onnx([Huge()], [1.0], tmp_path / "bad.onnx", inputs_of(0))
    assert files(tmp_path) == []


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_answered_with_how_to_install_it(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)  # importing it now fails
    with pytest.raises(ValueError, match=rf"Expected {package} to be installed.*pip install 'huetune\[onnx\]'"):
        to_onnx([nn.Tanh()], [1.0], tmp_path / "bad.onnx", inputs_of(0))


def test_nothing_is_said_and_logging_and_warnings_are_as_before(tmp_path, capfd, caplog):
    before = logging.root.manager.disable, warnings.filters[:]
    to_onnx([nn.Conv2d(1, 2, 3)], [1.0], tmp_path / "quiet.onnx", inputs_of(0))
    with pytest.raises(ExportError):
        to_onnx([nn.Conv2d(2, 2, 3)], [1.0], tmp_path / "bad.onnx", inputs_of(0))
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert (logging.root.manager.disable, warnings.filters[:]) == before


class Vote(Combiner):
    kind = "medoid"
    members = 2

    def __call__(self, predicted):
        return predicted.values[0]

    def state(self):
        return {}, {}

    @classmethod
    def restore(cls, settings, arrays):
        return cls()


def test_rules_that_are_no_weighted_mean_are_refused_by_name(torch_tiny):
    with pytest.raises(ExportError, match=r"got the rule 'medoid', which is no network"):
        networks_of([torch_tiny.make(0), torch_tiny.make(1)], Vote())


def test_members_that_are_no_networks_are_refused_by_name_if_they_are_used(tiny, torch_tiny):
    members = [torch_tiny.make(0), tiny.TinyPredictor(0, 0.5, "", tiny.SIZES)]
    with pytest.raises(ExportError, match="got a TinyPredictor as member 1"):
        networks_of(members, Weighted(np.array([0.5, 0.5])))
    modules, weights = networks_of(members, Weighted(np.array([1.0, 0.0])))
    assert modules == [members[0].module]
    np.testing.assert_array_equal(weights, [1.0])


class Some(Vote):
    """A weighted mean of members 3 and 1."""

    kind = "some"
    members = 4
    used = np.array([3, 1])

    def narrowed(self):
        return Weighted(np.array([0.25, 0.75]))


def test_a_rule_over_some_members_finds_their_networks(torch_tiny):
    members = [torch_tiny.make(seed) for seed in range(4)]
    modules, weights = networks_of(members, Some())
    assert modules == [members[3].module, members[1].module]
    np.testing.assert_array_equal(weights, [0.25, 0.75])
