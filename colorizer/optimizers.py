"""Optimisers from a config, and their memory as named tensors that a checkpoint can hold."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from colorizer.config import TrainingConfig

_MEMORY = ("step", "exp_avg", "exp_avg_sq")


def make_optimizer(network: nn.Module, lr: float, config: TrainingConfig) -> torch.optim.AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019) of weights, not of biases and norms.

    Without weight decay this is the Adam of Kingma and Ba (2015).
    """
    weights = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    groups = [
        {"params": weights, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=(config.beta1, 0.999), fused=True)


def step_at(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """One step at this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()


def memory_of(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """What Adam remembers of each parameter, under the parameter's name; zeros before its first step."""
    memory: dict[str, Tensor] = {}
    for name, parameter in network.named_parameters():
        for key in _MEMORY:
            fresh = torch.zeros(()) if key == "step" else torch.zeros_like(parameter)
            memory[f"{name}.{key}"] = optimizer.state[parameter].get(key, fresh)
    return memory


def load_memory(optimizer: torch.optim.Optimizer, network: nn.Module, memory: Mapping[str, Tensor]) -> None:
    """Put back what `memory_of` gave."""
    for name, parameter in network.named_parameters():
        # The fused kernel expects its moments in the parameter's own memory format: like it, then filled.
        own = {key: torch.zeros_like(parameter) for key in _MEMORY[1:]}
        own["step"] = torch.zeros((), device=parameter.device)
        for key, tensor in own.items():
            tensor.copy_(memory[f"{name}.{key}"])
        optimizer.state[parameter] = own


def gradient_norm(network: nn.Module) -> float:
    """Euclidean norm of all gradients that are there; 0 without any. Waits for the device."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return float(nn.utils.get_total_norm(gradients)) if gradients else 0.0
