import copy

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import AveragedModel, update_bn

from ensembles import load_predictor
from ensembles.members.soup import (
    SoupError,
    average,
    cross_fitted_greedy,
    greedy_soup,
    group_by_weights,
    swa,
    uniform_soup,
    with_fresh_statistics,
)

FIXTURE = [HealthCheck.function_scoped_fixture]


def inputs_of(seed, batch=3, height=5, width=7):
    return np.random.default_rng(seed).normal(size=(batch, 1, height, width)).astype(np.float32)


def bytes_of(module):
    return {name: tensor.numpy().tobytes() for name, tensor in module.state_dict().items()}


def on(predictor, split):
    """The gain metric of each example of a split."""
    scored = [predictor.scores(predictor(b.inputs), b.targets)["psnr"] for b in predictor.batches(split)]
    return np.concatenate(scored)


@given(
    seed=st.integers(0, 2**32 - 1),
    shares=st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any),
    kind=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
)
@settings(deadline=None)
def test_an_average_of_identical_weights_is_those_weights_byte_for_byte(seed, shares, kind):
    generator = torch.Generator().manual_seed(seed)
    state = {
        "weight": torch.randn(3, 5, generator=generator).mul(10.0 ** (seed % 9 - 4)).to(kind),
        "zeros": torch.tensor([0.0, -0.0]).to(kind),
        "num_batches_tracked": torch.tensor(seed),
        "index": torch.arange(4),
    }
    found = average([state] * len(shares), np.array(shares) / sum(shares))
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype
        assert (
            found[name]
            .view(torch.uint8 if tensor.dim() else tensor.dtype)
            .equal(tensor.view(torch.uint8 if tensor.dim() else tensor.dtype))
        )


def test_shares_that_miss_one_by_rounding_do_not_scale_the_weights():
    state = {"weight": torch.tensor([0.1, 3e7])}
    assert average([state] * 3, [0.3333333] * 3)["weight"].equal(state["weight"])


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
@settings(deadline=None)
def test_an_average_is_the_weighted_mean_as_doubles_have_it(seed, members):
    generator = np.random.default_rng(seed)
    tensors = generator.normal(size=(members, 3, 5)).astype(np.float32)
    shares = generator.dirichlet(np.ones(members))
    found = average([{"weight": torch.from_numpy(tensor)} for tensor in tensors], shares)["weight"].numpy()
    expected = np.einsum("k,kij->ij", shares, tensors.astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-12)


def test_the_sum_does_not_lose_what_single_precision_would():
    states = [{"weight": torch.tensor([value])} for value in (2.0**24, 1.0, -(2.0**24), 1.0)]
    assert average(states, [0.25] * 4)["weight"].item() == 0.5


def test_the_averages_tensors_are_its_own(torch_tiny):
    states = [torch_tiny.make(seed).module.state_dict() | {"index": torch.arange(1, 4)} for seed in range(2)]
    before = copy.deepcopy(states)
    for tensor in average(states, [1.0, 0.0]).values():
        tensor.zero_()
    for state, kept in zip(states, before, strict=True):
        assert all(tensor.equal(kept[name]) for name, tensor in state.items())


def test_of_counters_the_largest_is_taken_and_members_without_a_share_do_not_count():
    states = [{"num_batches_tracked": torch.tensor(count)} for count in (3, 11, 99)]
    assert average(states, [0.5, 0.5, 0.0])["num_batches_tracked"] == 11


@pytest.mark.parametrize("values", [([0, 1], [1, 0]), (True, False)])
def test_integers_that_differ_and_are_no_counters_are_refused(values):
    states = [{"index": torch.tensor(value)} for value in values]
    with pytest.raises(SoupError, match=r"the same (int64|bool) .* index in all members"):
        average(states, [0.5, 0.5])


@pytest.mark.parametrize("shares", [[0.5, 0.6], [0.5, 0.4], [1.0], [np.nan, 1.0]])
def test_shares_that_do_not_sum_to_one_are_refused(torch_tiny, shares):
    states = [torch_tiny.make(seed).module.state_dict() for seed in range(2)]
    with pytest.raises(ValueError, match=r"sum to one|one weight for each"):
        average(states, shares)


def test_negative_shares_and_no_members_are_refused(torch_tiny):
    states = [torch_tiny.make(seed).module.state_dict() for seed in range(2)]
    with pytest.raises(ValueError, match="shares of zero or more"):
        average(states, [1.5, -0.5])
    for nobody in (lambda: average([], []), lambda: uniform_soup([]), lambda: greedy_soup([], on)):
        with pytest.raises(ValueError, match=r"at least one member|sum to one"):
            nobody()


