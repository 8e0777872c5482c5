"""Training of the generator against the discriminator: a Trainer that can be saved and continued."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from colorizer import checkpoint, metrics
from colorizer.config import TrainingConfig, build_discriminator, build_generator
from colorizer.generator import UNet, placed, predict
from colorizer.losses import adversarial_cost, discriminator_cost, reconstruction_cost
from colorizer.optimizers import gradient_norm, load_memory, make_optimizer, memory_of, step_at
from colorizer.sampling import Sampler, to_unit
from colorizer.settings.networks import ARCHITECTURE

if TYPE_CHECKING:
    from colorizer.dataset import Drawings

_CHECK_EVERY = 50  # steps between looks at the losses: each look waits for the device
_EVALUATED_AT_ONCE = 64
_COSTS = ("loss_g", "loss_d", "adversarial", "reconstruction")


class Diverged(RuntimeError):
    """A loss was infinite or NaN. `step` counts from 1; `losses` are those of that step."""

    def __init__(self, step: int, losses: dict[str, float]) -> None:
        self.step = step
        self.losses = losses
        numbers = ", ".join(f"{name}={value:g}" for name, value in losses.items())
        super().__init__(
            f"Training diverged: expected finite losses, got {numbers} at step {step}. Lower lr_g or lr_d."
        )

    def __reduce__(self) -> tuple[type["Diverged"], tuple[int, dict[str, float]]]:
        return Diverged, (self.step, self.losses)  # so that it survives the way out of a worker process


class Trainer:
    """Two networks, their optimisers and the order of the data; everything that a training is.

    Args:
        config: the hyperparameters.
        train: the drawings to learn from, cut to the config's `data_fraction`; only the batches asked for are read.
        device: "cpu", "cuda", ...
        data: where the drawings come from (`path`, `digest`), to be kept in checkpoints.

    Attributes:
        steps: steps taken so far.
    """

    def __init__(
        self,
        config: TrainingConfig,
        train: "Drawings",
        device: str | torch.device = "cpu",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.device = torch.device(device)
        self.data = dict(data or {})
        self.steps = 0
        rng = torch.Generator().manual_seed(config.seed)
        self.generator = placed(build_generator(config, rng), self.device)
        self.discriminator = placed(build_discriminator(config, rng), self.device)
        self.average = copy.deepcopy(self.generator).requires_grad_(False).eval() if config.ema else None
        self._adam_g = make_optimizer(self.generator, config.lr_g, config)
        self._adam_d = make_optimizer(self.discriminator, config.lr_d, config)
        self._sampler = Sampler(train, config.batch_size, config.flip, config.seed, config.data_fraction)
        self._dropout = _Randomness(self.device, config.seed)

    @property
    def shown(self) -> UNet:
        """The generator to predict with: the running average where one is kept."""
        return self.generator if self.average is None else self.average

    def train(self, steps: int) -> dict[str, float]:
        """Take `steps` steps.

        Returns:
            Means over these steps of loss_g, loss_d, adversarial (unweighted) and reconstruction (weighted),
            and the norms of the last step's gradients, gradient_g and gradient_d.

        Raises:
            Diverged: a loss was not finite. Noticed within 50 steps; names the first such step.
        """
        if steps < 1:
            raise ValueError(f"Expected 1 step or more, got {steps}.")
        self.generator.train()
        self.discriminator.train()
        sums = np.zeros(len(_COSTS))
        with self._dropout.used():
            for start in range(0, steps, _CHECK_EVERY):
                costs = torch.stack([self._step() for _ in range(min(_CHECK_EVERY, steps - start))])
                sums += self._checked(costs.double().cpu().numpy())
        means = dict(zip(_COSTS, (sums / steps).tolist(), strict=True))
        means["gradient_g"] = gradient_norm(self.generator)
        means["gradient_d"] = gradient_norm(self.discriminator)
        return means

    def evaluate(self, drawings: "Drawings") -> dict[str, float]:
        """Scores of the shown generator on `drawings`: what `metrics.summarize` returns. Changes nothing.

        Raises:
            ValueError: there are no drawings.
        """
        if not len(drawings.lines):
            raise ValueError("Expected 1 drawing or more to score, got 0.")
        parts: list[dict[str, Tensor]] = []
        for start in range(0, len(drawings.lines), _EVALUATED_AT_ONCE):
            chosen = slice(start, start + _EVALUATED_AT_ONCE)
            lines, colors = (
                to_unit(torch.from_numpy(part[chosen].copy()), self.device)
                for part in (drawings.lines, drawings.colors)
            )
            parts.append(metrics.score_images(predict(self.shown, lines), colors))
        return metrics.summarize({name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]})

    def save(self, folder: str | Path, scores: Mapping[str, float] | None = None, **notes: Any) -> None:
        """Write everything to `folder` as a checkpoint; `restore` goes on from it bit for bit (on a CPU).

        Args:
            scores: of the validation split, to be kept beside the weights.
            notes: JSON values to be kept there too.
        """
        description = checkpoint.Description(
            config=self.config,
            steps=self.steps,
            iteration=self.steps // self.config.steps_per_report,
            data=self.data,
            metrics=scores or {},
            notes=notes,
        )
        tensors = {
            checkpoint.GENERATOR: self.shown.state_dict(),
            checkpoint.DISCRIMINATOR: self.discriminator.state_dict(),
            checkpoint.TRAINING: self._state(),
        }
        checkpoint.write(folder, description, tensors)

    def restore(self, folder: str | Path) -> None:
        """Go on from a checkpoint of the same architecture; whatever else differs is taken from here.

        Raises:
            CheckpointError: it is damaged, of another architecture or of other drawings, or holds a generator only.
                Nothing changed then.
        """
        description = checkpoint.read(folder)
        if checkpoint.TRAINING not in description.files or checkpoint.DISCRIMINATOR not in description.files:
            raise checkpoint.CheckpointError(
                f"Expected a checkpoint to go on from in {folder}, but it holds a generator only: it can predict, "
                "not go on training. Take one that a trial or a training has written."
            )
        _check_architecture(self.config, description.config, Path(folder))
        generator, discriminator, state = (
            checkpoint.read_tensors(folder, name)
            for name in (checkpoint.GENERATOR, checkpoint.DISCRIMINATOR, checkpoint.TRAINING)
        )
        self._adopt_cuda(state)
        for name, expected, found in (
            (checkpoint.GENERATOR, self.shown.state_dict(), generator),
            (checkpoint.DISCRIMINATOR, self.discriminator.state_dict(), discriminator),
            (checkpoint.TRAINING, self._state(), state),
        ):
            checkpoint.check_tensors(expected, found, Path(folder) / name)
        self.shown.load_state_dict(generator)
        self.discriminator.load_state_dict(discriminator)
        self._load_state(state)
        self.steps = description.steps

    def _state(self) -> dict[str, Tensor]:
        state = _prefixed("sampler", self._sampler.state()) | _prefixed("dropout", self._dropout.state)
        state |= _prefixed("adam_g", memory_of(self._adam_g, self.generator))
        state |= _prefixed("adam_d", memory_of(self._adam_d, self.discriminator))
        if self.average is not None:
            state |= _prefixed("generator", self.generator.state_dict())
        return state

    def _adopt_cuda(self, state: dict[str, Tensor]) -> None:
        """Fit the random state of a checkpoint to this device: only GPUs have, and need, that of a GPU."""
        ours = self._dropout.state.get("cuda")
        if ours is None:
            state.pop("dropout.cuda", None)
        else:
            state.setdefault("dropout.cuda", ours)

    def _load_state(self, state: Mapping[str, Tensor]) -> None:
        self._sampler.load_state(_under("sampler", state))
        self._dropout.state = _under("dropout", state)
        load_memory(self._adam_g, self.generator, _under("adam_g", state))
        load_memory(self._adam_d, self.discriminator, _under("adam_d", state))
        if self.average is not None:
            self.generator.load_state_dict(_under("generator", state))

    def _step(self) -> Tensor:
        config = self.config
        rate = config.rate(self.steps)
        lines, colors = (to_unit(part, self.device) for part in self._sampler.next())
        with self._autocast():
            fake = self.generator(lines)
        fake = fake.float()
        loss_d = adversarial = fake.new_zeros(())
        if config.adversarial_weight:
            loss_d = self._discriminate(lines, colors, fake.detach(), rate)
            with self._autocast(), _frozen(self.discriminator):
                adversarial = adversarial_cost(self.discriminator(lines, fake).float())
        reconstruction = reconstruction_cost(fake, colors, config.mse_weight, config.l1_weight)
        loss_g = config.adversarial_weight * adversarial + reconstruction
        self._adam_g.zero_grad()
        loss_g.backward()
        step_at(self._adam_g, config.lr_g * rate)
        self.steps += 1
        self._follow()
        return torch.stack((loss_g.detach(), loss_d, adversarial.detach(), reconstruction.detach()))

    def _discriminate(self, lines: Tensor, colors: Tensor, fake: Tensor, rate: float) -> Tensor:
        # True and generated in one pass, half the calls: no norm of this network looks across examples.
        with self._autocast():
            logits = self.discriminator(torch.cat((lines, lines)), torch.cat((colors, fake))).float()
        loss = discriminator_cost(*logits.chunk(2))
        self._adam_d.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        step_at(self._adam_d, self.config.lr_d * rate)
        return loss.detach()

    def _follow(self) -> None:
        if self.average is None:
            return
        # So that the first weights, which are random, are soon forgotten.
        decay = min(self.config.ema, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            ours: list[Tensor] = list(self.average.parameters())
            theirs: list[Tensor] = list(self.generator.parameters())
            torch._foreach_lerp_(ours, theirs, 1 - decay)
            for mine, other in zip(self.average.buffers(), self.generator.buffers(), strict=True):
                mine.copy_(other)

    def _checked(self, costs: np.ndarray) -> np.ndarray:
        finite = np.isfinite(costs).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            step = self.steps - len(costs) + row + 1
            raise Diverged(step, dict(zip(_COSTS, costs[row].tolist(), strict=True)))
        return np.asarray(costs.sum(axis=0))

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16")


class _Randomness:
    """A stream of the global generators, which dropout draws from, that others neither see nor disturb."""

    def __init__(self, device: torch.device, seed: int) -> None:
        self._device = device
        self._devices = [device] if device.type == "cuda" else []
        self.state = {"cpu": torch.Generator().manual_seed(seed).get_state()}
        if self._devices:
            self.state["cuda"] = torch.Generator(device).manual_seed(seed).get_state()

    @contextmanager
    def used(self) -> Iterator[None]:
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


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Gradients pass through the network and are not computed for its parameters."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _prefixed(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in state.items()}


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}."): tensor for name, tensor in state.items() if name.startswith(f"{prefix}.")}


def _check_architecture(expected: TrainingConfig, found: TrainingConfig, folder: Path) -> None:
    for name in ARCHITECTURE:
        ours, theirs = getattr(expected, name), getattr(found, name)
        if ours != theirs:
            raise checkpoint.CheckpointError(f"Expected {name}={ours!r} in {folder}, found {theirs!r}.")
