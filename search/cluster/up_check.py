"""Is a cluster file what `ray up` wants, and what huetune needs? Nothing here asks the network."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from search.cluster import up_aws, up_commands, up_files, up_local, up_machines
from search.cluster.up_finding import Finding, error, one_of, warning
from search.cluster.yaml_lines import YamlFault, YamlLines
from search.errors import RunError

Config = dict[str, Any]


@dataclass(frozen=True)
class Remark:
    """One finding as it is told: with its file and line."""

    severity: Literal["error", "warning"]
    line: int
    text: str


def up_check(file: Path) -> list[Remark]:
    """Check a cluster file by Ray's schema and by what Ray leaves to be found out later, from the top of it down.

    Paths in the file count from the current folder, as they do for `ray up`.

    Raises:
        RunError: there is no such file, or it is no text.
    """
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as fault:
        raise RunError(f"Expected a cluster file at {file}, got: {fault}. Give the file that `ray up` gets.") from None
    try:
        lines = YamlLines.parse(text)
    except YamlFault as fault:
        return [_remark(file, fault.line, "error", f"Expected YAML, got: {fault}. Mend this line or the one before.")]
    remarks = {
        _remark(file, line, "error", f"Expected {key!r} once, but line {first} has it too. Remove one of them.")
        for key, first, line in lines.repeated_keys()
    }
    remarks |= {
        _remark(file, line, "error", f"Expected a word for a key, got {key}. Put it between quotes, or mend it.")
        for key, line in lines.keys_that_are_no_words()
    }
    if remarks:
        return _from_the_top(remarks)
    remarks = {_remark(file, lines.line(f.path), f.severity, f.message) for f in _findings(lines.data)}
    return _from_the_top(remarks)


def _from_the_top(remarks: set[Remark]) -> list[Remark]:
    return sorted(remarks, key=lambda remark: (remark.line, remark.severity, remark.text))


def _remark(file: Path, line: int, severity: Literal["error", "warning"], message: str) -> Remark:
    return Remark(severity, line, f"{file}, line {line}: {severity}: {message}")


def _findings(given: Any) -> Iterator[Finding]:
    """Coarse checks first: a file that has not the shape of a cluster file is told so, and nothing more."""
    if not isinstance(given, dict):
        yield error(
            (), f"Expected keys with values, got {type(given).__name__}. Begin with the cluster.yaml of huetune."
        )
        return
    coarse = [*_schema_faults(given)] or [*_what_ray_would_panic_at(given)]
    if coarse:
        yield from coarse
        return
    config = _with_rays_defaults(given)
    if isinstance(config, Finding):
        yield config
        return
    fine = [*_fine(given, config)]
    yield from fine
    if not any(finding.severity == "error" for finding in fine):
        yield from _rays_own_word(config)


def _fine(given: Config, config: Config) -> Iterator[Finding]:
    kind = config["provider"]["type"]
    yield from up_commands.check(given, config)
    yield from up_files.check(config)
    if kind == "local":
        yield from up_local.check(config)
        return
    yield from up_machines.check(config)
    if kind == "aws":
        yield from up_aws.check(config)
    else:
        yield warning(
            ("provider", "type"), f"huetune knows aws and local; of {kind!r}, see what Ray's documentation says."
        )


def _schema_faults(given: Config) -> Iterator[Finding]:
    """What Ray's schema says: every fault, where Ray stops at the first."""
    import jsonschema  # type: ignore[import-untyped]
    import ray.autoscaler
    from ray.autoscaler._private.providers import _NODE_PROVIDERS

    kinds = sorted(kind for kind, importer in _NODE_PROVIDERS.items() if importer)
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    for fault in jsonschema.Draft7Validator(schema).iter_errors(_with_what_ray_fills_in(given)):
        path = tuple(fault.absolute_path)
        if fault.validator == "additionalProperties":
            known = fault.schema.get("properties", {})
            for key in sorted(set(fault.instance) - set(known), key=str):
                yield error((*path, key), f"Unknown key {key!r}. {one_of(known, key)}")
        elif fault.validator == "required":
            missing = ", ".join(repr(key) for key in fault.validator_value if key not in fault.instance)
            yield error(path, f"Expected {missing} in {'.'.join(map(str, path)) or 'the file'}, found none. Add it.")
        else:
            where = ".".join(map(str, path))
            yield error(path, f"Expected {where} as Ray's schema has it, but {fault.message}. Change the value.")
    provider = given.get("provider")
    if isinstance(provider, dict) and isinstance(kind := provider.get("type"), str) and kind not in kinds:
        yield error(("provider", "type"), f"Expected a provider of Ray, got {kind!r}. {one_of(kinds, kind)}")


def _with_what_ray_fills_in(given: Config) -> Config:
    config = copy.deepcopy(given)
    config.setdefault("cluster_name", "default")
    provider = config.get("provider")
    kind = provider.get("type") if isinstance(provider, dict) else None
    if kind == "local":
        config.pop("min_workers", None)
    types = config.get("available_node_types")
    if kind == "aws" and isinstance(types, dict):
        for node_type in types.values():
            if isinstance(node_type, dict):
                node_type.setdefault("resources", {})
    return config


def _what_ray_would_panic_at(given: Config) -> Iterator[Finding]:
    for remote, local in given.get("file_mounts", {}).items():
        if not isinstance(local, str):
            yield error(("file_mounts", remote), f"Expected a path on this machine, got {local!r}. Mend it.")
    if given["provider"]["type"] == "local":
        yield from up_local.shape(given)
        return
    head, types = given.get("head_node_type"), given.get("available_node_types")
    if types is not None and head not in types:
        yield error(
            ("head_node_type",),
            f"Expected head_node_type to name one of available_node_types, got {head!r}. {one_of(types, head)}",
        )


def _with_rays_defaults(given: Config) -> Config | Finding:
    import click
    from ray.autoscaler._private.util import prepare_config

    config = copy.deepcopy(given) if given["provider"]["type"] == "local" else _with_what_ray_fills_in(given)
    try:
        with _quiet():
            return dict(prepare_config(config))
    except (ValueError, RuntimeError, KeyError, AttributeError, AssertionError, click.ClickException) as fault:
        return _ray_says(fault)


def _rays_own_word(config: Config) -> Iterator[Finding]:
    """Whatever Ray checks and nothing here did."""
    import jsonschema
    from ray.autoscaler._private.util import validate_config

    try:
        with _quiet():
            validate_config(config)
    except (ValueError, RuntimeError, jsonschema.ValidationError) as fault:
        yield _ray_says(fault)


def _ray_says(fault: Exception) -> Finding:
    words = str(fault).splitlines()[0].rstrip(".")
    return error(
        (), f"Expected a file that Ray takes, but Ray says: {words}. Compare with the cluster.yaml of huetune."
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Ray remarks on what it fills in, some of it as print and some of it as log."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
