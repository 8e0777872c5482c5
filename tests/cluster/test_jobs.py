"""Runs as jobs of a real Ray cluster that wants a token, their results in a bucket that speaks S3."""

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import rmtree
from urllib.parse import quote

import pytest
import requests
from typer.testing import CliRunner

from search.cli import app
from search.cluster.jobs import Jobs
from search.errors import RunError
from search.results import Results

BIN = Path(sys.executable).parent
ACCESS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true"}
NOBODY = "http://127.0.0.1:9"

DEFINITION = """
from ray import tune

from counting import Counter  # a module that travels as well
from search import Random, Search


def search(trials: int = 2, reports: int = 2, pause: float = 0.0, data: str = "s3://bucket/data") -> Search:
    if data == "broken":
        raise ValueError("no such data")
    return Search(
        trainable=Counter,
        space={"x": tune.uniform(0, 1), "pause": pause},
        metric="loss",
        mode="min",
        trials=trials,
        iterations=reports,
        method=Random(),
        concurrent=1,
    )
"""

COUNTING = """
import json
import time
from pathlib import Path

from ray import tune


class Counter(tune.Trainable):
    def setup(self, config):
        self.x, self.pause, self.count = config["x"], config["pause"], 0

    def step(self):
        time.sleep(self.pause)
        self.count += 1
        return {"loss": self.x, "count": self.count}

    def save_checkpoint(self, folder):
        Path(folder, "count.json").write_text(json.dumps(self.count))

    def load_checkpoint(self, folder):
        self.count = json.loads(Path(folder, "count.json").read_text())
"""


@dataclass(frozen=True)
class Head:
    """A cluster of one machine, and what its user has."""

    url: str
    token: Path
    storage: str
    project: Path

    def huetune(self, *arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
        """A command as its user gives it, with the token at hand if `env` says nothing else."""
        command, settings = self.command(*arguments, **env)
        return subprocess.run(
            command, env=settings, cwd=self.project, capture_output=True, text=True, timeout=200, check=False
        )

    def command(self, *arguments: object, **env: str) -> tuple[list[str], dict[str, str]]:
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token)}
        # What is set only for Ray's own client must not lead ours astray.
        settings = clean_environment() | {"RAY_ADDRESS": NOBODY, "RAY_API_SERVER_ADDRESS": self.url} | token | env
        return [str(BIN / "huetune"), *map(str, arguments)], settings

    def address(self, name: str) -> str:
        return self.storage.replace("/runs?", f"/runs/{name}?")

    def jobs(self) -> list[dict[str, object]]:
        """What Ray itself says of its jobs."""
        bearer = {"Authorization": f"Bearer {self.token.read_text()}"}
        return list(requests.get(f"{self.url}/api/jobs/", headers=bearer, timeout=30).json())

    def post(self, entrypoint: str, **metadata: str) -> str:
        """A job that huetune did not send, though it may bear its marks."""
        answer = requests.post(
            f"{self.url}/api/jobs/",
            headers={"Authorization": f"Bearer {self.token.read_text()}"},
            json={"entrypoint": entrypoint, "metadata": {f"huetune.{name}": text for name, text in metadata.items()}},
            timeout=30,
        )
        return str(answer.json()["submission_id"])


