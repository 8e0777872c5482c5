"""The README and the pages beside it keep their word: their Python runs, their files and commands exist."""

import re
from pathlib import Path

import pytest
import report_run as runs
from typer.testing import CliRunner

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
METHODS = (ROOT / "docs" / "methods.md").read_text()
ENSEMBLES = (ROOT / "docs" / "ensembles.md").read_text()
REPORT = (ROOT / "docs" / "report.md").read_text()
COLORIZER = (ROOT / "docs" / "colorizer.md").read_text()


def run_snippets(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Execute the Python of a page from top to bottom, in a folder of its own."""
    monkeypatch.chdir(folder)
    namespace = {"__name__": "page"}
    for snippet in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(snippet, namespace)


@pytest.mark.usefixtures("cluster")
def test_the_python_of_the_readme_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_snippets(README, tmp_path, monkeypatch)
    assert "config.lr" in capsys.readouterr().out
    assert (tmp_path / "runs" / "first" / "trials.parquet").is_file()


@pytest.mark.usefixtures("cluster")
def test_the_python_of_the_page_of_methods_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_snippets(METHODS, tmp_path, monkeypatch)
    assert "GPU-hours" in capsys.readouterr().out
    assert {run.name for run in (tmp_path / "runs").iterdir()} == {"bayesian", "conditional", "staged", "careful"}


def test_the_python_of_the_page_of_ensembles_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_snippets(ENSEMBLES, tmp_path, monkeypatch)
    told = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert set(told) == {"Mean", "Greedy", "Ridge"}
    assert all(float(error) < 0.4 for error in told.values())  # 1 for each member alone


def test_the_page_of_the_report_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seed in (("quick", 0), ("other", 1)):
        runs.write_run(runs.synthetic_run(30, seed=seed), tmp_path / "runs" / name)
    run_snippets(REPORT, tmp_path, monkeypatch)

    from search.cli import app

    commands = re.findall(r"^\$ huetune (report .*?)  +#", REPORT, re.MULTILINE)
    assert len(commands) == 6
    for command in commands:
        ended = CliRunner().invoke(app, command.split())
        assert ended.exit_code == 0, (command, ended.output)


def test_the_page_of_the_colorizer_runs_as_it_stands(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from colorizer import Dataset, Trainer
    from colorizer.config import TrainingConfig

    (tmp_path / "drawings").symlink_to(dataset)
    config = TrainingConfig(size=64, channels=4, levels=2, discriminator_channels=4, steps_per_report=2)
    Trainer(config, Dataset.open(dataset).split("train", 64)).save(tmp_path / "checkpoint")
    run_snippets(COLORIZER, tmp_path, monkeypatch)
    assert capsys.readouterr().out.count("pruned/round-") == 3


def test_every_hyperparameter_the_page_of_the_colorizer_names_exists() -> None:
    from colorizer.config import TrainingConfig

    known = set(TrainingConfig().to_dict())
    table = COLORIZER.split("| | |\n|---|---|\n")[1].split("\n\n")[0]
    named = re.findall(r"`(\w+?)(_\.\.\.)?`", table)
    assert len(named) > 30
    assert [name for name, more in named if name not in known and not (more and f"{name}_norm" in known)] == []
    assert set(re.findall(r"`(\w+)=", COLORIZER)) <= known


def test_every_verdict_the_page_of_the_colorizer_names_is_given() -> None:
    given = (ROOT / "colorizer" / "diagnosis.py").read_text() + (ROOT / "colorizer" / "baselines.py").read_text()
    table = COLORIZER.split("| Verdict | Means |\n|---|---|\n")[1].split("\n\n")[0]
    for verdict in re.findall(r"^\| (.*?) \|", table, re.MULTILINE):
        for part in re.split(r", (?:or )?|worse than ", re.sub(r"G \(or D\)", "{whose}", verdict)):
            assert part in given, part


def test_the_limits_the_page_of_the_colorizer_tells_are_those_of_verdicts() -> None:
    from colorizer.diagnosis import NEVER_FOOLED, OVERFITTED, TOO_LARGE

    for limit in (f"more than {100 * TOO_LARGE:g} %", f"over {OVERFITTED:g} times", f"knows {100 * NEVER_FOOLED:g} %"):
        assert limit in COLORIZER


def test_every_method_the_page_of_ensembles_names_exists() -> None:
    from ensembles.recipes import METHODS as KNOWN

    table = ENSEMBLES.split("## Ways to combine")[1].split("A name with")[0]
    named = set(re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines() if "|" in line)))
    assert named == set(KNOWN) - {"best_single"} | {"soups"}


def test_every_file_the_readme_points_to_is_there() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    assert [t for t in targets if "://" not in t and not (ROOT / t).exists()] == []


def test_every_command_the_readme_shows_exists() -> None:
    from search.cli import add_workload_commands, app

    add_workload_commands()
    overview = CliRunner().invoke(app, ["--help"]).output
    for command in set(re.findall(r"huetune ([a-z-]+)", README + METHODS + ENSEMBLES + REPORT)) - {
        "searches",
        "brings",
    }:
        assert f" {command} " in overview, command


def test_every_make_target_the_readme_shows_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\$ make (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
