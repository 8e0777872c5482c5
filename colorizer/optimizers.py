"""How the weights of a network follow their gradients, with a memory that a checkpoint can hold as named tensors."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from colorizer.config import TrainingConfig

_BETA2 = 0.999
_SGD = ("momentum_buffer",)
_MEMORY = {
    "adam": ("step", "exp_avg", "exp_avg_sq"),
    "rmsprop": ("step", "square_avg"),
    "adadelta": ("step", "square_avg", "acc_delta"),
}
_Group = dict[str, Any]


class Optimizer:
    """One of five optimisers around those parameters of a network that require gradients when it is made.

    - "adam": Kingma and Ba (2015); with weight decay, AdamW (Loshchilov and Hutter 2019).
    - "sgd": gradient descent with `momentum` (Polyak 1964; Sutskever et al. 2013).
    - "rmsprop": Tieleman and Hinton (2012); squares are averaged with the decay 0.99.
    - "adadelta": Zeiler (2012), with the decay 0.9; made for learning rates near 1.
    - "adam_sgd": Adam for a share `handover` of the steps, then gradient descent with the momentum `beta1`, as in SWATS
      (Keskar and Socher 2017), at a learning rate that needs no search; see `_Successor`.

    Weight decay is decoupled in all of them: a step also takes the share lr * weight_decay off each weight, whatever
    the gradients are. Biases and norms are spared.

    Args:
        lr: the learning rate before any schedule.
        slow: names of parameters that learn at the share `lr_old_factor` of it.
    """

    def __init__(
        self, network: nn.Module, lr: float, config: TrainingConfig, slow: frozenset[str] = frozenset()
    ) -> None:
        self._config, self._lr = config, lr
        self._parameters = {name: p for name, p in network.named_parameters() if p.requires_grad}
        groups = _groups(self._parameters, config, slow)
        both = config.optimizer == "adam_sgd"
        self._first = _make("adam" if both else config.optimizer, groups, config)
        self._successor = _Successor(_sgd(groups, config.beta1, dampening=config.beta1)) if both else None
        self._uncut: Tensor | None = None  # the norm of gradients that were cut
        # AdamW shrinks weights in the kernel of its step.
        self._shrinks = config.weight_decay > 0 and config.optimizer != "adam"
        for optimizer, keys in self._parts():
            for parameter in self._parameters.values():
                optimizer.state[parameter] = {key: _nothing(key, parameter, optimizer) for key in keys}

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self._first.zero_grad()

    def step(self, step: int, rate: float, scaler: GradScaler) -> None:
        """Follow the gradients.

        Args:
            step: how many were taken before.
            rate: the share of the learning rate in force.
            scaler: what the costs were scaled by; gradients that overflowed are not followed.
        """
        optimizer, pace, watching = self._first, 1.0, self._successor
        if watching and step >= self._config.handover_step:
            optimizer, pace, watching = watching.descent, watching.pace, None
        for group in optimizer.param_groups:
            lr = self._lr * rate * group["share"]
            group["lr"] = lr * pace
            if self._shrinks:
                _shrink(group["params"], lr * group["decay"])
        scaler.unscale_(optimizer)
        self._cut()
        before = _copies(optimizer.param_groups) if watching else []
        scaler.step(optimizer)
        if watching:
            watching.watch(optimizer.param_groups, before)

    def gradient_norm(self) -> float:
        """Euclidean norm of all gradients of the last step before any were cut; 0 without any. Waits for the device."""
        gradients = self._gradients()
        if not gradients:
            return 0.0
        return float(nn.utils.get_total_norm(gradients) if self._uncut is None else self._uncut)

    def memory(self) -> dict[str, Tensor]:
        """What is remembered of each parameter, under the parameter's name; zeros before the first step."""
        memory = {
            f"{name}.{key}": optimizer.state[parameter][key]
            for name, parameter in self._parameters.items()
            for optimizer, keys in self._parts()
            for key in keys
        }
        return memory | {"pace": self._successor.products} if self._successor else memory

    def load_memory(self, memory: Mapping[str, Tensor]) -> None:
        """Put back what `memory` gave."""
        # Fused kernels expect their moments in the parameter's own memory format: filled, not replaced.
        for name, tensor in self.memory().items():
            tensor.copy_(memory[name])

    def _cut(self) -> None:
        """Cut gradients as the config says, and take note of how long they were."""
        uncut = None
        if self._config.clip_value:
            uncut = nn.utils.get_total_norm(self._gradients())
            nn.utils.clip_grad_value_(self._parameters.values(), self._config.clip_value)
        if self._config.clip_norm:
            norm = nn.utils.clip_grad_norm_(self._parameters.values(), self._config.clip_norm)
            uncut = norm if uncut is None else uncut
        self._uncut = uncut

    def _gradients(self) -> list[Tensor]:
        return [parameter.grad for parameter in self._parameters.values() if parameter.grad is not None]

    def _parts(self) -> list[tuple[torch.optim.Optimizer, tuple[str, ...]]]:
        if self._successor:
            return [(self._first, _MEMORY["adam"]), (self._successor.descent, _SGD)]
        if self._config.optimizer == "sgd":
            return [(self._first, _SGD if self._config.momentum else ())]
        return [(self._first, _MEMORY[self._config.optimizer])]