def clean_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "AWS_"))}
    return kept | ACCESS | {"PATH": f"{BIN}:{kept.get('PATH', '')}", "COLUMNS": "300"}


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at, outside of those that Ray gives its workers."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    requests.put(f"http://127.0.0.1:{port}/bucket", timeout=30).raise_for_status()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ACCESS.items():
            patch.setenv(name, value)
        yield f"s3://bucket/runs?endpoint_override={quote(f'http://127.0.0.1:{port}', safe='')}&scheme=http"
    server.stop()


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory, storage: str) -> Iterator[Head]:
    folder = tmp_path_factory.mktemp("head")
    token, project = folder / "token", folder / "project"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    project.mkdir()
    (project / "tiny.py").write_text(DEFINITION)
    (project / "counting.py").write_text(COUNTING)
    gcs, dashboard, agent, client = free_ports(4)
    scratch = tempfile.mkdtemp(prefix="r")  # a path that leaves room for Ray's sockets
    command = [BIN / "ray", "start", "--head", "--block", "--num-cpus=2", "--object-store-memory=100000000"]
    command += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", f"--temp-dir={scratch}"]
    command += [f"--port={gcs}", f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"]
    command += [f"--ray-client-server-port={client}", "--min-worker-port=0", "--max-worker-port=0"]
    settings = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0"}
    with (folder / "head.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=clean_environment() | settings, start_new_session=True
        )
    head = Head(f"http://127.0.0.1:{dashboard}", token, storage, project)
    try:
        wait_for(lambda: process.poll() is None and head_is_ready(head), (folder / "head.log").read_text)
        yield head
    finally:
        process.terminate()  # takes what it started with it
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        rmtree(scratch, ignore_errors=True)


def head_is_ready(head: Head) -> bool:
    """Whether it takes jobs: its agent comes a while after its dashboard."""
    try:
        return bool(head.post("true"))
    except (requests.RequestException, KeyError, ValueError):
        return False


def wait_for(condition: Callable[[], object], explain: Callable[[], str], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, explain()
        time.sleep(0.3)


def is_refused(ran: subprocess.CompletedProcess[str], *words: str) -> None:
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    for word in words:
        assert word in ran.stderr, ran.stderr


def counts(address: str) -> tuple[dict[str, int], int, int]:
    """Trials by status; measurements, and different ones among them."""
    found = Results(address)
    measured = found.measurements()
    different = measured[["trial_id", "iteration"]].drop_duplicates()
    return found.table()["status"].value_counts().to_dict(), len(measured), len(different)


def test_a_search_is_sent_and_its_results_are_read_from_the_bucket(head: Head) -> None:
    options = ("tiny.py", "--name", "first", "--storage", head.storage)
    sent = head.huetune("submit", *options, "--trials", 3, "--follow")
    assert sent.returncode == 0, sent.stdout + sent.stderr
    assert "sending 2 files, " in sent.stderr
    assert "3/3 trials done" in sent.stdout
    assert "SUCCEEDED" in sent.stderr
    assert counts(head.address("first")) == ({"finished": 3}, 6, 6)

    (row,) = [line.split() for line in head.huetune("list").stdout.splitlines() if "first" in line]
    assert row[0] == "first"
    assert re.fullmatch(r"first-[0-9a-f]{6}", row[1])
    assert row[2] == "SUCCEEDED"
    assert row[-1] == head.address("first")
    told = head.huetune("status", row[1]).stdout
    assert "first: SUCCEEDED, " in told
    assert "finished, 3 of 3 trials ended, 0 under way, best loss 0." in told
    assert "3/3 trials done" in head.huetune("logs", "first").stdout

    before = len(head.jobs())
    is_refused(head.huetune("submit", *options), "first", "exists, and no run is ever overwritten", "--name")
    assert len(head.jobs()) == before


def test_a_run_is_stopped_gently_and_goes_on_with_exact_counts(head: Head) -> None:
    address = head.address("gentle")
    sent = head.huetune(
        "submit", "tiny.py", "--name=gentle", "--storage", head.storage, "--trials=2", "--reports=4", "--pause=5"
    )
    assert sent.returncode == 0, sent.stderr
    assert "huetune logs gentle-" in sent.stdout
    wait_for(lambda: has_reported(address), lambda: head.huetune("logs", "gentle").stdout)
    assert "gentle: RUNNING" in head.huetune("status", "gentle").stdout
    is_refused(head.huetune("resume", address, "--address", head.url), "is under way", "huetune stop gentle-")
    is_refused(head.huetune("submit", "tiny.py", "--name=gentle", "--storage", head.storage), "is at work on")

    stopped = head.huetune("stop", "gentle")
    assert stopped.returncode == 0, stopped.stderr
    assert "its trials go on to their next reports and are saved" in stopped.stderr
    assert "STOPPED" in stopped.stdout
    assert "interrupted" in stopped.stdout
    assert "huetune resume 's3://" in stopped.stdout
    assert Results(address).definition["status"] == "interrupted"
    before = len(Results(address).measurements())
    assert 0 < before < 8
    again = head.huetune("stop", "gentle")
    assert again.returncode == 0
    assert "has ended before: STOPPED" in again.stderr

    resumed = head.huetune("resume", address, "--address", head.url, "--follow")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert counts(address) == ({"finished": 2}, 8, 8)
    # The trial that was stopped went on from its checkpoint: it counted on.
    assert sorted(Results(address).measurements()["count"]) == [1, 1, 2, 2, 3, 3, 4, 4]

    extended = head.huetune("extend", address, "--trials", 1, "--address", head.url, "--follow")
    assert extended.returncode == 0, extended.stdout + extended.stderr
    assert counts(address) == ({"finished": 3}, 12, 12)
    assert len([job for job in head.jobs() if (job["metadata"] or {}).get("huetune.run") == "gentle"]) == 3


def has_reported(address: str) -> bool:
    try:
        return not Results(address).measurements().empty
    except RunError:
        return False


def test_a_laptop_that_is_closed_changes_nothing_and_a_run_can_be_ended_at_once(head: Head) -> None:
    options = ("--name=long", "--storage", head.storage, "--pause=3600")
    command, env = head.command("submit", "tiny.py", *options, "--follow")
    with subprocess.Popen(command, env=env, cwd=head.project, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as laptop:
        assert laptop.stdout is not None
        said = b""
        while b"Running entrypoint" not in said:
            said += laptop.stdout.readline()
        laptop.send_signal(signal.SIGINT)
        _, told = laptop.communicate(timeout=60)
    assert laptop.returncode == 130, told.decode()
    assert b"the job goes on" in told
    wait_for(
        lambda: "1 under way" in head.huetune("status", "long").stdout, lambda: head.huetune("logs", "long").stdout
    )

    stopped = head.huetune("stop", "long", "--now")
    assert stopped.returncode == 0, stopped.stderr
    assert "STOPPED" in stopped.stdout
    assert counts(head.address("long")) == ({"interrupted": 1}, 0, 0)
    assert Results(head.address("long")).definition["status"] == "interrupted"
    assert "kill" not in head.huetune("list", "--all").stdout


def test_a_job_that_fails_is_told_with_its_last_words_and_what_to_do(head: Head) -> None:
    sent = head.huetune("submit", "tiny.py", "--name=broken", "--storage", head.storage, "--data=broken", "--follow")
    assert sent.returncode == 1
    assert "FAILED" in sent.stderr
    assert "ValueError: no such data" in sent.stdout
    told = head.huetune("status", "broken").stdout
    assert "broken: FAILED" in told
    assert "nothing yet" in told
    assert "ValueError: no such data" in told
    assert "next: correct it, and submit it again" in told


def test_jobs_of_others_are_listed_on_demand_and_names_can_be_ambiguous(head: Head) -> None:
    stranger = head.post("echo hello from elsewhere")
    twins = [head.post("sleep 600", run="twin", address=f"s3://bucket/{n}/twin") for n in range(2)]
    shown = head.huetune("list").stdout
    assert stranger not in shown
    assert all(twin in shown for twin in twins)
    assert "hello from elsewhere" in head.huetune("list", "--all").stdout
    is_refused(head.huetune("stop", "twin"), "found 2", *twins)
    assert "STOPPED" in head.huetune("stop", twins[0]).stdout
    assert f"job {twins[1]}: STOPPED" in head.huetune("stop", "twin").stdout
    is_refused(head.huetune("status", "absent"), "got 'absent'", "twin", "huetune resume RUN")


def test_without_the_token_nothing_is_submitted(head: Head, tmp_path: Path) -> None:
    options = ("submit", "tiny.py", "--name=secret", "--storage", head.storage)
    before = head.jobs()
    without = head.huetune(*options, RAY_AUTH_MODE="disabled")
    is_refused(without, "wants a token, and none was sent", "export RAY_AUTH_MODE=token")
    none = head.huetune(*options, RAY_AUTH_TOKEN_PATH="", HOME=str(tmp_path))
    is_refused(none, "wants a token, and there is none here", "auth_token")
    wrong = head.huetune(*options, RAY_AUTH_TOKEN="wrong")
    is_refused(wrong, "has another token than this machine", "RAY_AUTH_TOKEN_PATH")
    is_refused(head.huetune("list", RAY_AUTH_TOKEN="wrong"), "has another token")
    assert [job["submission_id"] for job in head.jobs()] == [job["submission_id"] for job in before]
    with pytest.raises(RunError):
        Results(head.address("secret"))


def test_a_token_that_travels_in_the_open_is_warned_of(head: Head) -> None:
    in_the_open = head.huetune("list", "--address", head.url.replace("127.0.0.1", "0.0.0.0"))
    assert in_the_open.returncode == 0
    assert "unencrypted" in in_the_open.stderr
    assert "ray dashboard cluster.yaml" in in_the_open.stderr
    assert head.huetune("list").stderr == ""


def test_following_goes_on_where_a_connection_was_cut(head: Head) -> None:
    job = head.post("for i in $(seq 8); do echo line $i; sleep 1; done", run="cut", address="s3://bucket/x/cut")
    with cuttable(head.url) as (url, cut):
        command, env = head.command("logs", job, "--follow", "--address", url)
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as following:
            assert following.stdout is not None
            said = ""
            while "line 2" not in said:
                said += following.stdout.readline()
            cut()
            said += following.communicate(timeout=60)[0]
    assert following.returncode == 0
    assert [line for line in said.splitlines() if line.startswith("line")] == [f"line {n}" for n in range(1, 9)]


@contextmanager
def cuttable(url: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """Another address for a server, and a way to cut all its connections; new ones may follow."""
    host, port = url.removeprefix("http://").split(":")
    door = socket.create_server(("127.0.0.1", 0))
    lines: list[socket.socket] = []

    def pass_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(piece)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                near, _ = door.accept()
                far = socket.create_connection((host, int(port)))
                lines.extend((near, far))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=pass_on, args=ends, daemon=True).start()

    def cut() -> None:
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{door.getsockname()[1]}", cut
    finally:
        door.shutdown(socket.SHUT_RDWR)
        cut()
        for one in (door, *lines):
            one.close()


@contextmanager
def answering(status: int, body: str) -> Iterator[int]:
    """A server at all addresses of this machine that gives one answer; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("0.0.0.0", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, "not found", "Expected the dashboard of a Ray cluster .*got another answer: 404 Not Found"),
        (200, "<html>a page</html>", "got another answer: 200 OK"),
        (200, "[]", "got another answer: 200 OK"),
        (200, '{"ray_version": "next"}', "got another answer: Ray 'next'"),
        (200, '{"ray_version": "2.40.0"}', "Expected Ray 2.52 or later .*found 2.40.0.*constraints.txt"),
    ],
)
def test_whoever_else_answers_is_told(status: int, body: str, words: str) -> None:
    with answering(status, body) as port, pytest.raises(RunError, match=words):
        Jobs.connect(f"http://127.0.0.1:{port}/")


def test_an_open_cluster_is_warned_of_where_others_can_reach_it() -> None:
    import ray

    with answering(200, json.dumps({"ray_version": ray.__version__})) as port:
        assert Jobs.connect(f"http://127.0.0.1:{port}").warnings == ()
        assert Jobs.connect(f"http://localhost:{port}").warnings == ()
        (warning,) = Jobs.connect(f"http://0.0.0.0:{port}").warnings
    assert "asks for no token" in warning
    with answering(200, '{"ray_version": "2.53.1"}') as port:
        (warning,) = Jobs.connect(f"http://127.0.0.1:{port}").warnings
    assert f"The cluster has Ray 2.53.1, this machine {ray.__version__}" in warning


@pytest.mark.parametrize("url", ["127.0.0.1:8265", "ray://127.0.0.1:10001", "auto", ""])
def test_an_address_that_is_no_dashboard_is_refused(url: str) -> None:
    with pytest.raises(RunError, match="Expected --address to be that of the cluster's dashboard"):
        Jobs.connect(url)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "tiny.py").write_text(DEFINITION)
    (folder / "counting.py").write_text(COUNTING)
    (folder / "broken.py").write_text("from search import Search\nsearch = Search(\n")
    (folder / "fails.py").write_text("import search\nsearch = 1 / 0\n")
    (folder / "hidden.py").write_text(DEFINITION)
    (folder / "taken.py").write_text("def search(follow: int): ...")
    (folder / ".rayignore").write_text("hidden.py\n")
    (tmp_path / "outside.py").write_text(DEFINITION)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tiny.py",), "Expected --storage, got none"),
        (("tiny.py", "--storage", "runs"), "on the disk of this one"),
        (("tiny.py", "--storage", "/mnt/runs", "--shared", "mnt"), "Expected --shared to be an absolute path"),
        (("tiny.py", "--storage", "s3://b/runs", "--data", "data"), "Expected --data to name what all machines"),
        (("../outside.py", "--storage", "s3://b/runs"), "Expected FILE to lie in the folder that travels"),
        (("absent.py", "--storage", "s3://b/runs"), "found none at"),
        (("broken.py", "--storage", "s3://b/runs"), "line 2"),
        (("fails.py", "--storage", "s3://b/runs"), "fails.py, line 2: ZeroDivisionError"),
        (("hidden.py", "--storage", "s3://b/runs"), "Expected hidden.py to travel"),
        (("taken.py", "--storage", "s3://b/runs"), "`huetune submit` has options of these names"),
        (("tiny.py", "--storage", "s3://b/runs", "--scale", "3"), "No such option: --scale"),
        (("tiny.py", "--storage", "s3://b/runs"), "Nobody answers at http://127.0.0.1:9"),
    ],
)
def test_what_cannot_work_is_refused_before_anybody_is_asked(
    project: Path, arguments: tuple[str, ...], words: str
) -> None:
    ran = CliRunner().invoke(app, ["submit", *arguments, "--address", NOBODY])
    assert ran.exit_code in (1, 2), ran.output
    assert words in ran.output


def test_a_bucket_that_is_missing_is_refused(head: Head) -> None:
    before = len(head.jobs())
    missing = head.huetune("submit", "tiny.py", "--name=x", "--storage", head.storage.replace("bucket", "another"))
    is_refused(missing, "Expected a bucket at", "found none of that name")
    unknown = head.huetune("submit", "tiny.py", "--name=x", "--storage", "ftp://bucket/runs")
    is_refused(unknown, "Expected an address such as s3://bucket/runs, got 'ftp://bucket/runs/x'")
    assert len(head.jobs()) == before


def test_the_help_of_submit_shows_the_options_of_the_definition(project: Path) -> None:
    shown = CliRunner().invoke(app, ["submit", "tiny.py", "--help"]).output
    assert "--storage" in shown
    assert "--pause" in shown
    assert CliRunner().invoke(app, ["submit"]).exit_code == 2


def test_a_run_on_this_disk_is_not_resumed_elsewhere(project: Path) -> None:
    refused = CliRunner().invoke(app, ["resume", "runs/quick", "--address", NOBODY])
    assert refused.exit_code == 1
    assert "Expected RUN to lie where all machines of the cluster reach it, got 'runs/quick'" in refused.output
