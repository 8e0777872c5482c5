"""Who may import whom, read from the source: docs/architecture.md says why."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Commands stand above all floors: they speak by search.console, find runs, and load ensembles. The pages that they
# write are made of the same pieces as the reports of runs, and only commands may import them.
COMMANDS = frozenset(
    str(file.relative_to(ROOT))
    for pattern in ("cli.py", "*_command.py", "inspecting/page.py")
    for file in (ROOT / "colorizer").glob(pattern)
)


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def offenders(package: str, forbidden: str, but_for: frozenset[str] = frozenset()) -> list[str]:
    found = []
    for file in sorted((ROOT / package).rglob("*.py")):
        name = str(file.relative_to(ROOT))
        if name not in but_for and any(i == forbidden or i.startswith(forbidden + ".") for i in imports(file)):
            found.append(name)
    return found


@pytest.mark.parametrize(
    ("package", "forbidden", "but_for"),
    [
        ("search", "colorizer", frozenset()),
        ("search", "ensembles", frozenset({"search/ensemble_command.py"})),
        ("ensembles", "search", frozenset()),
        ("ensembles", "colorizer", frozenset()),
        ("ensembles", "ray", frozenset()),
        ("colorizer", "ray", frozenset({"colorizer/trial.py"})),
        ("colorizer", "search", frozenset({"colorizer/trial.py", *COMMANDS})),
        ("colorizer", "ensembles", frozenset({"colorizer/trial.py", *COMMANDS})),
        ("colorizer", "colorizer.inspecting.page", COMMANDS),
        ("search/report", "ray", frozenset()),
        ("search", "pickle", frozenset()),
        ("ensembles", "pickle", frozenset()),
        ("colorizer", "pickle", frozenset()),
    ],
)
def test_a_floor_imports_only_what_lies_below_it(package: str, forbidden: str, but_for: frozenset[str]) -> None:
    assert offenders(package, forbidden, but_for) == []


def test_the_exceptions_are_real_so_that_the_rule_can_fail() -> None:
    assert offenders("colorizer", "ray") == ["colorizer/trial.py"]


def test_plotly_draws_in_one_module_and_tables_do_without() -> None:
    assert not [name for name in offenders("search/report", "plotly") if name.startswith("search/report/tables/")]
