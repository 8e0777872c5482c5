import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler

from colorizer.config import TrainingConfig
from colorizer.optimizers import Optimizer

OPTIMIZERS = ["adam", "sgd", "rmsprop", "adadelta", "adam_sgd"]
OFF = GradScaler("cpu", enabled=False)


class Tiny(nn.Module):
    """A weight and a bias of unequal shapes, and gradients as one likes."""

    def __init__(self):
        super().__init__()
        rng = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(torch.randn(2, 3, generator=rng))
        self.bias = nn.Parameter(torch.randn(5, generator=rng))


def gradients(step):
    rng = np.random.default_rng(step)
    return {"weight": rng.normal(size=(2, 3)), "bias": rng.normal(size=5)}


def descend(network, optimizer, step, rate=1.0):
    for name, parameter in network.named_parameters():
        parameter.grad = torch.tensor(gradients(step)[name], dtype=torch.float32)
    optimizer.step(step, rate, OFF)


def values(network):
    return {name: parameter.detach().double().numpy().copy() for name, parameter in network.named_parameters()}


class Formulas:
    """The rules of the papers, each for one array: the step for a gradient, at a learning rate of 1."""

    def __init__(self, beta1, momentum):
        self.beta1, self.momentum = beta1, momentum
        self.mean = self.square = self.velocity = self.moved = 0.0
        self.steps = 0

    def adam(self, gradient):
        self.steps += 1
        self.mean = self.beta1 * self.mean + (1 - self.beta1) * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        unbiased = self.square / (1 - 0.999**self.steps)
        return -self.mean / (1 - self.beta1**self.steps) / (np.sqrt(unbiased) + 1e-8)

    def sgd(self, gradient):
        self.velocity = self.momentum * self.velocity + gradient
        return -self.velocity

    def rmsprop(self, gradient):
        self.square = 0.99 * self.square + 0.01 * gradient**2
        return -gradient / (np.sqrt(self.square) + 1e-8)

    def adadelta(self, gradient):
        self.square = 0.9 * self.square + 0.1 * gradient**2
        step = -np.sqrt(self.moved + 1e-6) / np.sqrt(self.square + 1e-6) * gradient
        self.moved = 0.9 * self.moved + 0.1 * step**2
        return step


@pytest.mark.parametrize("decay", [0.0, 0.25])
@pytest.mark.parametrize("kind", ["adam", "sgd", "rmsprop", "adadelta"])
def test_each_follows_its_formula_and_weights_alone_decay(kind, decay):
    config = TrainingConfig(optimizer=kind, beta1=0.6, momentum=0.7, weight_decay=decay)
    network = Tiny()
    optimizer = Optimizer(network, 0.1, config)
    expected = values(network)
    formulas = {name: Formulas(0.6, 0.7) for name in expected}
    for step, rate in enumerate((1.0, 0.5, 0.5, 0.25)):
        descend(network, optimizer, step, rate)
        for name, gradient in gradients(step).items():
            if name == "weight":
                expected[name] *= 1 - 0.1 * rate * decay
            expected[name] += 0.1 * rate * getattr(formulas[name], kind)(gradient)
    for name, value in values(network).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6)


def test_adam_hands_over_to_gradient_descent_that_goes_on_at_its_pace():
    """The rate of gradient descent follows from Adam's steps; weight decay goes on as it was."""
    config = TrainingConfig(
        optimizer="adam_sgd", beta1=0.6, weight_decay=0.25, handover=0.6, steps_per_report=5, total_reports=1
    )
    network = Tiny()
    optimizer = Optimizer(network, 0.1, config)
    expected = values(network)
    formulas = {name: Formulas(0.6, None) for name in expected}
    products = np.zeros(2)
    velocity = dict.fromkeys(expected, 0.0)
    for step, rate in enumerate((1.0, 0.5, 0.5, 0.25, 0.25)):
        descend(network, optimizer, step, rate)
        expected["weight"] *= 1 - 0.1 * rate * 0.25
        steps = {name: formulas[name].adam(gradient) for name, gradient in gradients(step).items()}
        new = [
            sum((s**2).sum() for s in steps.values()),
            -sum((s * gradients(step)[n]).sum() for n, s in steps.items()),
        ]
        for name, gradient in gradients(step).items():
            if step < 3:
                expected[name] += 0.1 * rate * steps[name]
            else:
                velocity[name] = 0.6 * velocity[name] + 0.4 * gradient
                expected[name] -= products[0] / products[1] * 0.1 * rate * velocity[name]
        if step < 3:
            assert new[1] > 0
            products = 0.999 * products + 0.001 * np.array(new)
    for name, value in values(network).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-5)


