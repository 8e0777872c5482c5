"""What a run cost, and what early stopping did not spend."""

import math
from dataclasses import dataclass

import pandas as pd

from search.report.tables.snapshot import STATUSES, Snapshot, moment

OWN_LENGTH = "config.training_iteration"


@dataclass(frozen=True)
class Costs:
    """What a run cost. Hours of trials add up over trials that ran side by side.

    Attributes:
        device: what is paid for: the GPUs of a run that has any, else the processors.
        device_seconds: how long how much of it was occupied: half a GPU for two hours is an hour.
        device_seconds_saved: the same of the iterations that trials which were stopped did not run.
    """

    trials: int
    finished: int
    stopped: int
    failed: int
    running: int
    interrupted: int
    out_of_memory: int
    wall_seconds: float
    trial_seconds: float
    gpu_seconds: float
    device: str
    device_seconds: float
    device_seconds_saved: float
    iterations_run: int
    iterations_saved: int
    seconds_saved: float

    @property
    def share_saved(self) -> float:
        """The part of all iterations that early stopping saved, 0 to 1; NaN before the first."""
        full = self.iterations_run + self.iterations_saved
        return self.iterations_saved / full if full else math.nan


def costs(snap: Snapshot) -> Costs:
    """What was spent, and what early stopping did not spend."""
    trials = snap.trials
    by_status = {status: int((trials["status"] == status).sum()) for status in STATUSES}
    seconds = trials["seconds"].fillna(0.0)
    gpus = trials["resources.gpu"].fillna(0.0)
    has_gpus = bool((gpus > 0).any())
    occupied = gpus if has_gpus else trials["resources.cpu"].fillna(1.0)  # older runs do not say: a trial takes one
    saved, saved_seconds = _saved(snap)
    return Costs(
        trials=len(trials),
        **by_status,
        out_of_memory=int(trials["out_of_memory"].sum()),
        wall_seconds=_wall_seconds(snap),
        trial_seconds=float(seconds.sum()),
        gpu_seconds=float((seconds * gpus).sum()),
        device="GPU" if has_gpus else "CPU",
        device_seconds=float((seconds * occupied).sum()),
        device_seconds_saved=float((saved_seconds * occupied).sum()),
        iterations_run=int(trials["iterations"].sum()),
        iterations_saved=int(saved.sum()),
        seconds_saved=float(saved_seconds.sum()),
    )


def _saved(snap: Snapshot) -> tuple[pd.Series, pd.Series]:
    """Iterations that each trial which was stopped did not run, and the seconds they would have taken at its pace."""
    stopped = snap.trials[snap.trials["status"] == "stopped"]
    full = snap.definition.get("iterations") or snap.trials["iterations"].max()
    planned = pd.Series(float(full) if full and math.isfinite(full) else 0.0, stopped.index)
    if OWN_LENGTH in stopped:  # a stage may have given its trials fewer
        planned = pd.to_numeric(stopped[OWN_LENGTH], errors="coerce").fillna(planned)
    saved = (planned - stopped["iterations"]).clip(lower=0)
    pace = stopped["seconds"] / stopped["iterations"].where(stopped["iterations"] > 0)
    return saved, saved * pace


def _wall_seconds(snap: Snapshot) -> float:
    sessions = snap.definition.get("sessions") or [snap.definition]
    earlier = [(moment(s["started"]), moment(s["ended"])) for s in sessions[:-1]]
    before = sum((ended - began).total_seconds() for began, ended in earlier if began and ended)
    started, ended = moment(sessions[-1].get("started")), moment(sessions[-1].get("ended"))
    if ended is None:
        seen = [moment(value) for value in snap.trials["ended"]]
        if "time" in snap.measurements and len(snap.measurements):
            seen.append(moment(snap.measurements["time"].max()))
        ended = max((at for at in seen if at is not None), default=None)
    span = (ended - started).total_seconds() if started and ended else math.nan
    return before + span if span >= 0 else math.nan
