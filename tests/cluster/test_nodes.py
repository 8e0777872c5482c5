"""Waiting for promised machines, and trials that no machine holds; on real Ray with one machine of 2 CPUs."""

import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray import tune
from rich.console import Console

from search import Random, Search
from search.cluster.nodes import wait_for_nodes
from search.errors import RunError

pytestmark = pytest.mark.usefixtures("cluster")


def said(asked: list[dict[str, float]], tmp_path: Path, **kinds: dict[str, Any]) -> str:
    file = tmp_path / "cluster.yaml"
    types = {"head": {"resources": {"CPU": 0}, "max_workers": 0}, **kinds}
    file.write_text(yaml.safe_dump({"max_workers": 4, "head_node_type": "head", "available_node_types": types}))
    console = Console(file=io.StringIO(), width=1000)
    wait_for_nodes(asked, console, cluster_file=file, patience=1.5)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_machines_that_are_here_are_not_talked_about(tmp_path: Path) -> None:
    assert said([{"CPU": 2}], tmp_path) == ""
    assert said([], tmp_path) == ""


def test_what_is_promised_is_waited_for_in_words_and_not_for_ever(tmp_path: Path) -> None:
    told = said([{"CPU": 1}], tmp_path, small={"resources": {"CPU": 4}, "min_workers": 2, "max_workers": 3})
    assert "Waiting for machines: 0 of 2 are here" in told
    assert "0 of 2 machines have come in 2 s; the search begins on these." in told
    assert "ray status" in told


def test_a_machine_that_comes_when_it_is_asked_for_is_named(tmp_path: Path) -> None:
    gpu = {"resources": {"CPU": 8, "GPU": 1}, "min_workers": 0, "max_workers": 3}
    large = {"resources": {"CPU": 16, "GPU": 4}, "min_workers": 0}  # as many as the cluster may have
    told = said([{"CPU": 2, "GPU": 1}], tmp_path, gpu=gpu, large=large)
    assert "No machine here holds a trial yet" in told
    assert "gpu (CPU 8, GPU 1), up to 3; large (CPU 16, GPU 4), up to 4" in told
    assert "Waiting" not in told


@pytest.mark.parametrize(
    ("asked", "in_words"),
    [
        ([{"CPU": 3}], "CPU 3"),
        ([{"CPU": 1, "GPU": 2}], "CPU 1, GPU 2"),
        ([{"CPU": 1}, {"GPU": 0.5, "tpu": 1}], r"CPU 1 \+ GPU 0.5, tpu 1"),
    ],
)
def test_a_trial_that_no_machine_holds_is_refused_with_what_there_is(
    asked: list[dict[str, float]], in_words: str, tmp_path: Path
) -> None:
    kinds = {"gpu": {"resources": {"CPU": 2, "GPU": 1}}, "gone": {"resources": {"CPU": 64, "GPU": 8}, "max_workers": 0}}
    with pytest.raises(RunError, match=f"one asks for {in_words}, .*: CPU 2; CPU 2, GPU 1 \\(gpu\\). Lower"):
        said(asked, tmp_path, **kinds)


def test_a_damaged_cluster_file_promises_nothing(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text("available_node_types: [")
    wait_for_nodes([{"CPU": 1}], Console(file=io.StringIO()), cluster_file=tmp_path / "cluster.yaml")


def test_a_search_whose_trials_are_too_large_ends_before_the_first(tmp_path: Path) -> None:
    def trial(config: dict[str, Any]) -> dict[str, Any]:
        return {"loss": config["x"]}

    search = Search(
        trainable=trial,
        space={"x": tune.uniform(0, 1)},
        metric="loss",
        mode="min",
        trials=1,
        method=Random(),
        resources={"cpu": 1, "gpu": 3},
    )
    with pytest.raises(
        RunError, match=r"asks for CPU 1, GPU 3, and the machines have: CPU 2\. Lower Search\(resources"
    ):
        search.run("run", str(tmp_path))
