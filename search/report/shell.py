"""What stands around the sections of a page, of a report as of `huetune inspect`: what it may do, how it looks, the way
to its parts. Everything is inside one file, which asks no network."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files

from search.report.markup import esc


def shell(
    title: str,
    navigation: Mapping[str, str],
    body: Iterable[str],
    *,
    skip: str,
    style: str = "",
    head: str = "",
    attributes: str = "",
    scripts: Sequence[str] = (),
) -> str:
    """The whole page, where the browser itself refuses what it should never do: load or send anything.

    Args:
        title: of the window, as text.
        navigation: names of sections by their anchors; the first is the one to skip to.
        body: the sections, as HTML.
        skip: the link to the first section, for who uses keys, as text.
        style: CSS beside that of all pages.
        head: what ends the head, as HTML.
        attributes: of the body, as HTML that begins with a space.
        scripts: what comes after the sections, as HTML; a page without any runs none.
    """
    links = "".join(f'<a href="#{anchor}">{esc(name)}</a>' for anchor, name in navigation.items())
    css = files("search.report").joinpath("page.css").read_text(encoding="utf-8") + style
    runs, pictures = ("script-src 'unsafe-inline'; ", "data: blob:") if scripts else ("", "data:")
    policy = (
        f"default-src 'none'; {runs}style-src 'unsafe-inline'; img-src {pictures}; base-uri 'none'; form-action 'none'"
    )
    lines = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">',
        f"<title>{esc(title)}</title><style>{css}</style>{head}</head><body{attributes}>",
        f'<a class="skip" href="#{next(iter(navigation))}">{esc(skip)}</a>',
        f'<nav aria-label="Sections"><div>{links}</div></nav><main>',
        *body,
        "</main>",
        *scripts,
    ]
    return "\n".join(lines) + "</body></html>\n"
