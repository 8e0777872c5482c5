"""What the length of a search costs: short trials through the whole path on one machine, from 100 to 10,000 of them.

The path is suggestion, Ray Tune, journal, Parquet, results, and going on with a run by one trial more. Each size has
processes of its own: one that runs the search, one that opens its results, and one that extends it. A trial reports
twice and takes no time. Milliseconds a trial are those from the end of the first trial to the end of the run, so that
the start of the cluster does not count and the last write does; `driver_cpu_ms` is what the driver itself computed.
Other rows of the table differ in one thing each: a method that learns, trials that save checkpoints, trials that report
more often, and runs in a bucket (moto's S3 in a process of its own), whose requests are counted.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import ray
from harness import Row, arguments, finish
from ray import tune
from rich.console import Console

from search import Bayesian, Random, Results, Search
from search.runner import resume, run

REPORTS, MANY_REPORTS = 2, 42
SIZES = (100, 300, 1_000, 3_000, 10_000)
OTHERS = {
    "bayesian": (1_000,),
    "saving": (1_000, 3_000),
    "reports": (1_000,),
    "bucket": (100, 1_000),
    "bucket saving": (300,),
}
QUICK_SIZES, QUICK_OTHERS = SIZES[:2], {"saving": (100,), "reports": (100,), "bucket": (100,)}


class Idle(tune.Trainable):
    """Reports twice and learns nothing; can take the next trial in the same actor."""

    def setup(self, config: dict[str, Any]) -> None:
        self.x = config["x"]

    def step(self) -> dict[str, Any]:
        return {"loss": self.x + 1 / (self.iteration + 1)}

    def reset_config(self, config: dict[str, Any]) -> bool:
        self.setup(config)
        return True


class Saving(Idle):
    """The same with a checkpoint after each report."""

    def save_checkpoint(self, folder: str) -> None:
        Path(folder, "x.json").write_text(json.dumps(self.x))

    def load_checkpoint(self, folder: str) -> None:
        self.x = json.loads(Path(folder, "x.json").read_text())


def reports(kind: str) -> int:
    return MANY_REPORTS if kind == "reports" else REPORTS


def search(kind: str, trials: int) -> Search:
    return Search(
        trainable=Saving if "saving" in kind else Idle,
        space={"x": tune.uniform(0, 1), "y": tune.loguniform(1e-4, 1)},
        metric="loss",
        mode="min",
        trials=trials,
        iterations=reports(kind),
        method=Bayesian() if kind == "bayesian" else Random(),
    )


def measure_run(kind: str, trials: int, storage: str) -> Row:
    began, worked = time.time(), time.process_time()
    results = run(search(kind, trials), name="scale", storage=storage, console=Console(quiet=True))
    ended, worked = time.time(), time.process_time() - worked
    first = results.table()["ended"].min().timestamp()
    return {
        "seconds": ended - began,
        "ms_per_trial": 1000 * (ended - first) / (trials - 1),
        "driver_cpu_ms": 1000 * worked / trials,
        "driver_peak_mib": _peak_mib(),
    }


def measure_open(kind: str, trials: int, storage: str) -> Row:
    began = time.perf_counter()
    results = Results(_run_in(storage))
    table, measurements = results.table(), results.measurements()
    seconds = time.perf_counter() - began
    assert len(table) == trials
    assert len(measurements) == reports(kind) * trials
    return {"open_seconds": seconds}


def measure_resume(kind: str, trials: int, storage: str) -> Row:
    began = time.time()
    results = resume(search(kind, trials), _run_in(storage), more=1, console=Console(quiet=True))
    return {"resume_seconds": results.table()["started"].max().timestamp() - began}


def in_a_process(what: str, kind: str, trials: int, storage: str) -> Row:
    """One measurement in a process of its own: the peak of memory is a high-water mark, and files are read cold."""
    environment = {
        **os.environ,
        # Workers that give way to the driver would make it look quick on a machine with few cores.
        "RAY_worker_niceness": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }
    command = [sys.executable, __file__, "--part", what, kind, str(trials), storage]
    said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(json.loads(said.splitlines()[-1]))


def part(what: str, kind: str, trials: int, storage: str) -> Row:
    if what == "open":
        return measure_open(kind, trials, storage)
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as own:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, _temp_dir=own)
        measured = (measure_run if what == "run" else measure_resume)(kind, trials, storage)
        ray.shutdown()
    return measured


def row(kind: str, trials: int) -> Row:
    with tempfile.TemporaryDirectory() as folder, bucket(Path(folder)) if "bucket" in kind else local(folder) as place:
        storage, requests = place
        found = {"kind": kind, "trials": trials, **in_a_process("run", kind, trials, storage)}
        after_run = requests()
        found |= in_a_process("open", kind, trials, storage)
        before_resume = requests()
        found |= in_a_process("resume", kind, trials, storage)
        after_resume = requests()
    found |= {"requests_per_trial": after_run and after_run / trials}
    found |= {"resume_requests": after_resume and after_resume - before_resume}
    print(json.dumps(found), file=sys.stderr)
    return found


@contextmanager
def local(folder: str) -> Iterator[tuple[str, Any]]:
    yield folder, lambda: None


@contextmanager
def bucket(folder: Path) -> Iterator[tuple[str, Any]]:
    """The address of a bucket, and how many requests its server has answered so far."""
    from pyarrow.fs import S3FileSystem

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "requests"
    with log.open("w") as out:
        server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=out, stderr=out)
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.1)
        endpoint = f"http://127.0.0.1:{port}"
        access = {"access_key": "none", "secret_key": "none", "endpoint_override": endpoint}
        S3FileSystem(**access, allow_bucket_creation=True).create_dir("scale")
        requests = re.compile(r'"(GET|PUT|POST|HEAD|DELETE) ')
        address = f"s3://scale/runs?endpoint_override={quote(endpoint, safe='')}&scheme=http"
        yield address, lambda: len(requests.findall(log.read_text()))
    finally:
        server.kill()
        server.wait()


def _run_in(storage: str) -> str:
    place, mark, query = storage.partition("?")
    return f"{place}/scale{mark}{query}"


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    if sys.argv[1:2] == ["--part"]:
        parser = argparse.ArgumentParser()
        parser.add_argument("--part", nargs=4)
        what, kind, trials, storage = parser.parse_args().part
        print(json.dumps(part(what, kind, int(trials), storage)))
        return
    options = arguments(__doc__)
    sizes, others = (QUICK_SIZES, QUICK_OTHERS) if options.quick else (SIZES, OTHERS)
    rows = [row("random", trials) for trials in sizes]
    rows += [row(kind, trials) for kind, several in others.items() for trials in several]
    finish(options, rows, summary(rows))


def summary(rows: list[Row]) -> Row:
    """The longest run, and what it costs a trial over the run of a thousand, or the shortest where it has none."""
    found = {(row["kind"], row["trials"]): row for row in rows}
    sizes = [trials for kind, trials in found if kind == "random"]
    longest, base = found["random", max(sizes)], found["random", 1_000 if 1_000 in sizes else min(sizes)]
    reporting = next(row for row in rows if row["kind"] == "reports")
    as_long = found["random", reporting["trials"]]
    more_ms = reporting["ms_per_trial"] - as_long["ms_per_trial"]
    return {
        f"ms_per_trial_{longest['trials']}": longest["ms_per_trial"],
        "driver_peak_mib": longest["driver_peak_mib"],
        "resume_seconds": longest["resume_seconds"],
        "growth": longest["ms_per_trial"] / base["ms_per_trial"],
        "ms_per_report": more_ms / (MANY_REPORTS - REPORTS),
    }


if __name__ == "__main__":
    main()
