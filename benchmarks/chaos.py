"""What kills cost: short searches on three machines, one kill in each, and every step of every trial accounted for.

The machines, the cluster and the bucket are those of the tests (tests/cluster): Linux namespaces, `ray up`, a token,
runs in moto's S3. Each round is a search of its own. At a random moment, once it has begun, something is killed: its
driver, the process of a trial, Ray on a worker, a worker, the head; or the network of a worker is cut for a while, or
the bucket falls silent. Then the search is brought to its end, by `huetune resume` where its driver is gone, and
counted: trials and reports that are missing (lost), that are there twice (duplicated), or that hold another value than
an undisturbed trial would have reported (wrong); steps that were made more than once; and seconds more than the median
search that nothing disturbs, of which there is one in every ten rounds, and two before them. Needs root.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from harness import Row, finish, interval

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/cluster"))
from bucket import ACCESS, Bucket
from chaos_search import REPORTS
from hosted import HostedCluster
from hosts import REPOSITORY, SERVICES, Host, missing

from search import Results
from search.run_folder import RunFolder

TRIALS = 8
# What is killed, and how often beside the others.
KINDS = {
    "driver": 5,
    "process of a trial": 4,
    "Ray on a worker": 4,
    "worker": 3,
    "network of a worker": 2,
    "bucket": 1,
    "head": 1,
}
AWAY_SECONDS = 10.0  # long enough for Ray to give a worker up
UNDISTURBED = "nothing"
# Of what dies as a process: its command line.
KILLED = {
    "driver": r"bin/huetune (run|resume) ",
    "process of a trial": r"^ray::Counting",
    "Ray on a worker": r"raylet/raylet ",
}


@dataclass
class Round:
    """One search, and what was left of it."""

    killed: str
    seconds: float
    hit: bool
    resumed: int
    finished: int
    lost: int
    duplicated: int
    wrong: int
    repeated: int


@dataclass
class Chaos:
    """The cluster, and dice."""

    cluster: HostedCluster
    bucket: Bucket
    dice: random.Random
    logs: Path
    undisturbed: list[float] = field(default_factory=list)
    count: int = 0

    def round(self, kind: str) -> Round:
        """A search with a kill of this kind, to its end."""
        self.cluster.wait_for(self.cluster.head, *self.cluster.workers, seconds=240)
        self.count += 1
        name, steps = f"{self.count:04d}", self.logs / f"{self.count:04d}.txt"
        run = self.bucket.uri(f"runs/{name}")
        begin = ["run", "benchmarks/chaos_search.py", "--name", name, "--storage", self.bucket.uri("runs")]
        begin += ["--log", str(steps), "--trials", str(TRIALS), "--seed", str(self.count)]
        began = time.monotonic()
        driver = self.drive(begin)
        hit, after = False, _nothing
        if kind != UNDISTURBED and at_work(driver, self.dice.uniform(*self.moments())):
            hit, after = self.strike(kind)
        resumed = 0
        while driver.wait() != 0:
            if resumed == 5:
                raise RuntimeError(f"Round {name} ({kind}) does not come to its end: {self.said(name)}")
            resumed += 1
            after()
            after = _nothing
            # Killed before there was a run, the driver is simply started again.
            driver = self.drive(["resume", run] if has_begun(run) else begin)
        seconds = time.monotonic() - began
        after()
        accounted = Round(kind, seconds, hit, resumed, **account(run, steps))
        if accounted.lost or accounted.duplicated or accounted.wrong:
            print(f"{name}: {left(run)}\n{self.said(name)}", file=sys.stderr, flush=True)
        return accounted

    def moments(self) -> tuple[float, float]:
        """Between which seconds of a search to kill: from when its trials begin, more or less, to its end."""
        usual = statistics.median(self.undisturbed)
        return usual / 3, usual

    def strike(self, kind: str) -> tuple[bool, Callable[[], None]]:
        """Kill; whether there was anything to kill, and what is to be done before the search can go on."""
        head, workers = self.cluster.head, self.dice.sample(self.cluster.workers, 2)
        worker, after = workers[0], _nothing
        match kind:
            case "worker":
                worker.power_off()
                worker.power_on()
            case "network of a worker":
                worker.cut()
                time.sleep(AWAY_SECONDS)
                worker.mend()
            case "bucket":
                self.bucket.fall_silent()
                time.sleep(AWAY_SECONDS)
                self.bucket.speak_again()
            case "head":
                head.power_off()
                after = self.bring_back
            case _:
                return any(kill(host, KILLED[kind]) for host in ([head] if kind == "driver" else workers)), after
        return True, after

    def bring_back(self) -> None:
        """The head, on a disk that knows nothing."""
        self.cluster.head.power_on(wiped=True)
        self.cluster.up()

    def drive(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a driver on the head; it ends with the connection at the latest."""
        head, words = self.cluster.head, shlex.join(["huetune", *command])
        alive = ("-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=3")
        with (self.logs / f"{self.count:04d}.log").open("ab") as log:
            return subprocess.Popen(
                ["ssh", *alive, *head.ssh_options, f"root@{head.address}", f"cd {REPOSITORY} && {words}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def said(self, name: str) -> str:
        """What the drivers of a round said last."""
        return (self.logs / f"{name}.log").read_text(errors="replace")[-3000:]


def account(run: str, steps: Path) -> dict[str, int]:
    """Finished trials, what is lost, duplicated and wrong, and steps that were made more than once."""
    results = Results(run)
    trials, reports = results.table(), results.measurements()
    folder = results.folder
    rows = pd.concat(folder.read_table(part).to_pandas() for part in folder.files(folder.measurements))
    finished = trials[trials["status"] == "finished"]
    wanted = {(trial, step) for trial in finished["trial_id"] for step in range(1, REPORTS + 1)}
    found = Counter(zip(reports["trial_id"], reports["iteration"], strict=True))
    lost = TRIALS - finished["trial_id"].nunique() + len(wanted - found.keys())
    twice = len(trials) - trials["trial_id"].nunique() + max(0, len(trials) - TRIALS)
    twice += sum(times - 1 for times in found.values())
    twice += int(rows.duplicated(["trial_id", "iteration", "attempt"]).sum())
    x = reports["trial_id"].map(trials.set_index("trial_id")["config.x"])
    wrong = int((~np.isclose(reports["loss"], x * reports["iteration"])).sum())
    made = len(steps.read_text().splitlines())
    return {
        "finished": len(finished),
        "lost": lost,
        "duplicated": twice,
        "wrong": wrong,
        "repeated": made - TRIALS * REPORTS,
    }


def left(run: str) -> str:
    """How the trials that have not finished stand, and why."""
    trials = Results(run).table()
    told = ["number", "status", "history", "error"]
    return trials.loc[trials["status"] != "finished", told].to_json(orient="records")


def has_begun(run: str) -> bool:
    """Whether there is a run to go on with."""
    folder = RunFolder.open(run)
    return folder.exists(folder.definition)


def at_work(driver: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for the moment; whether the driver still is at work then."""
    try:
        driver.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def kill(host: Host, pattern: str) -> bool:
    """Kill one process of a kind; whether there was one."""
    found = host.processes(pattern)
    for process in found[:1]:
        process.kill()
    return bool(found)


def _nothing() -> None:
    pass


def row(kind: str, rounds: list[Round], undisturbed: float) -> Row:
    """All rounds of a kind."""
    lost = [one.seconds - undisturbed for one in rounds if one.hit]
    low, high = interval(lost, np.median) if lost else (None, None)
    return {
        "killed": kind,
        "rounds": len(rounds),
        "hit": sum(one.hit for one in rounds),
        "trials": TRIALS * len(rounds),
        "finished": sum(one.finished for one in rounds),
        "lost": sum(one.lost for one in rounds),
        "duplicated": sum(one.duplicated for one in rounds),
        "wrong": sum(one.wrong for one in rounds),
        "resumed": sum(one.resumed for one in rounds),
        "steps_repeated": sum(one.repeated for one in rounds),
        "seconds_lost": statistics.median(lost) if lost else None,
        "seconds_lost_interval": [low, high],
        "seconds_lost_worst": max(lost, default=None),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=100, help="searches with a kill each")
    parser.add_argument("--seed", type=int, default=0, help="of kinds, moments and machines")
    parser.add_argument("--quick", action="store_true", help="one round of each kind")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    options = parser.parse_args()
    if why := missing():
        raise SystemExit(f"Expected a machine that can be several: {why}.")
    os.environ |= ACCESS
    dice = random.Random(options.seed)
    kinds = list(KINDS) if options.quick else dice.choices(list(KINDS), list(KINDS.values()), k=options.rounds)
    rounds: list[Round] = []
    # Where hosts see it, which have a home and a temporary folder of their own.
    place = Path(tempfile.mkdtemp(prefix="chaos-", dir="/var/tmp"))
    try:
        with HostedCluster(place / "laptop") as cluster, Bucket(place / "bucket.log", SERVICES) as bucket:
            cluster.up()
            chaos = Chaos(cluster, bucket, dice, place)
            with suppress(KeyboardInterrupt):  # what was measured until then counts
                for number, kind in enumerate(kinds):
                    while len(chaos.undisturbed) < 2 + number // 10:
                        rounds.append(chaos.round(UNDISTURBED))
                        chaos.undisturbed.append(rounds[-1].seconds)
                    rounds.append(chaos.round(kind))
                    print(f"{number + 1} of {len(kinds)}: {rounds[-1]}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    median = statistics.median(chaos.undisturbed)
    rows = [row(kind, [one for one in rounds if one.killed == kind], median) for kind in (UNDISTURBED, *KINDS)]
    lost = [one.seconds - median for one in rounds if one.hit]
    summary = {
        "rounds": len(rounds) - len(chaos.undisturbed),
        "seed": options.seed,
        "lost": sum(one.lost for one in rounds),
        "duplicated": sum(one.duplicated for one in rounds),
        "wrong": sum(one.wrong for one in rounds),
        "undisturbed_seconds": median,
        "median_seconds_lost": statistics.median(lost),
    }
    finish(options, rows, summary)


if __name__ == "__main__":
    main()
