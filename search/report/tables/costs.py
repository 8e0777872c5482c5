"""What a run cost, and what early stopping did not spend."""

import math
from dataclasses import dataclass

from search.report.tables.snapshot import STATUSES, Snapshot, moment


@dataclass(frozen=True)
class Costs:
    """What a run cost. Hours of trials add up over trials that ran side by side."""

    trials: int
    finished: int
    stopped: int
    failed: int
    running: int
    interrupted: int
    wall_seconds: float
    trial_seconds: float
    gpu_seconds: float
    iterations_run: int
    iterations_saved: int
    seconds_saved: float


def costs(snap: Snapshot) -> Costs:
    """What was spent, and what early stopping did not spend."""
    trials = snap.trials
    by_status = {status: int((trials["status"] == status).sum()) for status in STATUSES}
    seconds = trials["seconds"].fillna(0.0)
    stopped = trials[trials["status"] == "stopped"]
    full = snap.definition.get("iterations") or trials["iterations"].max()
    full = int(full) if full and math.isfinite(full) else 0
    saved = (full - stopped["iterations"]).clip(lower=0)
    pace = stopped["seconds"] / stopped["iterations"].where(stopped["iterations"] > 0)
    return Costs(
        trials=len(trials),
        **by_status,
        wall_seconds=_wall_seconds(snap),
        trial_seconds=float(seconds.sum()),
        gpu_seconds=float((seconds * trials["resources.gpu"].fillna(0.0)).sum()),
        iterations_run=int(trials["iterations"].sum()),
        iterations_saved=int(saved.sum()),
        seconds_saved=float((saved * pace).sum()),
    )


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
