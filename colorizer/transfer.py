"""A training that begins with the weights of another, and parts of it that stay as they are."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from colorizer import checkpoint
from colorizer.checkpoint import CheckpointError
from colorizer.config import TrainingConfig
from colorizer.settings.networks import ARCHITECTURE


@dataclass(frozen=True)
class Origin:
    """Where the first weights of a training came from.

    Attributes:
        folder: the checkpoint.
        old: names of the generator's parameters that were taken over.
        fresh: names of the tensors of both networks that were not, under "generator." and "discriminator.".
    """

    folder: str
    old: frozenset[str]
    fresh: tuple[str, ...]

    def note(self) -> dict[str, Any]:
        """What a checkpoint says of it."""
        return {"folder": self.folder, "fresh": list(self.fresh)}


def take_over(config: TrainingConfig, generator: nn.Module, discriminator: nn.Module) -> Origin:
    """Begin with the weights of the checkpoint `start_from`, put into both networks.

    As in Yosinski et al. (2014), and in Wang et al. (2018) for both networks of a GAN. Tensors of the same name and
    shape are taken, all others stay fresh; the discriminator takes part where the checkpoint has one. The folder is
    read again whenever the training is resumed, for which tensors are old.

    Raises:
        CheckpointError: it cannot be read, or shares no layer with the generator.
    """
    folder = Path(config.start_from)
    description = checkpoint.read(folder)
    fresh: list[str] = []
    taken: dict[str, set[str]] = {}
    for network, name in ((generator, checkpoint.GENERATOR), (discriminator, checkpoint.DISCRIMINATOR)):
        found = checkpoint.read_tensors(folder, name) if name in description.files else {}
        ours: Mapping[str, Tensor] = network.state_dict()
        fitting = {key: found[key] for key, tensor in ours.items() if key in found and _alike(found[key], tensor)}
        network.load_state_dict(fitting, strict=False)
        taken[name] = set(fitting)
        fresh += [f"{Path(name).stem}.{key}" for key in ours if key not in fitting]
    old = frozenset(name for name, _ in generator.named_parameters() if name in taken[checkpoint.GENERATOR])
    # What meets the picture itself is of one shape in most generators, and worth nothing alone.
    if not any(name.startswith(("down.", "up.")) for name in old):
        raise CheckpointError(
            f"Expected layers of this generator in {folder}, found none of a name and shape that it has: "
            f"{_difference(config, description.config)}. Set these as they are there, or start from another checkpoint."
        )
    return Origin(str(folder), old, tuple(fresh))


def freeze(network: nn.Module, frozen: str) -> list[nn.Module]:
    """Let the parameters whose names begin with one of the prefixes keep their values (Yosinski et al. 2014).

    Args:
        frozen: prefixes with commas between, each of whole parts of a name: "down.1" does not cover "down.10". None
            for "".

    Returns:
        The layers with nothing to learn: in eval mode, the statistics of their norms stay as they are, too.

    Raises:
        ValueError: a prefix covers no parameter, or they cover all.
    """
    names = [name for name, _ in network.named_parameters()]
    prefixes = [prefix.strip() for prefix in frozen.split(",")] if frozen else []
    for prefix in prefixes:
        known = list(dict.fromkeys(start for name in names for start in _starts(name)))
        if prefix not in known:
            near = difflib.get_close_matches(prefix, known, n=1, cutoff=0.0)[0]
            raise ValueError(
                f"Expected the names in frozen to begin names of parameters, got {prefix!r}. Did you mean {near!r}?"
            )
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not any(start in prefixes for start in _starts(name)))
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError(f"Expected a part of the generator to be left to train, got frozen={frozen!r}, all of it.")
    return [layer for layer in network.modules() if _is_still(layer)]


def _is_still(layer: nn.Module) -> bool:
    own = list(layer.parameters(recurse=False))
    return bool(own) and not any(parameter.requires_grad for parameter in own)


def _starts(name: str) -> Iterator[str]:
    """ "down.0.weight" begins with "down", "down.0" and itself."""
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype


def _difference(ours: TrainingConfig, theirs: TrainingConfig) -> str:
    return ", ".join(
        f"{name}={getattr(theirs, name)!r} there and {getattr(ours, name)!r} here"
        for name in ARCHITECTURE
        if getattr(ours, name) != getattr(theirs, name)
    )
