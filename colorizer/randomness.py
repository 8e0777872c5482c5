"""A stream of random numbers of its own for layers that draw from PyTorch's global generators, as dropout does."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Randomness:
    """A stream of the global generators that others neither see nor disturb.

    Attributes:
        state: of the generators of the CPU and, on one, of the GPU.
    """

    def __init__(self, device: torch.device, seed: int) -> None:
        self._device = device
        self._devices = [device] if device.type == "cuda" else []
        self.state = {"cpu": torch.Generator().manual_seed(seed).get_state()}
        if self._devices:
            self.state["cuda"] = torch.Generator(device).manual_seed(seed).get_state()

    @contextmanager
    def used(self) -> Iterator[None]:
        """Inside, the global generators give this stream; after it they go on as if nothing had been."""
        with torch.random.fork_rng(self._devices):
            torch.set_rng_state(self.state["cpu"])
            if self._devices:
                torch.cuda.set_rng_state(self.state["cuda"], self._device)
            try:
                yield
            finally:
                self.state = {"cpu": torch.get_rng_state()}
                if self._devices:
                    self.state["cuda"] = torch.cuda.get_rng_state(self._device)