class _Successor:
    """Gradient descent that watches Adam, to go on at its pace.

    With s a step of Adam at a learning rate of 1 and g its gradient, s.s / -s.g is the rate at which gradient descent,
    projected onto s, goes as far (Keskar and Socher 2017, section 3). They average the quotient over steps; here both
    products are averaged, so that one -s.g near zero does not outweigh a thousand steps.

    Attributes:
        descent: to be used when Adam is done.
        products: (2,), running averages of s.s and -s.g over the steps that went downhill.
    """

    def __init__(self, descent: torch.optim.SGD) -> None:
        self.descent = descent
        self.products = torch.zeros(2, device=descent.param_groups[0]["params"][0].device)

    @property
    def pace(self) -> float:
        """The rate as a multiple of Adam's; 0 as long as no gradient has been seen. Waits for the device."""
        steps, descent = self.products.tolist()
        return steps / descent if descent else 0.0

    @torch.no_grad()
    def watch(self, groups: Iterable[_Group], before: Iterable[list[Tensor]]) -> None:
        """Take note of a step of Adam from the parameters that were `before`, group by group."""
        products = torch.zeros_like(self.products)
        for group, copies in zip(groups, before, strict=True):
            for parameter, copy in zip(group["params"], copies, strict=True):
                fall = copy.sub_(parameter).div_(group["lr"])
                products += torch.stack(((fall * fall).sum(), (fall * parameter.grad).sum()))
        downhill = products[1] > 0  # nor NaN, which gradients that overflowed leave
        self.products.lerp_(torch.where(downhill, products, self.products), 1 - _BETA2)


def _groups(parameters: Mapping[str, Tensor], config: TrainingConfig, slow: frozenset[str]) -> list[_Group]:
    """Parameters that are treated alike: weights or others, at the full learning rate or at a share of it."""
    groups = []
    for share, is_slow in ((1.0, False), (config.lr_old_factor, True)):
        for decay, is_weight in ((config.weight_decay, True), (0.0, False)):
            alike = [p for name, p in parameters.items() if (name in slow) is is_slow and (p.dim() > 1) is is_weight]
            if alike:
                groups.append({"params": alike, "share": share, "decay": decay})
    return groups


def _make(kind: str, groups: list[_Group], config: TrainingConfig) -> torch.optim.Optimizer:
    if kind == "sgd":
        return _sgd(groups, config.momentum)
    own = _own(groups)
    if kind == "rmsprop":
        return torch.optim.RMSprop(own, foreach=True)
    if kind == "adadelta":
        return torch.optim.Adadelta(own, foreach=True)
    for group in own:
        group["weight_decay"] = group["decay"] if config.optimizer == "adam" else 0.0
    return torch.optim.AdamW(own, betas=(config.beta1, _BETA2), fused=True)


def _sgd(groups: list[_Group], momentum: float, dampening: float = 0.0) -> torch.optim.SGD:
    return torch.optim.SGD(_own(groups), momentum=momentum, dampening=dampening, foreach=True)


def _own(groups: list[_Group]) -> list[_Group]:
    return [dict(group) for group in groups]  # torch writes into those it is given


def _nothing(key: str, parameter: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
    """The memory of an optimiser before its first step, where its kernels look for it."""
    if key != "step":
        return torch.zeros_like(parameter, requires_grad=False)
    return torch.zeros((), device=parameter.device if isinstance(optimizer, torch.optim.AdamW) else "cpu")


@torch.no_grad()
def _shrink(parameters: list[Tensor], share: float) -> None:
    torch._foreach_mul_(parameters, 1 - share)


@torch.no_grad()
def _copies(groups: Iterable[_Group]) -> list[list[Tensor]]:
    return [[parameter.detach().clone() for parameter in group["params"]] for group in groups]
