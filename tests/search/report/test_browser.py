"""The page in a real browser: every figure drawn, nothing asked of the network, and every control does what it says."""

import edge_runs as edges
import pytest
import report_run as runs

from search.report.page import write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_report(runs.synthetic_run(70), tmp_path_factory.mktemp("report") / "report.html")


def draw_all(page):
    """Make the window as high as the page, so that every figure is in view; the number of figures."""
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": page.viewport_size["width"], "height": height})
    figures = page.locator(".plot").count()
    expect(page.locator(".plot[data-drawn=true]")).to_have_count(figures, timeout=20_000)
    return figures


MARKS = ".scatterlayer .point, .scatterlayer .js-line, .barlayer .point path, .heatmaplayer image, .heatmaplayer .hm"


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_every_figure_is_drawn_and_none_is_empty(visit, report, width, theme):
    page = visit(report, width, theme)

    assert draw_all(page) > 20
    for plot in page.locator(".plot").all():
        boxes = plot.locator(MARKS).evaluate_all(
            "marks => marks.map(m => m.getBoundingClientRect()).map(b => b.width + b.height)"
        )
        assert boxes, plot.get_attribute("aria-label")
        assert max(boxes) > 2


def test_a_narrow_page_never_scrolls_sideways(visit, report):
    width = 390
    page = visit(report, width)
    draw_all(page)
    page.locator("#trial-table .opener").first.click()

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for plot in page.locator(".plot-scroll").all():
        box = plot.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_figures_below_are_drawn_only_when_scrolled_to(visit, report):
    page = visit(report)
    page.wait_for_timeout(500)
    assert page.locator(".plot[data-drawn]").count() < 4

    page.locator(".plot").last.scroll_into_view_if_needed()
    expect(page.locator(".plot").last).to_have_attribute("data-drawn", "true")


def test_figures_follow_the_theme_while_the_page_is_open(visit, report):
    page = visit(report)
    page.locator("#history-plot").scroll_into_view_if_needed()
    page.wait_for_selector("#history-plot[data-drawn]")
    text = page.locator("#history-plot .xtick text").first
    expect(text).to_have_css("fill", "rgb(91, 99, 110)")

    page.emulate_media(color_scheme="dark")
    expect(text).to_have_css("fill", "rgb(164, 171, 181)")


def test_everything_is_drawn_for_print_in_light_colours(visit, report):
    page = visit(report, theme="dark")
    page.emulate_media(media="print")
    expect(page.locator(".plot[data-drawn=true]")).to_have_count(page.locator(".plot").count(), timeout=20_000)

    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(page.locator("#history-plot .xtick text").first).to_have_css("fill", "rgb(91, 99, 110)")
    assert len(page.pdf(format="A4")) > 50_000


def test_figures_fit_the_paper_however_wide_the_window(visit, report):
    page = visit(report, 1600)
    page.emulate_media(media="print")
    plots = page.locator(".plot")
    expect(page.locator(".plot[data-drawn=true]")).to_have_count(plots.count(), timeout=20_000)
    page.set_viewport_size({"width": 700, "height": 1000})  # A4 within its margins
    page.wait_for_timeout(300)
    for plot in plots.all():
        paper, drawn = plot.locator("xpath=..").bounding_box(), plot.locator(".main-svg").first.bounding_box()
        assert drawn["width"] <= paper["width"] + 1, plot.get_attribute("id")


def test_trials_are_sorted_by_any_column_with_gaps_last(visit, report):
    page = visit(report)
    header = page.locator("#trial-table thead th").nth(2)

    def scores():
        return page.locator("#trial-table tbody tr.row td:nth-child(3)").all_inner_texts()

    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    page.locator("#more").click()
    down = scores()
    assert len(down) == 70
    numbers = [float(text) for text in down if text != "–"]
    assert numbers == sorted(numbers, reverse=True)
    assert set(down[len(numbers) :]) == {"–"}

    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    up = scores()
    assert [float(text) for text in up if text != "–"] == numbers[::-1]
    assert set(up[len(numbers) :]) == {"–"}


def test_trials_are_filtered_by_any_text(visit, report):
    page = visit(report)
    page.fill("#filter", "failed GPU memory")
    rows = page.locator("#trial-table tbody tr.row")

    assert 0 < rows.count() < 20
    assert page.locator("#shown").inner_text() == f"{rows.count()} of 70 trials"
    assert set(page.locator(".status").all_inner_texts()) == {"failed"}
    page.fill("#filter", "nothing is called this")
    assert rows.count() == 0
    page.fill("#filter", "")
    assert rows.count() == 50


def test_a_row_opens_its_configuration_and_its_error(visit, report):
    page = visit(report)
    opener = page.locator("#row-7 .opener")
    opener.click()

    assert opener.get_attribute("aria-expanded") == "true"
    detail = page.locator("#row-7 + tr.detail")
    assert '"lr_g": ' in detail.inner_text()
    assert "Traceback (most recent call last)" in detail.inner_text()
    opener.press("Enter")
    assert page.locator("tr.detail").count() == 0


def test_a_link_to_a_trial_opens_it_wherever_it_is(visit, report):
    page = visit(report, fragment="#trial-66")
    page.wait_for_selector("#row-66 + tr.detail")
    expect(page.locator("#row-66")).to_be_in_viewport()

    page.fill("#filter", "nothing is called this")
    page.locator("#answer a.trial-link").first.click()
    number = page.locator("#answer a.trial-link").first.inner_text().split()[1]
    page.wait_for_selector(f"#row-{number} + tr.detail")


def test_a_click_on_a_point_opens_its_trial(visit, report):
    page = visit(report)
    page.locator("#history-plot").scroll_into_view_if_needed()
    page.wait_for_selector("#history-plot[data-drawn]")
    star = (
        page.locator("#history-plot .scatterlayer .trace")
        .filter(has=page.locator(".point"))
        .last.locator(".point")
        .last
    )
    box = star.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#history-plot .hoverlayer .hovertext")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("tr.detail")


def test_the_configuration_is_copied(visit, report):
    page = visit(report)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("button[data-copy=winner]").click()
    page.wait_for_selector("button[data-copy=winner]:text('Copied')")

    scope = {}
    exec(page.evaluate("navigator.clipboard.readText()"), scope)
    assert 1e-5 <= scope["config"]["lr_g"] <= 1e-2


def test_no_text_of_a_user_runs(visit, tmp_path):
    page = visit(write_report(edges.evil_run(), tmp_path / "evil.html"))
    draw_all(page)
    for opener in range(3):
        page.locator("#trial-table .opener").nth(opener).click()

    assert page.evaluate("window.hacked") is None
    assert "<script>window.hacked" in page.locator("tr.detail").first.inner_text()
    assert page.locator(".plot a").count() == 0


@pytest.mark.parametrize("name", ["one trial", "mixed choices", "gain unknown"])
def test_a_run_at_the_edge_draws_what_it_promises(visit, tmp_path, name):
    run, _ = edges.EDGES[name]
    draw_all(visit(write_report(run, tmp_path / "edge.html"), width=390))
