import importlib
import sys
from pathlib import Path

import pytest


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a module of predictors that lies beside the tests, with entry points, as a distribution of its own."""

    def installed(module, entry_points):
        site = tmp_path / "site" / module
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
        lines = [f"{name} = {module}:{function}" for name, function in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[huetune.predictors]", *lines, ""]))
        (site / f"{module}.py").write_bytes(Path(__file__).with_name(f"{module}.py").read_bytes())
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, module, raising=False)
        return importlib.import_module(module)

    return installed


@pytest.fixture
def tiny(install):
    """The module of tiny predictors."""
    return install("tiny_predictors", {"tiny": "load", "odd": "not_a_predictor"})


@pytest.fixture
def torch_tiny(install):
    """The module of tiny predictors of PyTorch."""
    return install("torch_predictors", {"tiny-torch": "load"})


@pytest.fixture
def flat(install):
    """The module of predictors of classes and of numbers."""
    return install("flat_predictors", {"flat": "load"})
