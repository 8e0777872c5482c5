"""Figures that the pages quote are those that were measured."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("written_results", ROOT / "docs" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


written = _load()


@pytest.mark.parametrize("page", written.PAGES)
def test_a_page_tells_what_was_measured(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert written.filled(text) == text, "Run python docs/results.py: the results have changed."


def test_every_part_stands_in_one_page() -> None:
    told = "".join((ROOT / page).read_text(encoding="utf-8") for page in written.PAGES)
    assert sorted(re.findall(r"<!-- results: (\w+) -->", told)) == sorted(written.PARTS)


def test_another_result_changes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    for name in ("chaos", "scale"):
        results = json.loads((ROOT / f"benchmarks/results/{name}.json").read_text(encoding="utf-8"))
        if name == "chaos":
            results["summary"]["rounds"] = 12345
        (tmp_path / f"{name}.json").write_text(json.dumps(results), encoding="utf-8")
    monkeypatch.setattr(written, "RESULTS", tmp_path)
    assert "ran 12345 short searches" in written.filled(text)


def test_no_kill_ever_cost_a_result() -> None:
    chaos = json.loads((ROOT / "benchmarks/results/chaos.json").read_text(encoding="utf-8"))["summary"]
    assert (chaos["lost"], chaos["duplicated"], chaos["wrong"]) == (0, 0, 0)
