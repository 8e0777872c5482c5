import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ensembles.account.costs import Cost, measure, parameters_of
from ensembles.account.frontier import frontier

EXAMPLE = np.zeros((1, 3, 5, 7), np.float32)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read as Linux tells it")


class Network:
    """A predictor around a network, that needs `scratch` MiB more for a call."""

    def __init__(self, module, scratch=0):
        self.module = module.eval()
        self.scratch = scratch
        self.shapes = []

    def __call__(self, inputs):
        self.shapes.append(inputs.shape)
        np.ones((self.scratch, 2**20), np.uint8).sum()
        with torch.no_grad():
            return self.module(torch.from_numpy(inputs)).numpy()


class Formula:
    parameters = 11

    def __call__(self, inputs):
        return inputs


class Unknown:
    def __call__(self, inputs):
        return inputs


def convolution():
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))  # 3 * 4 * 9 + 4, and 2 * 4


def test_parameters_are_those_that_are_learnt_without_the_buffers():
    assert parameters_of([Network(convolution())]) == 112 + 8


def test_members_add_up_and_what_they_share_counts_once():
    one, other = Network(convolution()), Network(convolution())
    tied = Network(nn.Sequential(one.module[0], nn.BatchNorm2d(4)))
    assert parameters_of([one, other, Formula()]) == 2 * 120 + 11
    assert parameters_of([one, one]) == 120
    assert parameters_of([one, tied]) == 120 + 8
    formula = Formula()
    assert parameters_of([formula, formula]) == 11


def test_one_model_that_does_not_tell_its_size_leaves_that_of_all_unknown():
    assert parameters_of([Network(convolution()), Unknown()]) is None


def test_a_method_named_parameters_is_no_number():
    assert parameters_of([convolution()]) is None  # a bare nn.Module is not a predictor


@pytest.mark.parametrize("model", [Formula(), Unknown()])
def test_without_a_network_the_time_is_known_and_the_memory_is_not(model):
    cost = measure(model, [model], EXAMPLE, seconds=0)
    assert cost == Cost(getattr(model, "parameters", None), cost.milliseconds, None)
    assert cost.milliseconds > 0


def test_one_call_warms_up_and_at_least_one_is_timed_on_the_example():
    seen = []
    measure(lambda inputs: seen.append(inputs.shape), [Formula()], EXAMPLE, seconds=0)
    assert seen == [EXAMPLE.shape] * 2


def test_a_method_is_measured_over_the_models_it_runs():
    models = [Network(convolution()), Network(convolution())]
    cost = measure(lambda x: sum(model(x) for model in models) / 2, models, EXAMPLE, seconds=0.01)
    assert cost.parameters == 240
    assert all(len(model.shapes) >= 3 for model in models)  # warm-up, memory, time
    assert set(models[0].shapes) == {EXAMPLE.shape}


@on_linux
def test_memory_is_that_of_the_weights_and_of_the_peak_of_a_call():
    small = measure(model := Network(convolution()), [model], EXAMPLE, seconds=0)
    with_scratch = measure(model := Network(convolution(), scratch=48), [model], EXAMPLE, seconds=0)
    wide = Network(nn.Sequential(convolution(), nn.Linear(7, 2**18, bias=False)))
    assert 0 <= small.memory_mib < 8
    assert 47 < with_scratch.memory_mib < 60
    assert 7 + 19 < measure(wide, [wide], EXAMPLE, seconds=0).memory_mib < 7 + 60  # gives 20 MiB of float32


@on_linux
def test_memory_that_earlier_calls_have_freed_still_counts():
    # 4 MiB come from the heap after the first time, which keeps them: without care the second call costs nothing.
    model = Network(convolution(), scratch=4)
    for _ in range(3):
        assert measure(model, [model], EXAMPLE, seconds=0).memory_mib > 3.5


@on_linux
def test_weights_are_counted_once_and_in_their_own_type():
    def costs(*modules):
        models = [Network(module) for module in modules]
        return measure(lambda x: x, models, EXAMPLE, seconds=0).memory_mib

    wide = nn.Linear(1024, 4096, bias=False)  # 16 MiB
    assert costs(wide) == pytest.approx(16, abs=1)
    assert costs(wide, wide) == pytest.approx(16, abs=1)
    assert costs(wide, nn.Linear(1024, 4096, bias=False)) == pytest.approx(32, abs=1)
    assert costs(nn.Linear(1024, 4096, bias=False).half()) == pytest.approx(8, abs=1)
    held = nn.Module()
    held.register_buffer("statistics", torch.zeros(2**20))
    assert costs(held) == pytest.approx(4, abs=1)


def test_what_a_prediction_raises_is_raised():
    def broken(inputs):
        raise FileNotFoundError("weights")

    with pytest.raises(FileNotFoundError, match="weights"):
        measure(broken, [], EXAMPLE)


@on_linux
def test_an_error_of_the_call_that_memory_is_measured_on_is_not_taken_for_a_missing_measurement():
    model = Network(convolution())
    calls = iter([False, True])

    def breaks_later(inputs):
        if next(calls):
            raise FileNotFoundError("weights")

    with pytest.raises(FileNotFoundError, match="weights"):
        measure(breaks_later, [model], EXAMPLE)


@pytest.mark.parametrize("examples", [0, 2])
def test_costs_are_those_of_one_example(examples):
    with pytest.raises(ValueError, match=f"batch of one example, got {examples}"):
        measure(Formula(), [Formula()], np.zeros((examples, 3, 5, 7)))


def test_a_negative_time_is_refused():
    with pytest.raises(ValueError, match="seconds >= 0"):
        measure(Formula(), [Formula()], EXAMPLE, seconds=-1)


numbers = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0, np.inf, np.nan])


def dominates(a, b):
    at_least = a.psnr >= b.psnr and a.ms <= b.ms
    return at_least and (a.psnr > b.psnr or a.ms < b.ms)


@given(st.lists(st.tuples(numbers, numbers), max_size=12))
@settings(deadline=None, max_examples=300)
def test_no_row_on_the_frontier_is_dominated_and_every_other_is_dominated_by_one_on_it(pairs):
    table = pd.DataFrame(pairs, columns=["psnr", "ms"], dtype=float)
    on = frontier(table, "psnr", "ms")
    assert on.dtype == bool
    best = [row for row, chosen in zip(table.itertuples(), on, strict=True) if chosen]
    for row, chosen in zip(table.itertuples(), on, strict=True):
        if np.isnan(row.psnr) or np.isnan(row.ms):
            assert not chosen
        else:
            assert chosen != any(dominates(other, row) for other in best)


def test_ties_stay_on_the_frontier_together():
    table = pd.DataFrame({"psnr": [20.0, 19.0, 20.0, 20.0], "ms": [5.0, 5.0, 5.0, 6.0]}, index=list("abca"))
    pd.testing.assert_series_equal(
        frontier(table, "psnr", "ms"), pd.Series([True, False, True, False], index=list("abca"))
    )


def test_unknown_costs_are_never_on_the_frontier_and_rule_nothing_out():
    table = pd.DataFrame({"psnr": [20.0, 25.0, 19.0], "parameters": pd.array([10, None, 5], dtype="Int64")})
    assert frontier(table, "psnr", "parameters").tolist() == [True, False, True]
    table["parameters"] = pd.Series([10, None, 5], dtype=object)
    assert frontier(table, "psnr", "parameters").tolist() == [True, False, True]


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match=r"found no \['ms'\]"):
        frontier(pd.DataFrame({"psnr": [1.0]}), "psnr", "ms")
