"""The numbers that networks compute in, and the scaling of costs that the smallest of them need."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler

from colorizer.settings.optimization import Precision

_STATE = ("scale", "_growth_tracker")


class Computing:
    """How to compute in a precision on a device.

    Attributes:
        scaler: of costs and gradients, so that small ones survive "float16"; does nothing for the other types.

    Raises:
        ValueError: this device is no good at it.
    """

    def __init__(self, precision: Precision, device: torch.device) -> None:
        if precision == "float16" and device.type == "cpu":
            raise ValueError(
                "Expected a GPU for precision='float16', got the device 'cpu', whose float16 is slow. "
                "Use 'bfloat16' or 'float32' there."
            )
        self._device = device
        self._precision = precision if precision != "auto" else _quickest(device)
        self.scaler = GradScaler(device.type, enabled=precision == "float16")

    def autocast(self) -> torch.autocast:
        """Inside, layers choose that precision where it is safe."""
        kind = torch.float16 if self._precision == "float16" else torch.bfloat16
        return torch.autocast(self._device.type, kind, enabled=self._precision != "float32")

    def state(self) -> dict[str, Tensor]:
        """Of the scaler; none where it does nothing."""
        state = self.scaler.state_dict()
        return {key: torch.tensor(state[key]) for key in _STATE if key in state}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state`."""
        self.scaler.load_state_dict(self.scaler.state_dict() | {key: tensor.item() for key, tensor in state.items()})


def _quickest(device: torch.device) -> Precision:
    """bfloat16 where the device computes in it rather than imitating it. Costs come out as they do in float32."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    able = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"