SHAPES = r"first\.weight as float32 \(4, 1, 3, 3\) in member 0 and as float32 \(6, 1, 3, 3\) in member 2"


@pytest.mark.parametrize("mix", [uniform_soup, swa, lambda members: greedy_soup(members, lambda p: on(p, "val"))])
def test_other_shapes_are_refused_with_the_first_tensor_both_shapes_and_both_members(torch_tiny, mix):
    members = [torch_tiny.make(0), torch_tiny.make(1), torch_tiny.make(2, width=6)]
    with pytest.raises(SoupError, match=SHAPES):
        mix(members)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_tensor_that_one_member_lacks_is_named(torch_tiny, swapped):
    members = [torch_tiny.make(0), torch_tiny.make(1, norm="none")]
    with pytest.raises(SoupError, match=r"norm\.\w+ as (float32 \(4,\) in member 0 and as none|none in member 0 and)"):
        uniform_soup(members[::-1] if swapped else members)


def test_layers_that_have_the_same_tensors_and_do_something_else_are_refused(torch_tiny):
    members = [torch_tiny.make(0), torch_tiny.make(1, activation="elu")]
    with pytest.raises(
        SoupError, match=r"act as ReLU\(inplace=False\) in member 0 and as ELU\(alpha=1\.0.* in member 1"
    ):
        uniform_soup(members)


def test_what_acts_in_training_alone_keeps_nobody_apart(torch_tiny):
    members = [torch_tiny.make(0, dropout=0.5), torch_tiny.make(1)]
    members[1].module.norm.momentum = 0.01
    assert uniform_soup(members).ingredients == [0, 1]


def test_members_are_grouped_by_what_can_be_averaged(torch_tiny):
    kinds = [{}, {"width": 6}, {"activation": "elu"}, {"norm": "none"}, {"dropout": 0.5}, {"width": 6, "dropout": 0.1}]
    members = [torch_tiny.make(seed, **kind) for seed, kind in enumerate(kinds)]
    assert group_by_weights(members) == [[0, 4], [1, 5], [2], [3]]
    for group in group_by_weights(members):
        uniform_soup([members[position] for position in group])


def test_an_average_of_types_is_refused():
    with pytest.raises(SoupError, match=r"float32 \(2,\) in member 0 and as float16 \(2,\) in member 1"):
        average([{"w": torch.ones(2)}, {"w": torch.ones(2).half()}], [0.5, 0.5])


@pytest.mark.parametrize("mix", [uniform_soup, swa, lambda members: greedy_soup(members, lambda p: on(p, "val"))])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_soup_of_identical_members_is_that_member(torch_tiny, mix, count):
    member = torch_tiny.make(5)
    soup = mix([copy.deepcopy(member) for _ in range(count)])
    assert bytes_of(soup.predictor.module) == bytes_of(member.module)
    np.testing.assert_array_equal(soup.predictor(inputs_of(0)), member(inputs_of(0)))
    np.testing.assert_allclose(soup.shares, np.full(count, 1 / count))


def test_a_soup_predicts_with_the_mean_of_the_weights_and_leaves_its_members_alone(torch_tiny):
    members = [torch_tiny.make(seed, norm="group") for seed in range(3)]
    before = [bytes_of(member.module) for member in members]
    soup = uniform_soup(members)
    for name, tensor in soup.predictor.module.state_dict().items():
        expected = np.mean([member.module.state_dict()[name].double().numpy() for member in members], axis=0)
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-6, atol=1e-7)
    assert [bytes_of(member.module) for member in members] == before
    assert not soup.predictor.module.training


def test_averaging_snapshots_is_what_pytorch_does_along_a_training(torch_tiny):
    snapshots = [torch_tiny.near(torch_tiny.make(0), seed) for seed in range(4)]
    running = AveragedModel(snapshots[0].module, use_buffers=False)
    for snapshot in snapshots:
        running.update_parameters(snapshot.module)
    found = dict(swa(snapshots).predictor.module.named_parameters())
    for name, parameter in running.module.named_parameters():
        np.testing.assert_allclose(found[name].detach(), parameter.detach(), atol=1e-6)


