"""The page for those who do not see it, or not well, or use no mouse: axe-core finds no fault, and keys reach all."""

import pytest
import report_run as runs

from search.report.page import write_comparison, write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
Axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed").Axe
expect = sync_api.expect


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_report(runs.synthetic_run(40), tmp_path_factory.mktemp("report") / "report.html")


def faults(page):
    """What axe-core finds that is serious or critical, with the elements it means."""
    found = Axe().run(page).response["violations"]
    return {
        fault["id"]: [node["target"] for node in fault["nodes"]][:3]
        for fault in found
        if fault["impact"] in ("serious", "critical")
    }


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_axe_finds_nothing_serious(browser, report, width, theme):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce")
    page.goto(report.as_uri())
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": width, "height": height})
    expect(page.locator(".plot[data-drawn=true]")).to_have_count(page.locator(".plot").count(), timeout=30_000)
    page.locator("#trial-table .opener").first.click()
    page.locator("#row-7 .opener").click()  # one that failed
    assert faults(page) == {}
    page.close()


def test_axe_finds_nothing_serious_on_a_comparison(browser, tmp_path):
    several = [runs.synthetic_run(30, seed=seed) for seed in range(2)]
    page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page.goto(write_comparison(several, tmp_path / "comparison.html").as_uri())
    page.set_viewport_size({"width": 1280, "height": page.evaluate("document.documentElement.scrollHeight")})
    expect(page.locator(".plot[data-drawn=true]")).to_have_count(page.locator(".plot").count(), timeout=30_000)
    assert faults(page) == {}
    page.close()


def test_a_fault_would_be_found(browser, report):
    page = browser.new_page()
    page.goto(report.as_uri())
    page.evaluate("document.querySelector('#filter').labels[0].remove()")
    page.evaluate("document.querySelector('#filter').removeAttribute('placeholder')")
    assert "label" in faults(page)
    page.close()


def test_the_tab_key_reaches_every_control_in_the_order_of_the_page(browser, report):
    page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page.goto(report.as_uri())
    wanted = page.evaluate(
        """() => [...document.querySelectorAll('nav a, button, input, summary, [tabindex="0"]')]
        .filter((e) => e.offsetParent !== null && !e.closest('#trial-table tbody') && !e.closest('.plot')).length"""
    )
    reached = set()
    for _ in range(wanted + 200):
        page.keyboard.press("Tab")
        key = page.evaluate(
            """() => { const e = document.activeElement; if (e === document.body) return null;
            const wanted = e.matches('nav a, button, input, summary, [tabindex="0"]');
            if (e.closest('#trial-table tbody') || !wanted) return "";
            return [...document.querySelectorAll('*')].indexOf(e); }"""
        )
        if key is None:
            break
        if key != "":
            reached.add(key)
    assert len(reached) >= wanted
    page.close()
