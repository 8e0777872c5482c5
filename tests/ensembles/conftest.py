import importlib
from pathlib import Path

import pytest


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The module of tiny predictors, installed as a distribution that names its loaders as entry points."""
    site = tmp_path / "site"
    info = site / "tiny_predictors-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-predictors\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[huetune.predictors]\ntiny = tiny_predictors:load\nodd = tiny_predictors:not_a_predictor\n"
    )
    (site / "tiny_predictors.py").write_bytes(Path(__file__).with_name("tiny_predictors.py").read_bytes())
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(importlib.import_module("sys").modules, "tiny_predictors", raising=False)
    return importlib.import_module("tiny_predictors")


@pytest.fixture
def torch_tiny(tmp_path, monkeypatch):
    """The module of tiny predictors of PyTorch, installed beside `tiny` with an entry point of its own."""
    site = tmp_path / "torch-site"
    info = site / "torch_predictors-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch-predictors\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[huetune.predictors]\ntiny-torch = torch_predictors:load\n")
    (site / "torch_predictors.py").write_bytes(Path(__file__).with_name("torch_predictors.py").read_bytes())
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(importlib.import_module("sys").modules, "torch_predictors", raising=False)
    return importlib.import_module("torch_predictors")
