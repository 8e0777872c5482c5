"""Every part of a YAML text is found in its line: of random documents, with anchors, and of merges written by hand."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from search.cluster.yaml_lines import KeyPath, YamlFault, YamlLines


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Mappings and lists in each other, every key and every leaf a word of its own; some parts stand in two places."""
    count = 0
    made: list[Any] = []

    def word(kind: str) -> str:
        nonlocal count
        count += 1
        return f"{kind}{count}w"

    def part(depth: int) -> Any:
        kind = draw(st.sampled_from(["leaf", "mapping", "list", "again"] if depth else ["leaf"]))
        if kind == "again" and made:
            return draw(st.sampled_from(made))
        if kind == "mapping":
            value: Any = {word("key"): part(depth - 1) for _ in range(draw(st.integers(0, 3)))}
        elif kind == "list":
            value = [part(depth - 1) for _ in range(draw(st.integers(0, 3)))]
        else:
            return word("leaf")
        made.append(value)
        return value

    return {word("key"): part(4) for _ in range(draw(st.integers(1, 4)))}


def words(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Every path whose own word stands in the text: keys, and items of lists that are leaves."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key), key
            yield from words(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if isinstance(inner, str):
                yield (*path, index), inner
            yield from words(inner, (*path, index))


@settings(deadline=None)
@given(documents(), st.sampled_from([False, None]))
def test_every_part_is_found_in_the_line_where_its_word_stands(document: dict[str, Any], flow: bool | None) -> None:
    text = "# a comment first\n\n" + yaml.safe_dump(document, sort_keys=False, default_flow_style=flow, width=10_000)
    lines = YamlLines.parse(text)
    assert lines.data == document
    for path, word in words(document):
        standing = [number for number, line in enumerate(text.splitlines(), 1) if word in line]
        assert [lines.line(path)] == standing, (path, text)


MERGED = """\
# 1
base: &base
  image: old
  disk:
    size: 3
other: &other {image: 6, door: shut}
made:
  <<: *base
  image: new
both: {<<: [*other, *base], extra: 10}
list:
  - first
  - {deep: [13]}
  - *other
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 2),
        (("base", "disk", "size"), 5),
        (("made", "image"), 9),  # its own goes before the merged one
        (("made", "disk", "size"), 5),  # what came in by an anchor is where the anchor is
        (("both", "image"), 6),  # of several merged, the first
        (("both", "disk"), 4),
        (("both", "extra"), 10),
        (("list",), 11),
        (("list", 0), 12),
        (("list", 1, "deep", 0), 13),
        (("list", 2, "door"), 6),
        (("made", "no such key", "deeper"), 7),  # the nearest there is
        (("list", 9), 11),
        (("base", "image", "deeper"), 3),
    ],
)
def test_merges_lists_and_what_is_not_there(path: KeyPath, line: int) -> None:
    assert YamlLines.parse(MERGED).line(path) == line


def test_a_key_that_stands_twice_is_told_with_both_lines_wherever_it_is() -> None:
    text = "a: 1\nb:\n  - {c: 1,\n     c: 2}\na: 3\n"
    assert sorted(YamlLines.parse(text).repeated_keys()) == [("a", 1, 5), ("c", 3, 4)]
    assert YamlLines.parse(text).line(("a",)) == 5  # the one that counts


def test_a_key_that_yaml_takes_for_something_else_than_a_word_is_told_with_its_line() -> None:
    text = "a: 1\nb:\n  - on: 2\n  - {7: x, '8': y}\n  - <<: {c: 3}\n"
    assert sorted(YamlLines.parse(text).keys_that_are_no_words()) == [("7", 4), ("on", 3)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: [1\nc: 2\n", 3),
        ("a: 1\nb: *nobody\n", 2),
        ("a: 1\nb: !!python/object:os.system x\n", 2),
        ("a:\n\tb: 2\n", 2),
    ],
)
def test_what_is_no_yaml_names_its_line(text: str, line: int) -> None:
    with pytest.raises(YamlFault) as fault:
        YamlLines.parse(text)
    assert fault.value.line == line


def test_an_empty_document_has_a_first_line() -> None:
    assert YamlLines.parse("# nothing\n").line(("a", "b")) == 1
