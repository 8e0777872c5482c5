"""A search on real machines that go away: `ray up`, `huetune submit`, four faults, and no result lost or counted twice.

The machines are those of `hosts.py`, the bucket is moto's. The tests are the steps of one story, in this order. Faults
strike when the run's own records say so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow.fs
import pytest
from bucket import ACCESS, Bucket
from hosted import HostedCluster
from hosts import SERVICES, Host, missing, until

from search import Results
from search.run_folder import RunFolder

TRIALS, REPORTS = 12, 16
SEARCH = ("--size", "16", "--trials", str(TRIALS), "--reports", str(REPORTS), "--steps", "60")

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(600),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]


@dataclass
class Standing:
    """Where a trial stands, as the journal has it."""

    iteration: int = 0
    checkpoint: int = 0
    node: str | None = None
    starts: int = 0
    ended: bool = False


@dataclass
class Story:
    """The cluster, and the run that all steps are about."""

    cluster: HostedCluster
    bucket: Bucket

    @property
    def run(self) -> str:
        return self.bucket.uri("runs/live")

    def events(self) -> list[dict[str, Any]]:
        folder = RunFolder.open(self.run)
        parts = [path for path in folder.files(folder.journal) if path.endswith(".jsonl")]
        texts = [folder.fs.open_input_stream(part).read().decode() for part in parts]
        return [json.loads(line) for text in texts for line in text.splitlines()]

    def standings(self) -> dict[str, Standing]:
        found: dict[str, Standing] = {}
        for event in self.events():
            trial = found.setdefault(event["trial"], Standing())
            match event["event"]:
                case "start":
                    trial.starts, trial.node = trial.starts + 1, None
                case "report":
                    trial.iteration, trial.node = event["iteration"], event["node"]
                case "checkpoint":
                    trial.checkpoint = event["iteration"]
                case "end":
                    trial.ended = True
        return found

    def log(self) -> str:
        """The end of what the driver has said."""
        return self.cluster.run("huetune", "logs", "live", check=False).stdout[-2000:]

    def under_way(self, host: Host | None = None) -> dict[str, Standing]:
        """Trials with a checkpoint and a good way to go; of one host, or of any."""
        return {
            name: trial
            for name, trial in self.standings().items()
            if not trial.ended and 2 <= trial.checkpoint <= REPORTS // 2
            if trial.node and (host is None or trial.node == host.address)
        }

    def wait_for(self, what: str, holds: Callable[[], bool], seconds: float = 180) -> None:
        assert until(holds, seconds), f"waited {seconds} s for {what}; {self.standings()}; {self.log()}"

    def wait_until_hit(self, host: Host | None = None) -> dict[str, Standing]:
        """Wait for trials in the middle, and say which."""
        self.wait_for(f"trials under way on {host.name if host else 'any host'}", lambda: bool(self.under_way(host)))
        return self.under_way(host)

    def wait_until_they_go_on(self, hit: dict[str, Standing]) -> None:
        """Wait until some of the trials that were hit have begun again and reported."""

        def again() -> bool:
            now = self.standings()
            return any(now[name].starts > then.starts and now[name].node for name, then in hit.items())

        self.wait_for(f"{sorted(hit)} to go on", again)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Three machines that are on, a bucket with a dataset of generated drawings; no Ray yet."""
    folder = tmp_path_factory.mktemp("live")
    with pytest.MonkeyPatch.context() as patch, HostedCluster(folder / "laptop") as cluster:
        for name, value in ACCESS.items():
            patch.setenv(name, value)
        with Bucket(folder / "bucket.log", SERVICES) as bucket:
            drawings, dataset = folder / "drawings", folder / "dataset"
            cluster.run("huetune", "draw", "--count", "60", "--size", "32", "-o", str(drawings))
            pictures, lines = str(drawings / "color"), str(drawings / "line")
            cluster.run("huetune", "prepare", pictures, "--lines", lines, "-o", str(dataset))
            there, path = pyarrow.fs.FileSystem.from_uri(bucket.uri("data"))
            pyarrow.fs.copy_files(str(dataset), path, destination_filesystem=there)
            yield Story(cluster, bucket)


@pytest.fixture(autouse=True)
def in_order(request: pytest.FixtureRequest) -> None:
    """No step makes sense after one that failed."""
    if request.session.testsfailed:
        pytest.skip("a step before this one failed")


