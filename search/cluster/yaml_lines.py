"""YAML as data, and the line where each part of it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml  # type: ignore[import-untyped]

KeyPath = tuple[str | int, ...]

_MERGE = "tag:yaml.org,2002:merge"
_WORD = "tag:yaml.org,2002:str"


class YamlFault(ValueError):
    """Text that is no YAML: what is wrong, and in which line."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class YamlLines:
    """A YAML document as data; lines count from 1."""

    data: Any
    _root: yaml.Node | None

    @classmethod
    def parse(cls, text: str) -> YamlLines:
        """Read one document, by the rules by which Ray reads it.

        Raises:
            YamlFault: the text is no YAML, or holds more than plain data.
        """
        try:
            return cls(yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader))
        except yaml.MarkedYAMLError as fault:
            mark = fault.problem_mark or fault.context_mark
            raise YamlFault(fault.problem or str(fault), mark.line + 1 if mark else 1) from None
        except (yaml.YAMLError, RecursionError) as fault:
            raise YamlFault(str(fault), 1) from None

    def line(self, path: Sequence[str | int]) -> int:
        """The line of a key or of an item of a list; of the nearest part around it where there is no such thing.

        What came in by an anchor is where the anchor is: that is the line to change.
        """
        node, line = self._root, _line(self._root) if self._root else 1
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            line, node = found
        return line

    def repeated_keys(self) -> Iterator[tuple[str, int, int]]:
        """Every key that its mapping has twice, with both lines; YAML readers keep the second and say nothing."""
        for mapping in self._mappings():
            first: dict[str, int] = {}
            for key, _ in mapping.value:
                if isinstance(key, yaml.ScalarNode) and key.value in first:
                    yield key.value, first[key.value], _line(key)
                elif isinstance(key, yaml.ScalarNode):
                    first[key.value] = _line(key)

    def keys_that_are_no_words(self) -> Iterator[tuple[str, int]]:
        """Every key that YAML takes for a number, a truth or worse, as it is written, with its line."""
        for mapping in self._mappings():
            for key, _ in mapping.value:
                if key.tag not in {_WORD, _MERGE}:
                    yield str(key.value), _line(key)

    def _mappings(self) -> Iterator[yaml.MappingNode]:
        seen: set[int] = set()
        waiting = [self._root] if self._root else []
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, yaml.MappingNode):
                yield node
                waiting.extend(value for _, value in node.value)
            elif isinstance(node, yaml.SequenceNode):
                waiting.extend(node.value)


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _child(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    """A part of a node with its line; a key of its own goes before one that was merged in with `<<`."""
    if isinstance(node, yaml.SequenceNode):
        item = node.value[part] if isinstance(part, int) and part < len(node.value) else None
        return (_line(item), item) if item else None
    if not isinstance(node, yaml.MappingNode):
        return None
    for key, value in reversed(node.value):
        if key.tag != _MERGE and key.value == str(part):
            return _line(key), value
    for key, value in node.value:
        if key.tag == _MERGE:
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if found := _child(source, part):
                    return found
    return None
