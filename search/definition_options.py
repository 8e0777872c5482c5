"""The options that a definition file adds to `huetune run`: the parameters of its function, typed as it wants them."""

from __future__ import annotations

import inspect
from typing import Any

import typer

from search.definition_file import DefinitionFile
from search.errors import SearchError

_TAKEN = {"name", "storage", "plan", "help"}


def parse_options(definition: DefinitionFile, arguments: list[str]) -> dict[str, Any]:
    """The definition's parameters as given on the command line; says what is wrong with them and exits otherwise.

    Raises:
        SearchError: the definition has parameters that `huetune run` has as options of its own.
    """
    parameters, file = definition.parameters, definition.path
    taken = sorted(_TAKEN & {parameter.name for parameter in parameters})
    if taken:
        raise SearchError(
            f"Expected other names for the parameters {taken} of search() in {file}:"
            " `huetune run` has options of these names."
        )
    given: dict[str, Any] = {}

    def options(**values: Any) -> None:
        given.update(values)

    signature = [_as_option(parameter) for parameter in parameters]
    options.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    options.__annotations__ = {p.name: p.annotation for p in signature}
    options.__doc__ = f"Options of {file}."
    parser = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    parser.command()(options)
    try:
        parser(args=arguments, prog_name=f"huetune run {file}", standalone_mode=True)
    except SystemExit as end:
        if end.code:
            raise
    return given


def _as_option(parameter: inspect.Parameter) -> inspect.Parameter:
    default: Any = ... if parameter.default is parameter.empty else parameter.default
    kind: Any = parameter.annotation
    if kind is parameter.empty:
        kind = str if default in (..., None) else type(default)
    return parameter.replace(
        kind=parameter.KEYWORD_ONLY,
        annotation=kind,
        default=typer.Option(default, show_default=default is not ...),
    )
