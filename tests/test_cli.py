"""The commands as a user meets them: help that teaches, errors that say what to do, exit codes that are not 0."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from search.cli import add_workload_commands, app

add_workload_commands()


def huetune(*arguments: Any) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(result: Result, *words: str) -> None:
    """The command failed with an explanation, not with a traceback."""
    assert result.exit_code not in (0, None), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    for word in words:
        assert word in result.output, result.output


QUICK = Path(__file__).parents[1] / "searches" / "quick.py"
DEFINITION = """
from ray import tune
from search import Search

def train(config):
    for i in range(2):
        tune.report({"loss": config["x"] * config["scale"]})

def search(scale: float = 1.0, trials: int = 2) -> Search:
    space = {"x": tune.uniform(0, 1), "scale": scale}
    return Search(trainable=train, space=space, metric="loss", mode="min", trials=trials)
"""


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    file = tmp_path / "definition.py"
    file.write_text(DEFINITION)
    return file


def test_the_overview_names_every_command_with_what_it_does() -> None:
    shown = huetune("--help").output
    for command in ("draw", "prepare", "run", "resume", "extend", "results", "ensemble", "report", "colorize"):
        assert command in shown
    assert "turns the best checkpoints into an ensemble" in " ".join(shown.split())


def test_the_overview_comes_without_loading_what_takes_time() -> None:
    code = (
        "import sys; from search.cli import add_workload_commands; add_workload_commands();"
        "heavy = 'ray', 'torch', 'plotly', 'pandas', 'numpy', 'scipy', 'PIL', 'pyarrow';"
        "print([m for m in heavy if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_help_of_run_shows_the_options_of_the_definition(definition: Path) -> None:
    shown = huetune("run", definition, "--help").output
    assert "--storage" in shown
    assert "--scale" in shown
    assert "[default: 2]" in shown


def test_a_run_says_what_it_would_try_before_it_tries_anything(definition: Path, tmp_path: Path) -> None:
    told = huetune("run", definition, "--storage", tmp_path / "runs", "--trials", 7, "--plan")
    assert told.exit_code == 0, told.output
    assert "loss, min: 7 trials at most" in told.output
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("cluster")
def test_a_run_with_options_of_its_definition_and_then_its_results(definition: Path, tmp_path: Path) -> None:
    options = ("--storage", tmp_path / "runs", "--name", "first")
    ran = huetune("run", definition, *options, "--scale", "10", "--trials", 3)
    assert ran.exit_code == 0, ran.output
    assert "next: huetune ensemble" in ran.output
    shown = huetune("results", tmp_path / "runs" / "first")
    assert "3 finished of 3" in shown.output
    refused(huetune("run", definition, *options), "exists, and no run is ever overwritten", "--name")
    refused(huetune("ensemble", tmp_path / "runs" / "first"), "its trainable saves none")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scal", "3"), ("No such option: --scal", "--scale")),
        (("--trials", "many"), ("Invalid value for '--trials'", "integer")),
        (("--trials", "0"), ("Expected trials to be a whole number from 1, got 0",)),
    ],
)
def test_a_wrong_option_of_a_definition_is_named(definition: Path, arguments: Any, words: tuple[str, ...]) -> None:
    refused(huetune("run", definition, *arguments), *words)


def test_a_definition_with_a_fault_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("search = Search(\n")
    refused(huetune("run", file), "line 1")
    refused(huetune("run", tmp_path / "absent.py"), "found none at")
    refused(huetune("run"), "Usage")


@pytest.mark.usefixtures("cluster")
def test_a_run_without_a_finished_trial_ends_with_an_error(tmp_path: Path) -> None:
    file = tmp_path / "fails.py"
    file.write_text(DEFINITION.replace('tune.report({"loss"', 'raise OSError("no disk"); tune.report({"loss"'))
    refused(
        huetune("run", file, "--storage", tmp_path, "--name", "f"), "Expected a trial with a score", "OSError: no disk"
    )
    for command in ("ensemble",):
        refused(huetune(command, tmp_path / "f"), "Expected a trial with a score")


@pytest.mark.parametrize("command", ["results", "ensemble", "report"])
def test_a_run_that_is_not_there_is_named(command: str, tmp_path: Path) -> None:
    refused(huetune(command, tmp_path / "absent"), "Expected a run in", "absent")


def test_folders_that_make_no_dataset_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "lines").mkdir()
    Image.new("RGB", (20, 20), "red").save(tmp_path / "lines" / "other.png")
    (tmp_path / "colors").mkdir()
    Image.new("RGB", (20, 20), "red").save(tmp_path / "colors" / "one.png")
    dataset = tmp_path / "dataset"
    refused(huetune("prepare", tmp_path / "absent", "-o", dataset), "absent")
    refused(huetune("prepare", tmp_path / "empty", "-o", dataset), "empty")
    refused(huetune("prepare", tmp_path / "colors", "--lines", tmp_path / "lines", "-o", dataset), "Names must match")
    assert not dataset.exists()


def test_drawings_become_a_dataset_and_bad_files_are_counted(tmp_path: Path) -> None:
    assert huetune("draw", "-o", tmp_path / "d", "--count", 12, "--size", 24).exit_code == 0
    refused(huetune("draw", "-o", tmp_path / "d"), "exists")
    colors = tmp_path / "d" / "color"
    (colors / "empty.png").touch()
    (colors / "text.png").write_text("not an image")
    whole = next(colors.glob("character*.png")).read_bytes()
    (colors / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (1, 1)).save(colors / "dot.png")
    prepared = huetune("prepare", colors, "-o", tmp_path / "dataset")
    assert prepared.exit_code == 0, prepared.output
    assert "12 drawings in" in prepared.output
    for name in ("empty", "text", "cut", "dot"):
        assert name in prepared.output
    refused(huetune("prepare", colors, "-o", tmp_path / "dataset"), "exists")


def test_what_is_to_be_done_next_can_be_copied_whatever_folders_are_called(tmp_path: Path) -> None:
    def copied(said: Result) -> list[str]:
        assert said.exit_code == 0, said.output
        return shlex.split(said.output.split("next: huetune ")[1])

    drawn = copied(huetune("draw", "-o", tmp_path / "my [red] drawings", "--count", 12, "--size", 24))
    dataset = tmp_path / "it's a dataset"
    found = copied(huetune(*drawn[:-1], dataset))
    assert found[:4] == ["run", "searches/quick.py", "--data", str(dataset)]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--max-aspect", -1),
        ("--min-ink", 2),
        ("--min-contrast", 300),
        ("--min-colour", -1),
        ("--max-density", 1.5),
        ("--min-subject", "nan"),
        ("--near", 17),
    ],
)
def test_a_limit_out_of_range_is_named_as_it_was_given(option: str, value: Any, tmp_path: Path) -> None:
    refused(huetune("prepare", tmp_path, "-o", tmp_path / "dataset", option, value), f"Invalid value for '{option}'")
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_no_drawings_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from search.cli import main; main()", "draw", "--count", "100000"]
    with subprocess.Popen([*command, "-o", tmp_path / "out"], stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.glob("*/line/*.png")) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert (process.returncode, said) == (130, "interrupted: nothing was written\n")
    assert not list(tmp_path.iterdir())


def test_a_check_that_passed_says_how_to_run_the_same(dataset: Path) -> None:
    options = ["--data", str(dataset), "--size", "16"]
    checked = huetune("check", QUICK, *options)
    assert shlex.split(checked.output.split("next: huetune ")[1]) == ["run", str(QUICK), *options]


def test_a_model_that_is_none_is_named(tmp_path: Path) -> None:
    drawing = tmp_path / "line.png"
    Image.new("L", (20, 20), 255).save(drawing)
    refused(huetune("colorize", tmp_path / "absent", drawing, "-o", tmp_path), "Expected a checkpoint, an ensemble")
    refused(huetune("colorize", tmp_path, drawing, "-o", tmp_path), "found neither checkpoint.json")


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_ends_a_run_that_can_still_be_read(tmp_path: Path) -> None:
    file = tmp_path / "slow.py"
    slow = DEFINITION.replace("range(2)", "range(600)").replace(
        "tune.report", "__import__('time').sleep(0.1); tune.report"
    )
    file.write_text(slow)
    command = [sys.executable, "-c", "from search.cli import main; main()", "run", str(file), "--name", "slow"]
    with subprocess.Popen([*command, "--storage", str(tmp_path)], stderr=subprocess.PIPE, text=True) as process:
        measured = tmp_path / "slow" / "measurements"
        deadline = time.monotonic() + 90
        while not (measured.is_dir() and list(measured.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Interrupted after 0 of 2 trials" in said
    shown = huetune("results", tmp_path / "slow")
    assert "slow: interrupted" in shown.output
    assert "interrupted" in shown.output
