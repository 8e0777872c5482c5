"""A trial that outlives its machines: only what goes wrong with the trial itself counts against it."""

from __future__ import annotations

from ray.exceptions import ActorUnavailableError, RayActorError, RayTaskError
from ray.tune.experiment import Trial

from search.running.failures import says_machine_lost


class RetriedTrial(Trial):
    """Is tried again as often as its machine is lost, and after crashes of its own `max_failures` times.

    Ray Tune itself spares a trial only machines that an autoscaler drained in time; one that is switched off, cut off
    or taken without a warning it counts as the trial's own failure.
    """

    machine_lost = False
    """Whether the latest attempt ended with its machine."""

    @classmethod
    def take(cls, trial: Trial, crashes: int = 0) -> None:
        """Make a trial of Ray Tune one of these, in place: Ray Tune makes trials in a way that cannot be told how.

        Args:
            trial: new, not yet begun.
            crashes: of its own in earlier sessions of the run.
        """
        trial.__class__ = cls
        trial.run_metadata.num_failures = crashes

    def handle_error(self, exc: Exception | None = None) -> None:
        """Note that an attempt ended, and count it if it is the trial's own fault."""
        counted = self.run_metadata.num_failures
        super().handle_error(exc)
        self.machine_lost = is_machine_lost(exc)
        if self.machine_lost:
            self.run_metadata.num_failures = counted


def is_machine_lost(error: Exception | None) -> bool:
    """Whether a trial's error says that its machine has gone, or cannot be reached."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, ActorUnavailableError):
        return True
    return isinstance(cause, RayActorError) and (cause.preempted or says_machine_lost(str(cause)))