def test_a_search_is_submitted_to_a_cluster_that_ray_up_has_made(story: Story) -> None:
    story.cluster.up()
    data, storage = story.bucket.uri("data"), story.bucket.uri("runs")
    command = ("huetune", "submit", "searches/quick.py", "--name", "live", "--storage", storage, "--data", data)
    story.cluster.run(*command, *SEARCH)
    story.wait_until_hit()
    assert story.cluster.run("huetune", "status", "live").stdout.startswith("live: RUNNING")


def test_trials_of_a_machine_without_power_go_on_elsewhere_and_it_comes_back_by_itself(story: Story) -> None:
    worker, other = story.cluster.workers
    hit = story.wait_until_hit(worker)
    worker.power_off()
    story.wait_until_they_go_on(hit)
    worker.power_on()
    story.cluster.wait_for(story.cluster.head, worker, other)


def test_trials_of_a_machine_without_network_go_on_elsewhere_and_it_comes_back_by_itself(story: Story) -> None:
    worker, other = story.cluster.workers
    hit = story.wait_until_hit(other)
    other.cut()
    story.cluster.wait_for(story.cluster.head, worker)
    other.mend()
    story.wait_until_they_go_on(hit)
    story.cluster.wait_for(story.cluster.head, worker, other)


def test_a_run_whose_driver_was_killed_is_resumed_as_a_job(story: Story) -> None:
    hit = story.wait_until_hit()
    drivers = story.cluster.head.processes(r"bin/huetune run ")
    assert drivers
    for driver in drivers:
        driver.kill()
    failed = ("huetune", "status", "live")
    story.wait_for("the job to fail", lambda: "live: FAILED" in story.cluster.run(*failed).stdout)
    story.cluster.run("huetune", "resume", story.run, "--address", story.cluster.address)
    story.wait_until_they_go_on(hit)


def test_a_run_outlives_its_head_and_the_disk_of_it(story: Story) -> None:
    hit = story.wait_until_hit()
    head = story.cluster.head
    head.power_off()
    head.power_on(wiped=True)
    story.cluster.up()
    story.cluster.run("huetune", "resume", story.run, "--address", story.cluster.address)
    story.wait_until_they_go_on(hit)


def test_in_the_end_there_is_what_was_asked_for_and_all_of_it_once(story: Story) -> None:
    said = story.cluster.run("huetune", "logs", "live", "--follow", timeout=500).stdout
    results = Results(story.run)
    trials, reports = results.table(), results.measurements()
    assert results.definition["status"] == "finished", said
    assert len(trials) == TRIALS
    assert set(trials["status"]) == {"finished"}
    assert sorted(trials["number"]) == list(range(1, TRIALS + 1))
    made = reports.groupby("trial_id")["iteration"].agg(list)
    assert set(made.index) == set(trials["trial_id"])
    assert all(iterations == list(range(1, REPORTS + 1)) for iterations in made)
    # What was repeated after a loss is kept by attempt, and none of it twice.
    folder = results.folder
    rows = pd.concat(folder.read_table(part).to_pandas() for part in folder.files(folder.measurements))
    assert not rows.duplicated(["trial_id", "iteration", "attempt"]).any()
    assert {event["event"] for event in story.events()} >= {"start", "report", "checkpoint", "end"}


def test_every_trial_that_was_interrupted_went_on_from_its_checkpoint(story: Story) -> None:
    saved: dict[str, int] = {}
    started_again: dict[str, int] = {}
    went_on = 0
    for event in story.events():
        trial = event["trial"]
        if event["event"] == "start" and saved.get(trial):
            started_again[trial] = saved[trial]
        elif event["event"] == "report" and trial in started_again:
            assert event["iteration"] == started_again.pop(trial) + 1, trial
            went_on += 1
        elif event["event"] == "checkpoint":
            saved[trial] = event["iteration"]
    assert went_on >= 4  # one a fault at least


def test_the_laptop_builds_ensemble_and_report_from_the_bucket(story: Story) -> None:
    story.cluster.run("huetune", "ensemble", story.run, "--top", "3", "--methods", "mean,simplex")
    story.cluster.run("huetune", "report", story.run)
    folder = Results(story.run).folder
    with folder.fs.open_input_stream(folder.report) as page:
        assert b"<html" in page.read(2000)
    assert Results(story.run).ensemble_scores() is not None


def test_ray_down_leaves_no_process_on_any_machine(story: Story) -> None:
    story.cluster.down()
    hosts = (story.cluster.head, *story.cluster.workers)

    def left() -> list[str]:
        return [process.command for host in hosts for process in host.processes("ray|python|huetune ")]

    assert until(lambda: not left(), 240), left()
