"""Definitions as Python files: `search = Search(...)`, or a function `search(...)` whose parameters become options."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ray import cloudpickle

from search.definition import Search
from search.errors import SearchError

_EXAMPLE = "Write `search = Search(...)`, or a function `def search(...) -> Search`."


@dataclass(frozen=True)
class DefinitionFile:
    """A Python file that defines a search."""

    path: Path
    defined: Search | Callable[..., Any]

    @classmethod
    def load(cls, path: Path) -> DefinitionFile:
        """Execute the file and find its `search`.

        Raises:
            SearchError: the file is missing, has a fault (with its line), or defines no search.
        """
        if not path.is_file():
            raise SearchError(f"Expected a Python file that defines a search, found none at {path}. {_EXAMPLE}")
        module = _execute(path)
        defined = getattr(module, "search", None)
        if not isinstance(defined, Search) and not inspect.isfunction(defined):
            found = "nothing of that name" if defined is None else repr(defined)
            raise SearchError(f"Expected {path} to define `search`, found {found}. {_EXAMPLE}")
        return cls(path, defined)

    @property
    def parameters(self) -> list[inspect.Parameter]:
        """What the definition lets its user choose; none if it is a plain Search."""
        if isinstance(self.defined, Search):
            return []
        return list(inspect.signature(self.defined, eval_str=True).parameters.values())

    def build(self, **options: Any) -> Search:
        """The search, for these options.

        Raises:
            SearchError: the definition fails on them, or returns something else than a Search.
        """
        if isinstance(self.defined, Search):
            return self.defined
        try:
            search = self.defined(**options)
        except Exception as fault:
            raise SearchError(_explain(self.path, fault)) from fault
        if not isinstance(search, Search):
            raise SearchError(f"Expected search() in {self.path} to return a Search, got {search!r}. Return it.")
        return search


def _execute(path: Path) -> ModuleType:
    name = f"huetune_definition_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SearchError(f"Expected a Python file, got {path}. Give it a name that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as fault:
        raise SearchError(_explain(path, fault)) from fault
    # What the file defines travels to the workers with the trial: they have no such module.
    cloudpickle.register_pickle_by_value(module)
    return module


def _explain(path: Path, fault: Exception) -> str:
    if isinstance(fault, SyntaxError):
        return f"{fault.filename or path}, line {fault.lineno}: {fault.msg}. Correct the file."
    ours = [frame for frame in traceback.extract_tb(fault.__traceback__) if Path(frame.filename) == path]
    where = f"{path}, line {ours[-1].lineno}" if ours else str(path)
    kind = "" if isinstance(fault, SearchError) else f"{type(fault).__name__}: "
    return f"{where}: {kind}{fault}"