def test_a_soup_is_saved_and_loaded_as_any_checkpoint(torch_tiny, tmp_path):
    soup = uniform_soup([torch_tiny.make(seed) for seed in range(3)]).predictor
    soup.save(tmp_path / "soup", soup=[0, 1, 2])
    np.testing.assert_array_equal(load_predictor(tmp_path / "soup")(inputs_of(0)), soup(inputs_of(0)))


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 6), distance=st.sampled_from([0.02, 0.1, 0.5]))
@settings(deadline=None, max_examples=25, suppress_health_check=FIXTURE)
def test_a_greedy_soup_is_never_worse_than_its_best_ingredient_and_is_what_was_scored(
    torch_tiny, seed, count, distance
):
    start = torch_tiny.make(seed)
    members = [torch_tiny.near(start, seed + k, distance) for k in range(count)]
    soup = greedy_soup(members, lambda predictor: on(predictor, "val"))
    best = max(on(member, "val").mean() for member in members)
    assert on(soup.predictor, "val").mean() >= best
    assert soup.shares.sum() == pytest.approx(1)
    assert set(soup.shares[soup.ingredients]) == {1 / len(soup.ingredients)}


class Valued:
    """A member with one weight, and whatever score the test gives to its value."""

    def __init__(self, value):
        self.module = nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            self.module.weight.fill_(value)

    @property
    def value(self):
        return self.module.weight.item()

    def with_module(self, module):
        other = Valued(0.0)
        other.module = module
        return other


def distance_from(target):
    return lambda predictor: -np.abs(np.array([predictor.value, predictor.value + 1]) - np.array([target, target + 1]))


def test_members_are_tried_in_the_order_of_their_scores_and_kept_unless_they_make_it_worse():
    values = [8.0, 1.0, -1.5, 3.0]  # around 0.5 in the order 1, -1.5, 3, 8
    tried = []

    def score(predictor):
        tried.append(predictor.value)
        return distance_from(0.5)(predictor)

    soup = greedy_soup([Valued(value) for value in values], score)
    # 1.0 is 0.5 off; with -1.5 it is 0.75 off: left out; with 3.0, 1.5 off; with 8.0, 4 off.
    assert tried == [*values, -0.25, 2.0, 4.5]
    assert soup.ingredients == [1]
    soup = greedy_soup([Valued(value) for value in (2.0, 0.0, 1.0)], distance_from(0.5))
    # In order 0 (first of two equals), 1, 2: their mean 0.5 is exact; with 2 it is 1: worse.
    assert soup.ingredients == [1, 2]
    np.testing.assert_array_equal(soup.shares, [0, 0.5, 0.5])


def test_a_member_that_changes_nothing_is_kept():
    assert greedy_soup([Valued(1.0), Valued(1.0)], distance_from(0.0)).ingredients == [0, 1]


def test_a_member_alone_is_not_finished_and_an_average_is_before_it_is_scored():
    finished = []

    def finish(predictor):
        finished.append(predictor.value)
        return Valued(predictor.value + 100)

    members = [Valued(0.0), Valued(2.0)]
    soup = greedy_soup(members, distance_from(101.0), finish)
    assert finished[0] == 1.0
    assert soup.predictor.value == 101.0
    assert greedy_soup(members[:1], distance_from(101.0), finish).predictor is members[0]
    assert uniform_soup(members, finish).predictor.value == 101.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_soup_whose_score_is_not_finite_is_not_kept_and_neither_is_such_a_member_first(bad):
    def score(predictor):
        return np.array([bad]) if predictor.value in (1.0, 5.0) else np.array([-abs(predictor.value)])

    soup = greedy_soup([Valued(5.0), Valued(2.0), Valued(0.0)], score)
    assert soup.ingredients == [2]
    with pytest.raises(ValueError, match="finite scores, got none"):
        greedy_soup([Valued(5.0)], score)


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_scores_that_are_not_one_for_each_example_are_refused(shape):
    with pytest.raises(ValueError, match="score for each of the same"):
        greedy_soup([Valued(0.0)], lambda predictor: np.zeros(shape))


def test_scores_of_another_number_of_examples_are_refused():
    with pytest.raises(ValueError, match="score for each of the same"):
        greedy_soup([Valued(1.0), Valued(2.0)], lambda predictor: np.zeros(int(predictor.value)))


def test_cross_fitting_scores_each_fold_with_the_soup_chosen_on_the_others():
    goals = np.array([0.0, 0.0, 10.0, 10.0, 5.0])
    fold = np.array([0, 0, 1, 1, 2])
    members = [Valued(0.0), Valued(10.0), Valued(4.0)]
    asked = []

    def score(predictor):
        asked.append(predictor.value)
        return -np.square(predictor.value - goals)

    found = cross_fitted_greedy(members, score, fold)
    assert len(asked) == len(set(asked))
    for number in range(3):
        inside = fold == number
        chosen = greedy_soup(members, lambda predictor, rows=~inside: score(predictor)[rows])
        np.testing.assert_array_equal(found[inside], score(chosen.predictor)[inside])
    assert found.mean() < score(greedy_soup(members, score).predictor).mean()


