import copy

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from ensembles.members.together import AGREEMENT, Together, fastest, group_by_architecture

NORMS = ["batch", "instance", "group", "none"]


def inputs_of(seed, batch=3, height=5, width=7):
    return np.random.default_rng(seed).normal(size=(batch, 1, height, width)).astype(np.float32)


@pytest.mark.parametrize("norm", NORMS)
@given(seed=st.integers(0, 2**32 - 1), members=st.integers(2, 5), batch=st.integers(1, 4))
@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_pass_equals_a_loop(torch_tiny, norm, seed, members, batch):
    predictors = [torch_tiny.make(seed + k, norm=norm, dropout=0.5) for k in range(members)]
    together = Together(predictors)
    found = together(inputs_of(seed, batch))
    assert together.fallback is None
    assert len(found) == members
    for predictor, values in zip(predictors, found, strict=True):
        expected = predictor(inputs_of(seed, batch))
        assert values.shape == expected.shape == (batch, 3, 5, 7)
        assert values.dtype == expected.dtype == np.float32
        np.testing.assert_allclose(values, expected, atol=AGREEMENT)


def test_networks_of_double_precision_predict_in_it():
    class Double(nn.Module):
        def __init__(self, scale):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(scale, dtype=torch.float64))

        def forward(self, x):
            return x * self.scale

    found = Together([Given(Double(1 / 3)), Given(Double(1 / 7))])(np.ones((2, 1), np.float32))
    assert found[0].dtype == np.float64
    np.testing.assert_array_equal([values[0, 0] for values in found], [1 / 3, 1 / 7])


class Given:
    """Any network as a predictor."""

    output = "values"
    gain_metric = "r2"

    def __init__(self, module, passed=lambda: None):
        self.module, self.passed = module.eval(), passed

    def __call__(self, inputs):
        self.passed()
        with torch.no_grad():
            own = next(self.module.parameters())
            return self.module(torch.tensor(inputs).to(own.dtype)).numpy()

    def with_module(self, module):
        return Given(module)

    def save(self, folder, **notes):
        raise NotImplementedError

    def batches(self, split):
        return iter(())

    def scores(self, predictions, targets):
        return {"mse": np.square(predictions - targets).mean(axis=1)}

    def summarize(self, scores):
        return {}

    def picture(self, values):
        return np.zeros((1, 1, 3), np.uint8)


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4)])
def test_weights_in_channels_last_give_the_same(norm):
    torch.manual_seed(0)
    predictors = [Given(nn.Sequential(nn.Conv2d(2, 4, 3), copy.deepcopy(norm), nn.Conv2d(4, 3, 3))) for _ in range(3)]
    inputs = np.random.default_rng(0).normal(size=(2, 2, 9, 7)).astype(np.float32)
    expected = [predictor(inputs) for predictor in predictors]
    for predictor in predictors:
        predictor.module.to(memory_format=torch.channels_last)
    together = Together(predictors)
    np.testing.assert_allclose(together(inputs), expected, atol=AGREEMENT)
    assert together.fallback is None


class Branching(nn.Module):
    """What it does depends on the numbers themselves, which no vectorised pass can know."""

    def __init__(self, scale):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, x):
        return x * self.scale if self.scale > 0 else x - self.scale


def test_what_cannot_be_vectorised_is_done_one_after_the_other_and_says_why():
    together = Together([Given(Branching(2.0)), Given(Branching(-3.0))])
    assert together.fallback is None
    for _ in range(2):
        found = together(np.ones((2, 1), np.float32))
        np.testing.assert_array_equal(found, [np.full((2, 1), 2.0), np.full((2, 1), 4.0)])
        assert together.fallback.startswith("RuntimeError: vmap")


def test_inputs_that_no_member_takes_are_not_held_against_the_single_pass(torch_tiny):
    together = Together([torch_tiny.make(seed) for seed in range(2)])
    with pytest.raises(RuntimeError, match="channels"):
        together(np.zeros((2, 5, 5, 7), np.float32))
    assert together.fallback is None


def test_no_member_and_several_architectures_are_refused(torch_tiny):
    with pytest.raises(ValueError, match="at least one predictor"):
        Together([])
    with pytest.raises(ValueError, match=r"one architecture, got 2: members \[\[0, 2\], \[1\]\]"):
        Together([torch_tiny.make(0), torch_tiny.make(1, width=6), torch_tiny.make(2)])


def test_the_networks_are_left_as_they_were(torch_tiny):
    predictors = [torch_tiny.make(seed) for seed in range(2)]
    before = [copy.deepcopy(predictor.module.state_dict()) for predictor in predictors]
    Together(predictors)(inputs_of(0))
    for predictor, state in zip(predictors, before, strict=True):
        assert not predictor.module.training
        assert all(torch.equal(tensor, state[name]) for name, tensor in predictor.module.state_dict().items())


@pytest.mark.parametrize(
    "settings",
    [
        {"width": 6},
        {"norm": "group"},
        {"norm": "none"},
        {"activation": "elu"},
        {"dropout": 0.25},
    ],
)
def test_any_other_setting_makes_another_group(torch_tiny, settings):
    predictors = [
        torch_tiny.make(0),
        torch_tiny.make(1, **settings),
        torch_tiny.make(2),
        torch_tiny.make(3, **settings),
    ]
    assert group_by_architecture(predictors) == [[0, 2], [1, 3]]


def changed_eps(module):
    module.norm.eps = 1e-3


def changed_type(module):
    module.double()


def train_mode(module):
    module.train()


def unregistered_tensor(module):
    module.offset = torch.ones(3)  # stacking would give everybody the first one's


def settings_in_a_list(module):
    module.plan = [{"levels": 3}, (1, 2)]


