"""The page as a file: whole, self-contained, safe, and calm about whatever a run holds."""

import base64
import json
import re
from contextlib import suppress
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import report_run as runs
from edge_runs import EDGES, EVIL, evil_run
from plotly.offline import get_plotlyjs

from search.report import report_html, write_report
from search.report.catalogue import charts
from search.report.sections.answer import answer
from search.report.tables.snapshot import NothingToShow, snapshot
from search.results import Results


class Page(HTMLParser):
    """Every element with its attributes, and the text of the page without its scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.words, self._inside = [], [], [], None
        self.feed(text.replace(get_plotlyjs(), "Plotly"))  # 5 MB that the parser need not read
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = (tag, dict(attrs))

    def handle_endtag(self, tag):
        if self._inside and self._inside[0] == tag:
            self._inside = None

    def handle_data(self, data):
        if self._inside:
            self.scripts.append((*self._inside, data))
        else:
            self.words.append(data)

    def embedded(self, name):
        return json.loads(next(data for _, attrs, data in self.scripts if name in attrs.values()))


def drawable(run):
    """The names of the charts that have something to show."""
    names, moment = [], snapshot(run)
    for chart in charts(moment):
        with suppress(NothingToShow):
            chart.drawn(moment)
            names.append(chart.name)
    return names


@pytest.fixture(scope="module")
def run():
    return runs.synthetic_run(30)


@pytest.fixture(scope="module")
def page(run):
    return Page(report_html(run))


def test_the_file_appears_whole_and_alone(run, tmp_path):
    output = write_report(Results(runs.write_run(run, tmp_path / "run")), tmp_path / "new" / "report.html")

    assert [path.name for path in output.parent.iterdir()] == ["report.html"]
    text = output.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    assert output.stat().st_size < 6e6


def test_a_report_lies_in_its_run_unless_told_otherwise(run, tmp_path):
    folder = runs.write_run(run, tmp_path / "run")

    assert Path(write_report(Results(folder))) == folder / "report.html"
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(ValueError, match="Expected an output"):
        write_report(run)


def test_a_report_that_cannot_be_made_leaves_the_old_one(run, tmp_path):
    output = tmp_path / "report.html"
    output.write_text("old")
    with pytest.raises(TypeError):
        write_report(replace(run, measured=None), output)

    assert output.read_text() == "old"
    assert list(tmp_path.iterdir()) == [output]


def test_nothing_is_loaded_from_anywhere(page):
    for tag, attributes in page.elements:
        for name in ("src", "srcset", "href", "action", "poster", "data"):
            value = attributes.get(name) or ""
            assert value.startswith(("data:", "#")) or not value, (tag, value[:60])
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    for tag, _, data in page.scripts:
        if tag == "style":
            assert "url(" not in data
            assert "@import" not in data


def test_the_answer_comes_first(run, page):
    best = run.trials.loc[run.trials["score"].idxmax()]
    sections = [attributes["id"] for tag, attributes in page.elements if tag == "section"]

    middle = ["pictures", "search", "parameters", "method", "machine", "ensemble", "trials"]
    assert sections == ["answer", *middle, "about"]
    for words in (
        "Best single model",
        "Ensemble's gain",
        "Cost",
        "Saved by stopping early",
        "Trials",
        "Run it again",
        "higher is better",
    ):
        assert words in page.text
    assert f"Trial {best['number']} won with {best['score']:.2f} dB on validation" in " ".join(page.text.split())
    assert f"PSNR on test, higher is better; {best['score']:.2f} on validation chose it" in page.text
    assert "95 % interval +1.01 to +1.23" in page.text
    assert f'"lr_g": {float(best["config.lr_g"])!r}' in page.text


def test_a_score_that_chose_the_winner_is_never_told_as_its_worth_without_saying_so(run):
    with_test = answer(snapshot(run), "huetune ensemble runs/x")
    assert re.search(r"on the test split it reaches <strong>19\.37\sdB</strong>", with_test)
    assert '<div class="value">19.37' in with_test
    bare = replace(run, scores=None)
    assert "it chose the winner, so expect less on new data" in answer(snapshot(bare), "huetune ensemble runs/x")


def test_every_figure_is_named_and_described(run, page):
    plots = [attributes for _, attributes in page.elements if attributes.get("class") == "plot"]

    assert len(plots) == len({a["id"] for a in plots}) == len(drawable(run))
    for attributes in plots:
        assert attributes["role"] == "img"
        assert len(attributes["aria-label"]) > 20
        assert page.embedded(attributes["id"])["data"]


def test_pictures_are_inside_and_named(run, page):
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    examples = images[: len(run.pictures)]

    assert len(images) >= len(run.pictures) + len(run.gallery)
    assert base64.b64decode(examples[0]["src"].removeprefix("data:image/webp;base64,")).startswith(b"RIFF")
    assert {image["alt"].split(": ")[1] for image in examples} == {"line", "best single", "ensemble", "truth"}


def test_the_table_of_trials_has_everything(run, page):
    data = page.embedded("trial-data")

    assert data["number"] == list(range(1, 31))
    assert (data["metric"], data["unit"]) == ("PSNR", "dB")
    failed = next(i for i in range(30) if run.trials["status"].iloc[i] == "failed")
    assert "out of GPU memory" in data["error"]["some"][str(failed)]
    assert data["score"][failed] is None
    betas = next(p["values"] for p in data["parameters"] if p["name"] == "adam/betas")
    assert betas["of"][betas["at"][0]][0] == run.trials["config.adam/betas"].iloc[0]


def test_no_text_of_a_user_becomes_markup(page):
    attacked = Page(report_html(evil_run(), command=EVIL))

    def shape(of):
        return sorted({(tag, *sorted(attributes)) for tag, attributes in of.elements})

    assert EVIL in "".join(attacked.words)
    assert not any("onerror" in attributes for _, attributes in attacked.elements)
    assert {tag for tag, _ in attacked.elements} <= {tag for tag, _ in page.elements}
    for _, attributes, data in attacked.scripts:
        if attributes.get("type") == "application/json":
            assert "<" not in data
            json.loads(data)
    # A script runs only if the page wrote it: what hides a page that comes back, Plotly's, and the page's own.
    assert len([a for tag, a in attacked.elements if tag == "script" and "type" not in a]) == 3
    assert ("script",) in shape(attacked)


@pytest.mark.parametrize("name", EDGES)
def test_a_run_at_the_edge_gives_a_calm_page(name):
    run, words = EDGES[name]
    page = Page(report_html(run))

    assert words in page.text
    assert not re.search(r"\b(nan|NaN|inf|NaT|<NA>)\b", page.text)
    for _, attributes, data in page.scripts:
        if attributes.get("type") == "application/json":
            json.loads(data, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))


@pytest.mark.parametrize("name", ["one parameter", "mixed choices", "all failed", "in progress"])
def test_a_run_at_the_edge_reads_the_same_from_its_files(name, tmp_path):
    run, words = EDGES[name]

    assert words in Page(report_html(Results(runs.write_run(run, tmp_path / "run")))).text