def test_cross_fitting_needs_two_folds_and_a_fold_for_each_example():
    members = [Valued(0.0)]
    with pytest.raises(ValueError, match="at least two folds"):
        cross_fitted_greedy(members, distance_from(0), np.array([0, 0]))
    with pytest.raises(ValueError, match=r"fold for each of 2 examples, got shape \(3,\)"):
        cross_fitted_greedy(members, distance_from(0), np.array([0, 1, 0]))


def training_inputs(predictor):
    return [batch.inputs for batch in predictor.batches("train")]


def test_fresh_statistics_are_those_of_pytorch(torch_tiny):
    predictor = torch_tiny.make(3)
    expected = copy.deepcopy(predictor.module)
    batches = training_inputs(predictor)
    update_bn([torch.from_numpy(batch) for batch in batches], expected)
    fresh = with_fresh_statistics(predictor, iter(batches))
    for name, tensor in fresh.module.state_dict().items():
        np.testing.assert_allclose(tensor.numpy(), expected.state_dict()[name].numpy(), rtol=1e-6, atol=1e-7)
    assert fresh.module.norm.momentum == predictor.module.norm.momentum == 0.1
    assert fresh.module.norm.num_batches_tracked == len(batches)
    assert not any(layer.training for layer in fresh.module.modules())


def test_the_original_keeps_its_statistics(torch_tiny):
    predictor = torch_tiny.make(3)
    before = bytes_of(predictor.module)
    fresh = with_fresh_statistics(predictor, training_inputs(predictor))
    assert bytes_of(predictor.module) == before
    assert bytes_of(fresh.module) != before
    assert not any(layer.training for layer in predictor.module.modules())


def test_dropout_stays_off_while_statistics_are_taken():
    module = nn.Sequential(nn.Dropout(0.9), nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).eval()
    predictor = Valued(0.0).with_module(module)
    one, other = (with_fresh_statistics(predictor, [inputs_of(0, 8)]).module[2] for _ in range(2))
    assert one.running_var.equal(other.running_var)
    features = module[1](torch.from_numpy(inputs_of(0, 8)))
    np.testing.assert_allclose(one.running_mean, features.mean((0, 2, 3)).detach(), atol=1e-6)
    np.testing.assert_allclose(one.running_var, features.var((0, 2, 3)).detach(), rtol=1e-5)


def test_instance_normalisation_that_gathers_statistics_gets_the_mean_over_all_batches(torch_tiny):
    predictor = torch_tiny.make(3, norm="instance")
    batches = training_inputs(predictor)
    fresh = with_fresh_statistics(predictor, batches).module.norm
    means, variances = [], []
    for batch in batches:
        features = predictor.module.first(torch.from_numpy(batch)).detach()
        means.append(features.mean((0, 2, 3)).numpy())
        variances.append(features.var((2, 3)).mean(0).numpy())
    np.testing.assert_allclose(fresh.running_mean, np.mean(means, axis=0), atol=1e-6)
    np.testing.assert_allclose(fresh.running_var, np.mean(variances, axis=0), rtol=1e-5)


@pytest.mark.parametrize("norm", ["group", "none"])
def test_a_network_without_running_statistics_is_given_back_as_it_is(torch_tiny, norm):
    predictor = torch_tiny.make(0, norm=norm)
    assert with_fresh_statistics(predictor, iter(())) is predictor


def test_a_batch_of_one_example_tells_no_statistics(torch_tiny):
    predictor = torch_tiny.make(3)
    batches = training_inputs(predictor)
    expected = bytes_of(with_fresh_statistics(predictor, batches).module)
    assert bytes_of(with_fresh_statistics(predictor, [*batches, batches[0][:1]]).module) == expected
    with pytest.raises(ValueError, match="at least one batch of two or more"):
        with_fresh_statistics(predictor, [batches[0][:1]])


def test_fresh_statistics_bring_the_features_of_a_soup_back_to_unit_variance(torch_tiny):
    members = [torch_tiny.make(seed) for seed in range(4)]
    batches = training_inputs(members[0])
    soup = uniform_soup(members)
    finished = uniform_soup(members, lambda mixed: with_fresh_statistics(mixed, batches))
    inputs = torch.from_numpy(np.concatenate(batches))
    spread = []
    for each in (soup, finished):
        module = each.predictor.module
        plain = nn.functional.batch_norm(module.first(inputs), module.norm.running_mean, module.norm.running_var)
        spread.append(plain.std((0, 2, 3)).detach().numpy())
    assert np.abs(spread[1] - 1).max() < 0.05 < np.abs(spread[0] - 1).max()