def replaced_method(module):
    module.forward = lambda lines: lines


def hook(module):
    module.norm.register_forward_hook(lambda *_: None)


@pytest.mark.parametrize(
    "change", [changed_eps, changed_type, train_mode, unregistered_tensor, settings_in_a_list, replaced_method, hook]
)
def test_what_the_names_of_layers_do_not_show_makes_another_group_too(torch_tiny, change):
    predictors = [torch_tiny.make(seed) for seed in range(3)]
    change(predictors[1].module)
    assert group_by_architecture(predictors) == [[0, 2], [1]]


@pytest.mark.parametrize("change", [unregistered_tensor, replaced_method, hook])
def test_what_cannot_be_compared_by_its_value_equals_itself_alone(torch_tiny, change):
    predictors = [torch_tiny.make(seed) for seed in range(3)]
    for predictor in predictors[:2]:
        change(predictor.module)
    assert group_by_architecture(predictors) == [[0], [1], [2]]


def test_settings_of_equal_value_do_not_separate(torch_tiny):
    predictors = [torch_tiny.make(seed) for seed in range(2)]
    for predictor in predictors:
        settings_in_a_list(predictor.module)
    assert group_by_architecture(predictors) == [[0, 1]]


def test_predictors_without_a_network_stand_alone(tiny, torch_tiny):
    others = [tiny.TinyPredictor(seed, 0.5, "", tiny.SIZES) for seed in range(2)]
    predictors = [others[0], torch_tiny.make(0), others[1], torch_tiny.make(1)]
    assert group_by_architecture(predictors) == [[0], [1, 3], [2]]


class Clock:
    """Stands still but for what it is told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds


def linear(seed, alone=0.0, at_once=0.0, clock=None, hidden=3):
    """A predictor that takes `alone` seconds by itself, and `at_once` as the first of those in one pass."""
    torch.manual_seed(seed)
    return Given(Slow(nn.Linear(hidden, 2), clock, at_once), lambda: clock and clock.advance(alone))


class Slow(nn.Module):
    def __init__(self, inner, clock, at_once):
        super().__init__()
        self.inner = inner
        Slow.clock, Slow.at_once = clock, at_once

    def forward(self, x):
        if torch._C._functorch.is_batchedtensor(self.inner.weight) and Slow.clock:
            Slow.clock.advance(Slow.at_once)
        return self.inner(x)


@pytest.mark.parametrize(("alone", "at_once", "fused"), [(1.0, 2.5, True), (1.0, 3.5, False)])
def test_the_quicker_way_is_kept(alone, at_once, fused):
    clock = Clock()
    predictors = [linear(seed, alone, at_once, clock) for seed in range(3)]
    inputs = np.ones((4, 3), np.float32)
    expected = [predictor(inputs) for predictor in predictors]
    found = fastest(predictors, inputs, clock=clock)
    (timing,) = found.timings
    assert timing.members == (0, 1, 2)
    assert (timing.loop_ms, timing.together_ms) == pytest.approx((3000 * alone, 1000 * at_once))
    assert timing.together is fused
    assert timing.fallback is None
    before = clock.now
    np.testing.assert_allclose(found(inputs), expected, atol=AGREEMENT)
    assert clock.now - before == pytest.approx(at_once if fused else 3 * alone)


def test_predictions_come_in_the_order_of_the_members_whatever_runs_together(tiny, torch_tiny):
    clock = Clock()
    ticking = [torch_tiny.make(seed) for seed in range(3)]
    predictors = [tiny.TinyPredictor(0, 0.5, "", tiny.SIZES), ticking[0], torch_tiny.make(7, width=6), *ticking[1:]]
    found = fastest(predictors, inputs_of(0), clock=clock, repeats=1)
    assert [timing.members for timing in found.timings] == [(1, 3, 4)]
    for batch in (1, 3):
        expected = [predictor(inputs_of(1, batch)) for predictor in predictors]
        for values, wanted in zip(found(inputs_of(1, batch)), expected, strict=True):
            np.testing.assert_allclose(values, wanted, atol=AGREEMENT)


def test_members_that_cannot_run_together_are_timed_as_a_loop_alone():
    predictors = [Given(Branching(2.0)), Given(Branching(3.0))]
    found = fastest(predictors, np.ones((2, 1), np.float32))
    (timing,) = found.timings
    assert timing.together_ms is None
    assert not timing.together
    assert "vmap" in timing.fallback
    np.testing.assert_array_equal(found(np.ones((2, 1), np.float32)), [np.full((2, 1), 2.0), np.full((2, 1), 3.0)])


class Off(Given):
    """Its network is not what it predicts with."""

    def __call__(self, inputs):
        return super().__call__(inputs) + np.float32(1e-3)


def test_one_pass_that_is_not_the_loop_is_not_used_however_quick():
    torch.manual_seed(0)
    predictors = [Off(nn.Linear(3, 2)) for _ in range(2)]
    found = fastest(predictors, np.ones((4, 3), np.float32))
    assert "1.0e-03 from the loop" in found.timings[0].fallback
    assert found.passes == ()


def test_members_of_their_own_kind_are_not_timed(torch_tiny):
    predictors = [torch_tiny.make(0), torch_tiny.make(1, width=6)]
    found = fastest(predictors, inputs_of(0))
    assert found.timings == ()
    np.testing.assert_array_equal(found(inputs_of(0))[1], predictors[1](inputs_of(0)))


def test_no_repeats_are_refused(torch_tiny):
    with pytest.raises(ValueError, match="repeats >= 1, got 0"):
        fastest([torch_tiny.make(0)], inputs_of(0), repeats=0)
