"""The shell of a page with figures, and what draws them: Plotly and scripts, inside the file."""

from collections.abc import Iterable, Mapping
from importlib.resources import files

from plotly.offline import get_plotlyjs

from search.report.markup import embedded_json
from search.report.plots.theme import DARK_OF
from search.report.shell import shell

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
    script = files("search.report").joinpath("page.js").read_text(encoding="utf-8")
    return shell(
        title,
        navigation,
        body,
        skip="Skip to the answer",
        head=f"<script>{HIDE}</script>",
        attributes="" if watch is None else f' data-watch="{watch:g}"',
        scripts=[
            f'<script type="application/json" id="dark-colors">{embedded_json(DARK_OF)}</script>',
            f"<script>{get_plotlyjs()}</script>",
            f"<script>{script}</script>",
        ],
    )
