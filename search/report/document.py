"""What stands around the sections of a page. Everything is inside one file: Plotly, styles, pictures; it asks no
network."""

from collections.abc import Iterable, Mapping
from importlib.resources import files

from plotly.offline import get_plotlyjs

from search.report.markup import embedded_json, esc
from search.report.plots.theme import DARK_OF

# The browser itself refuses what the page should never do: load or send anything.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
# A page that has reloaded itself shows nothing until it is back in its place, so that nothing flickers; whatever
# goes wrong, it shows itself soon.
HIDE = (
    "if (history.state?.place) { document.documentElement.style.visibility = 'hidden'; "
    "setTimeout(() => { document.documentElement.style.visibility = ''; }, 2000); }"
)


def document(title: str, navigation: Mapping[str, str], body: Iterable[str], watch: float | None = None) -> str:
    """The whole page.

    Args:
        title: of the window, as text.
        navigation: names of sections by their anchors; the first is the one to skip to.
        body: the sections, as HTML.
        watch: after how many seconds the open page looks for a newer one; None for a page that stays as it is.
    """
    links = "".join(f'<a href="#{anchor}">{esc(name)}</a>' for anchor, name in navigation.items())
    room = files("search.report")
    style, script = (room.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    watched = "" if watch is None else f' data-watch="{watch:g}"'
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">',
            f"<title>{esc(title)}</title><style>{style}</style><script>{HIDE}</script></head><body{watched}>",
            f'<a class="skip" href="#{next(iter(navigation))}">Skip to the answer</a>',
            f'<nav aria-label="Sections"><div>{links}</div></nav><main>',
            *body,
            "</main>",
            f'<script type="application/json" id="dark-colors">{embedded_json(DARK_OF)}</script>',
            f"<script>{get_plotlyjs()}</script>",
            f"<script>{script}</script></body></html>\n",
        ]
    )
