"""Training of the generator against the discriminator: a Trainer that can be saved and continued."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from colorizer import checkpoint, metrics
from colorizer.config import TrainingConfig, build_discriminator, build_generator
from colorizer.diagnosis import Examination
from colorizer.generator import UNet, placed, predict
from colorizer.losses import THRESHOLDS
from colorizer.objective import Costs, Objective, Painted
from colorizer.optimizers import Optimizer
from colorizer.precision import Computing
from colorizer.randomness import Randomness
from colorizer.sampling import to_unit
from colorizer.schedules import Plateau
from colorizer.settings.networks import ARCHITECTURE
from colorizer.showing import Batch, Showing
from colorizer.transfer import freeze, take_over

if TYPE_CHECKING:
    from colorizer.dataset import Drawings

_CHECK_EVERY = 50  # steps between looks at the losses: each look waits for the device
_EVALUATED_AT_ONCE = 64
_EXAMINED = 32  # drawings


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
        data: where the drawings come from (`path`, `digest`) and their `statistics`, to be kept in checkpoints.

    Attributes:
        steps: steps taken so far.

    Raises:
        CheckpointError: `start_from` names no checkpoint, or one that shares no layer.
        ValueError: `frozen` names no part of the generator, or all; the device is no good at `precision`; or rare
            labels are to count and drawings have none.
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
        self._origin = take_over(config, self.generator, self.discriminator) if config.start_from else None
        self._still = freeze(self.generator, config.frozen)
        self.average = copy.deepcopy(self.generator).requires_grad_(False).eval() if config.ema else None
        self._optimizer_g = Optimizer(
            self.generator, config.lr_g, config, slow=self._origin.old if self._origin else frozenset()
        )
        self._optimizer_d = Optimizer(self.discriminator, config.lr_d, config)
        self._plateau = Plateau(config.plateau_patience)
        self._computing = Computing(config.precision, self.device)
        self._objective = Objective(config, train, self.device, self._computing.autocast)
        self._showing = Showing(config, train, self.device)
        self._examined: dict[str, float] = {}
        self._dropout = Randomness(self.device, config.seed)

    @property
    def shown(self) -> UNet:
        """The generator to predict with: the running average where one is kept."""
        return self.generator if self.average is None else self.average

    def train(self, steps: int, *, look: bool = True) -> dict[str, float]:
        """Take `steps` steps.

        Args:
            steps: 1 or more.
            look: look at the last of them more closely, for `examine`.

        Returns:
            Means over these steps of the costs, loss_g, loss_d, adversarial, reconstruction and what else the config
            has (see `Objective.names`), and gradient_g and gradient_d, the norms of the
            last step's gradients before any were cut.

        Raises:
            Diverged: a loss was not finite. Noticed within 50 steps; names the first such step.
            ValueError: the schedule goes by scores that it has not heard; see `hear`.
        """
        if steps < 1:
            raise ValueError(f"Expected 1 step or more, got {steps}.")
        self._expect_reports(self.steps + steps - 1)
        self.generator.train()
        for layer in self._still:
            layer.eval()
        self.discriminator.train()
        sums = np.zeros(len(self._objective.names))
        with self._dropout.used():
            plain = steps - look
            for start in range(0, plain, _CHECK_EVERY):
                sums += self._checked([self._step() for _ in range(min(_CHECK_EVERY, plain - start))])
            if look:
                sums += self._looked_at()
        means = dict(zip(self._objective.names, (sums / steps).tolist(), strict=True))
        means["gradient_g"] = self._optimizer_g.gradient_norm()
        means["gradient_d"] = self._optimizer_d.gradient_norm()
        return means

    def examine(self) -> dict[str, float]:
        """How the last step that was looked at went: the measures of `Examination`, and two that `verdict` goes by.

        Returns:
            These measures; rate, the share of the learning rates that was in force; and train_mse, the mean squared
            error on some of the drawings that are learnt from, as few as tell it from that of the validation split.
        """
        rows = self._showing.sampler.some(_EXAMINED)
        lines, colors = (to_unit(torch.from_numpy(part), self.device) for part in rows)
        error = (predict(self.shown, lines) - colors).square().mean()
        return {**self._examined, "train_mse": float(error)}

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

    def hear(self, scores: Mapping[str, float]) -> None:
        """Take note of the validation scores of a report: the schedule "plateau" goes by their PSNR, others by none.

        Args:
            scores: what `evaluate` returned; once every `steps_per_report` steps.
        """
        self._plateau.hear(scores["psnr"])

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
            notes={"start_from": self._origin.note(), **notes} if self._origin else notes,
        )
        tensors = {
            checkpoint.GENERATOR: self.shown.state_dict(),
            checkpoint.DISCRIMINATOR: self.discriminator.state_dict(),
            checkpoint.TRAINING: self._state(),
        }
        checkpoint.write(folder, description, tensors)

    def restore(self, folder: str | Path) -> None:
        """Go on from a checkpoint of the same architecture and optimizer; whatever else differs is taken from here.

        Raises:
            CheckpointError: it is damaged, of another architecture, optimizer or drawings, or holds a generator only.
                Nothing changed then.
        """
        description = checkpoint.read(folder)
        if checkpoint.TRAINING not in description.files or checkpoint.DISCRIMINATOR not in description.files:
            raise checkpoint.CheckpointError(
                f"Expected a checkpoint to go on from in {folder}, but it holds a generator only: it can predict, "
                "not go on training. Take one that a trial or a training has written."
            )
        _check_alike(self.config, description.config, Path(folder))
        generator, discriminator, state = (
            checkpoint.read_tensors(folder, name)
            for name in (checkpoint.GENERATOR, checkpoint.DISCRIMINATOR, checkpoint.TRAINING)
        )
        self._adopt(state)
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

    def _expect_reports(self, last: int) -> None:
        due = last // self.config.steps_per_report
        if self.config.schedule == "plateau" and self._plateau.heard < due:
            raise ValueError(
                f"Expected the scores of {due} reports by step {last} for schedule='plateau', got those of "
                f"{self._plateau.heard}. Train for {self.config.steps_per_report} steps at a time, and call "
                "hear(evaluate(validation)) after each."
            )

    def _state(self) -> dict[str, Tensor]:
        state = _prefixed("sampler", self._showing.state()) | _prefixed("dropout", self._dropout.state)
        # Named by the kind of optimiser, so that one is not taken for another.
        state |= _prefixed(f"{self.config.optimizer}_g", self._optimizer_g.memory())
        state |= _prefixed(f"{self.config.optimizer}_d", self._optimizer_d.memory())
        if self.config.schedule == "plateau":
            state |= _prefixed("plateau", self._plateau.state())
        state |= _prefixed("scaler", self._computing.state())
        if self.average is not None:
            state |= _prefixed("generator", self.generator.state_dict())
        return state

    def _adopt(self, state: dict[str, Tensor]) -> None:
        """Fit the random states of a checkpoint to this training.

        Only GPUs have, and need, that of a GPU; and only who does something to drawings has drawn numbers for that.
        """
        ours = self._state()
        for name in ("dropout.cuda", "sampler.shown"):
            if name in ours:
                state.setdefault(name, ours[name])
            else:
                state.pop(name, None)

    def _load_state(self, state: Mapping[str, Tensor]) -> None:
        self._showing.load_state(_under("sampler", state))
        self._dropout.state = _under("dropout", state)
        self._optimizer_g.load_memory(_under(f"{self.config.optimizer}_g", state))
        self._optimizer_d.load_memory(_under(f"{self.config.optimizer}_d", state))
        if self.config.schedule == "plateau":
            self._plateau.load_state(_under("plateau", state))
        self._computing.load_state(_under("scaler", state))
        if self.average is not None:
            self.generator.load_state_dict(_under("generator", state))

    def _step(self) -> Tensor:
        rate = self.config.rate(self.steps, self._plateau.count)
        batches = [self._showing.next(self.steps) for _ in range(self.config.accumulation)]
        # One painting serves both networks. To keep those of several batches would take the memory of a large one.
        kept = self._paint(batches[0]) if len(batches) == 1 else None
        costs: list[Costs] = [{"loss_d": torch.zeros((), device=self.device)} for _ in batches]
        if self.config.adversarial_weight:
            self._optimizer_d.zero_grad()
            for told, batch in zip(costs, batches, strict=True):
                fake = self._seen(batch, kept)
                parts = self._objective.of_discriminator(self.discriminator, batch.lines, batch.colors, fake)
                told.update(self._learn("loss_d", parts))
            self._optimizer_d.step(self.steps, rate, self._computing.scaler)
        self._optimizer_g.zero_grad()
        for told, batch in zip(costs, batches, strict=True):
            painted = self._paint(batch) if kept is None else kept
            parts = self._objective.of_generator(
                self.generator, self.discriminator, batch.lines, batch.colors, *painted
            )
            told.update(self._learn("loss_g", parts))
        self._optimizer_g.step(self.steps, rate, self._computing.scaler)
        self._computing.scaler.update()
        self.steps += 1
        self._follow()
        rows = [torch.stack([told[name] for name in self._objective.names]) for told in costs]
        return torch.stack(rows).mean(dim=0)

    def _looked_at(self) -> np.ndarray:
        """The costs of a step that is taken as any other, and looked at."""
        with Examination(self.generator, self.discriminator, THRESHOLDS[self.config.adversarial]) as examination:
            costs = self._checked([self._step()])
        rate = self.config.rate(self.steps - 1, self._plateau.count)
        self._examined = {**examination.measures(), "rate": rate}
        return costs

    def _paint(self, batch: Batch) -> Painted:
        return self._objective.paint(self.generator, batch.given)

    def _seen(self, batch: Batch, kept: Painted | None) -> Tensor:
        """What the discriminator gets to see: no gradient goes through it."""
        if kept is not None:
            return kept[0].detach()
        with torch.no_grad():
            return self._paint(batch)[0]

    def _learn(self, which: str, costs: Costs) -> Costs:
        """Add the gradients of a batch's cost of this name to those of its step."""
        self._computing.scaler.scale(costs[which] / self.config.accumulation).backward()  # type: ignore[no-untyped-call]
        return {name: cost.detach() for name, cost in costs.items()}

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

    def _checked(self, steps: list[Tensor]) -> np.ndarray:
        costs = torch.stack(steps).double().cpu().numpy()
        finite = np.isfinite(costs).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            step = self.steps - len(costs) + row + 1
            raise Diverged(step, dict(zip(self._objective.names, costs[row].tolist(), strict=True)))
        return np.asarray(costs.sum(axis=0))


def _prefixed(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in state.items()}


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}."): tensor for name, tensor in state.items() if name.startswith(f"{prefix}.")}


def _check_alike(expected: TrainingConfig, found: TrainingConfig, folder: Path) -> None:
    for name in (*ARCHITECTURE, "hints", "frozen", "optimizer"):
        ours, theirs = getattr(expected, name), getattr(found, name)
        if ours != theirs:
            raise checkpoint.CheckpointError(f"Expected {name}={ours!r} in {folder}, found {theirs!r}.")
