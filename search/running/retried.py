"""A trial that outlives its machines: only what goes wrong with the trial itself counts against it."""

from __future__ import annotations

from collections.abc import Sequence

from ray.exceptions import ActorUnavailableError, RayActorError, RayTaskError
from ray.train._internal.session import _TrainingResult
from ray.tune.experiment import Trial
from ray.tune.result import TRAINING_ITERATION

from search.running.failures import in_short, says_disk_full, says_machine_lost, says_out_of_memory


class RetriedTrial(Trial):
    """Is tried again as often as its machine is lost, and after crashes of its own `max_failures` times.

    A checkpoint that cannot be loaded is no crash either: the trial goes on from the one before, or begins again.

    Ray Tune itself spares a trial only machines that an autoscaler drained in time; one that is switched off, cut off
    or taken without a warning it counts as the trial's own failure.
    """

    excuse: str | None = None
    """Why the end of the latest attempt does not count against the trial; None where it does."""

    _earlier_checkpoints: tuple[_TrainingResult, ...] = ()

    disk_full = False
    """Whether the latest attempt found no room on a disk."""

    @classmethod
    def take(cls, trial: Trial, crashes: int = 0, earlier: Sequence[_TrainingResult] = ()) -> None:
        """Make a trial of Ray Tune one of these, in place: Ray Tune makes trials in a way that cannot be told how.

        Args:
            trial: new, not yet begun.
            crashes: of its own in earlier sessions of the run.
            earlier: what it can go on from where the checkpoint that it is to go on from cannot be loaded, latest
                first.
        """
        trial.__class__ = cls
        trial.run_metadata.num_failures = crashes
        trial._earlier_checkpoints = tuple(earlier)

    def get_json_state(self) -> tuple[str, str]:
        """Nothing for Ray Tune's own state of the run, which nobody reads: some 12 KB a trial, and long to make."""
        return "{}", "{}"

    def handle_error(self, exc: Exception | None = None) -> None:
        """Note that an attempt ended, and count it if it is the trial's own fault."""
        counted = self.run_metadata.num_failures
        super().handle_error(exc)
        self.disk_full = says_disk_full(str(exc))
        self.excuse = "its machine went away" if is_machine_lost(exc) else self._go_back(exc)
        if self.excuse:
            self.run_metadata.num_failures = counted

    def _go_back(self, exc: Exception | None) -> str | None:
        """Where a checkpoint could not be loaded: have the trial go on from another, and say so."""
        damaged = self.temporary_state.restoring_from
        # A process that dies, or finds no memory, says nothing of the checkpoint.
        if damaged is None or not isinstance(exc, RayTaskError) or self.disk_full or says_out_of_memory(str(exc)):
            return None
        kept = self.run_metadata.checkpoint_manager
        if damaged is kept.latest_checkpoint_result:
            kept._checkpoint_results = [result for result in kept._checkpoint_results if result is not damaged]
            kept._latest_checkpoint_result = kept._checkpoint_results[-1] if kept._checkpoint_results else None
        else:
            earlier = self._earlier_checkpoints
            self._restore_checkpoint_result, self._earlier_checkpoints = (earlier or (None,))[0], earlier[1:]
        # Ray Tune leaves that as it is where there is no other to restore.
        self.temporary_state.restoring_from = None
        after = damaged.metrics.get(TRAINING_ITERATION)
        return f"its checkpoint after iteration {after} could not be loaded: {in_short(str(exc))}"


def is_machine_lost(error: Exception | None) -> bool:
    """Whether a trial's error says that its machine has gone, or cannot be reached."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, ActorUnavailableError):
        return True
    return isinstance(cause, RayActorError) and (cause.preempted or says_machine_lost(str(cause)))