def test_steps_of_adam_that_went_uphill_do_not_count_for_the_pace():
    config = TrainingConfig(optimizer="adam_sgd", beta1=0.99, handover=0.9)
    network = Tiny()
    optimizer = Optimizer(network, 0.1, config)
    seen = []
    for step, sign in enumerate((1.0, -0.1)):  # the mean of both still points along the first
        for parameter in network.parameters():
            parameter.grad = torch.full_like(parameter, sign)
        optimizer.step(step, 1.0, OFF)
        seen.append(optimizer.memory()["pace"].clone())
    assert seen[0][1] > 0
    assert torch.equal(*seen)


def test_a_network_that_has_seen_no_gradient_stays_where_it_is():
    config = TrainingConfig(optimizer="adam_sgd", handover=0.5, steps_per_report=2, total_reports=1)
    network = Tiny()
    optimizer, before = Optimizer(network, 0.1, config), values(network)
    for step in range(2):
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step(step, 1.0, OFF)
    for name, value in values(network).items():
        assert np.array_equal(value, before[name])


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_old_parameters_learn_at_a_share_of_the_rate(kind):
    """Adam and gradient descent are linear in the rate, so that one step shows it."""
    config = TrainingConfig(optimizer=kind, lr_old_factor=0.25, weight_decay=0.5)
    full, mixed = Tiny(), Tiny()
    start = values(full)
    descend(full, Optimizer(full, 0.1, config), 0)
    descend(mixed, Optimizer(mixed, 0.1, config, slow=frozenset({"weight"})), 0)
    ours, theirs = values(mixed), values(full)
    assert np.array_equal(ours["bias"], theirs["bias"])
    assert (ours["weight"] != start["weight"]).all()
    if kind != "adadelta":
        np.testing.assert_allclose(
            ours["weight"] - start["weight"], 0.25 * (theirs["weight"] - start["weight"]), rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_frozen_parameter_is_not_trained_nor_remembered(kind):
    network = Tiny()
    network.weight.requires_grad_(False)
    optimizer, before = Optimizer(network, 0.1, TrainingConfig(optimizer=kind, weight_decay=0.5)), values(network)
    descend(network, optimizer, 0)
    after = values(network)
    assert np.array_equal(after["weight"], before["weight"])
    assert (after["bias"] != before["bias"]).all()
    assert not [name for name in optimizer.memory() if name.startswith("weight.")]


def test_gradients_are_cut_number_by_number_then_scaled_to_the_norm():
    network = Tiny()
    optimizer = Optimizer(network, 1.0, TrainingConfig(optimizer="sgd", momentum=0.0, clip_value=0.3, clip_norm=0.5))
    before = values(network)
    descend(network, optimizer, 0)
    cut = {name: np.clip(gradient, -0.3, 0.3) for name, gradient in gradients(0).items()}
    norm = np.sqrt(sum((gradient**2).sum() for gradient in cut.values()))
    assert norm > 0.5
    for name, value in values(network).items():
        np.testing.assert_allclose(value, before[name] - cut[name] * 0.5 / norm, rtol=1e-5, atol=1e-6)
    uncut = np.sqrt(sum((gradient**2).sum() for gradient in gradients(0).values()))
    assert optimizer.gradient_norm() == pytest.approx(uncut, rel=1e-5)


def test_gradients_within_the_norm_are_left():
    clipped, free, norms = Tiny(), Tiny(), []
    for network, norm in ((clipped, 100.0), (free, 0.0)):
        optimizer = Optimizer(network, 1.0, TrainingConfig(optimizer="sgd", clip_norm=norm))
        assert optimizer.gradient_norm() == 0
        descend(network, optimizer, 0)
        norms.append(optimizer.gradient_norm())
    assert torch.equal(clipped.weight, free.weight)
    assert norms[0] == pytest.approx(norms[1])
    assert norms[0] > 0


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_the_memory_is_all_that_there_is(kind):
    """An optimiser that is given another's memory, and weights, goes on as that one does; also across the handover."""
    config = TrainingConfig(optimizer=kind, handover=0.5, steps_per_report=8, total_reports=1, weight_decay=0.1)
    for taken in (0, 2, 4, 5):
        first, second = Tiny(), Tiny()
        one, other = Optimizer(first, 0.1, config), Optimizer(second, 0.1, config)
        for step in range(taken):
            descend(first, one, step)
        second.load_state_dict(first.state_dict())
        other.load_memory({name: tensor.clone() for name, tensor in one.memory().items()})
        for step in range(taken, 8):
            descend(first, one, step)
            descend(second, other, step)
        assert torch.equal(first.weight, second.weight)
        assert torch.equal(first.bias, second.bias)
        assert other.memory().keys() == one.memory().keys()


def test_gradient_descent_without_momentum_remembers_nothing():
    config = TrainingConfig(optimizer="sgd", momentum=0.0)
    assert Optimizer(Tiny(), 0.1, config).memory() == {}
    assert Optimizer(Tiny(), 0.1, dataclasses.replace(config, momentum=0.1)).memory().keys() == {
        "weight.momentum_buffer",
        "bias.momentum_buffer",
    }
