"""The report in a real browser without a network: it works, it is harmless, and it can be read by everybody."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import numpy.typing as npt
import pytest
from browser import Browser, a_browser
from report_store import HOSTILE, HOSTILE_NOTE, HOSTILE_TRAINING, UNREAD, add_case, add_unread, fill

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.wording import STATE_WORDS
from BottleneckOODLib.triage.report.contents import Contents, gather
from BottleneckOODLib.triage.report.writing import write_report
from BottleneckOODLib.triage.store import Store

MakeAssessment = Callable[..., Assessment]
Luminance = npt.NDArray[np.float64]
SHOWN = "#queue tbody tr:not([hidden])"
LARGE = "width: 48px; height: 48px; position: fixed; left: 0; top: 0; z-index: 9; background: #fff; max-width: none"
WIDTHS = {"phone": 390, "tablet": 820, "desktop": 1400}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with a_browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, make_assessment: MakeAssessment) -> tuple[Path, Contents]:
    folder = tmp_path_factory.mktemp("report")
    with Store(str(folder / "triage.db")) as store:
        fill(store, folder / "cases", make_assessment)
        write_report(store, folder / "report.html")
        return folder / "report.html", gather(store)


@pytest.fixture
def page(browser: Browser, report: tuple[Path, Contents]) -> Iterator[Browser]:
    browser.open(report[0])
    yield browser
    assert browser.complaints() == []
    assert browser.run("return window.canary") is None


@pytest.fixture
def names(report: tuple[Path, Contents]) -> list[str]:
    return [case.found.case_id for case in report[1].listed]


def shown(page: Browser) -> list[str]:
    return list(page.run(f"return [...document.querySelectorAll('{SHOWN} .name')].map((one) => one.textContent)"))


def points(page: Browser, chart: str) -> list[dict[str, Any]]:
    """Every point of a chart that stands for a line of the list, with where it is in the window."""
    script = """
      const place = document.getElementById(arguments[0]);
      place.scrollIntoView({ block: "center" });
      const box = place.getBoundingClientRect(), { xaxis, yaxis } = place._fullLayout;
      return place.data.flatMap((trace) => (trace.customdata || []).map((line, at) => ({
        line, x: trace.x[at], y: trace.y[at],
        left: box.left + xaxis._offset + xaxis.l2p(trace.x[at]), top: box.top + yaxis._offset + yaxis.l2p(trace.y[at]),
      })));
    """
    return [point for point in page.run(script, chart) if isinstance(point["line"], int)]


def point_at(page: Browser, chart: str, line: int) -> dict[str, Any]:
    return next(point for point in points(page, chart) if point["line"] == line)


def ring(page: Browser, chart: str) -> list[list[float]]:
    """Where the ring around the marked case is drawn."""
    return list(
        page.run("const last = document.getElementById(arguments[0]).data.at(-1); return [last.x, last.y]", chart)
    )


def move_to(page: Browser, point: dict[str, Any], *, click: bool = False) -> None:
    for kind in ("mouseMoved", *(("mousePressed", "mouseReleased") if click else ())):
        event = {
            "type": kind,
            "x": point["left"],
            "y": point["top"],
            "button": "left" if click else "none",
            "clickCount": 1,
        }
        page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def test_it_asks_for_nothing_and_shows_every_case(page: Browser, names: list[str]) -> None:
    assert shown(page) == names
    assert (
        page.run("return performance.getEntriesByType('resource').filter((one) => !one.name.startsWith('data:'))") == []
    )
    assert page.run("return document.scripts.length") == 4, "its own three and the data"
    told = [json.loads(element.get_attribute("textContent")) for element in page.all("#report-data")]
    assert len(told[0]["cases"]) == len(names)
    assert (
        page.run("return [...document.querySelectorAll('.chart')].map((one) => one.querySelectorAll('svg').length > 0)")
        == [True] * 4
    )


def test_a_browser_refuses_what_came_in_with_a_text(page: Browser) -> None:
    """Were the escaping wrong one day, the page's own rules would still keep the script from running."""
    page.run("document.body.insertAdjacentHTML('beforeend', '<img src=\"x:y\" onerror=\"window.canary=9\">')")
    page.run("const s = document.createElement('script'); s.textContent = 'window.canary = 8'; document.body.append(s)")
    refused: list[str] = []

    def all_told() -> bool:
        # The picture, what it would do, and the script; each is told when the browser comes to it.
        refused.extend(line for line in page.complaints() if "Content Security Policy" in line)
        return len(refused) == 3

    page.wait(all_told)
    assert page.run("return window.canary") is None
    page.complaints()


def test_hostile_texts_are_texts(page: Browser, names: list[str]) -> None:
    assert set(HOSTILE) < set(names)
    notes = page.run("return [...document.querySelectorAll('.rating small')].map((one) => one.textContent)")
    assert notes
    assert all(note.endswith(HOSTILE_NOTE) for note in notes)
    assert (
        page.run("return document.querySelectorAll('#queue iframe, #queue script, #queue b b, #queue a').length") == 0
    )
    assert UNREAD in page.one(".failures").text


def test_the_pointer_on_a_point_tells_whose_it_is(page: Browser, names: list[str]) -> None:
    for line, name in enumerate(names):
        if name in HOSTILE:
            move_to(page, point_at(page, "chart-map", line))
            told = page.wait(
                lambda: page.run("const h = document.getElementById('hint'); return h.hidden ? '' : h.textContent")
            )
            assert any(name in told for name in names)
            assert page.run("return document.querySelectorAll('#hint b, #hint span, #hint img').length") >= 2
            move_to(page, {"left": 1, "top": 1})
            page.wait(lambda: page.run("return document.getElementById('hint').hidden"))
    place = page.one("#chart-map .scatterlayer .trace:first-child .point")
    box = page.run("const b = arguments[0].getBoundingClientRect(); return [b.left, b.right, b.top, b.bottom]", place)
    move_to(page, {"left": (box[0] + box[1]) / 2, "top": (box[2] + box[3]) / 2})
    # What was told last stands there, hidden, until the next is told.
    page.wait(lambda: HOSTILE_TRAINING in page.run("return document.getElementById('hint').textContent"))
    assert page.one("#hint").is_displayed()
    assert page.run("return document.querySelectorAll('#hint script, #hint b').length") == 0


@pytest.mark.parametrize("chart", ["chart-map", "chart-ranked", "chart-drift"])
def test_a_click_on_a_point_finds_its_line(page: Browser, names: list[str], chart: str) -> None:
    # Even where the filters hide it.
    page.run("document.querySelector('[name=light][value=amber]').click()")
    page.wait(lambda: len(shown(page)) < len(names))
    line = next(
        n for n in range(len(names)) if page.run(f"return document.getElementById('line-{n}').dataset.light") == "amber"
    )
    move_to(page, point_at(page, chart, line), click=True)
    page.wait(lambda: page.all("tr.is-marked"))
    [row] = page.all("tr.is-marked")
    assert row.get_attribute("id") == f"line-{line}"
    assert row.get_attribute("aria-current") == "true"
    box = page.run("const b = arguments[0].getBoundingClientRect(); return [b.top, b.bottom, innerHeight]", row)
    assert 0 <= box[0] < box[1] <= box[2], "the line was scrolled to"
    assert page.run("return document.activeElement.textContent") == names[line]
    page.wait(lambda: len(shown(page)) == len(names))
    assert page.one("#marked-name").text.strip() != ""


def test_a_line_marks_its_points_also_by_key(page: Browser, names: list[str]) -> None:
    from selenium.webdriver.common.keys import Keys

    line = names.index("case-3")
    button = page.all("#queue tbody .name")[line]
    button.send_keys(Keys.ENTER)
    for chart in ("chart-map", "chart-ranked", "chart-drift"):
        point = point_at(page, chart, line)
        assert ring(page, chart) == [[point["x"]], [point["y"]]]
    button.send_keys(Keys.ESCAPE)
    assert ring(page, "chart-map") == [[], []]
    assert not page.one("#marked").is_displayed()
    page.all("#queue tbody .name")[names.index(UNREAD)].send_keys(Keys.ENTER)
    assert "has no place on the map" in page.one("#marked").text
    assert ring(page, "chart-map") == [[], []]


def test_filters_and_sorting(page: Browser, report: tuple[Path, Contents], names: list[str]) -> None:
    listed = {case.found.case_id: case for case in report[1].listed}
    for light in ("red", "green", "grey"):
        page.one(f"[name=light][value={light}]").click()
    amber = [name for name in names if listed[name].found.light == "amber"]
    assert page.wait(lambda: shown(page) == amber)
    assert page.one("#shown").text == f"{len(amber)} of {len(names)} cases"
    page.one("#filters [type=reset]").click()
    assert page.wait(lambda: shown(page) == names)
    page.one("#filter-rating [value='is:minor_edit']").click()
    rated = [name for name in names if listed[name].decisions.standing]
    assert page.wait(lambda: shown(page) == rated)
    page.one("#filters [type=reset]").click()
    page.one("#filter-text").send_keys("CASE-1 review")
    assert page.wait(lambda: shown(page) == [name for name in names if name.startswith("case-1")])
    page.one("#filter-text").send_keys(" nothing-like-that")
    assert page.wait(lambda: page.one("#none-left").is_displayed())
    page.one("#filters [type=reset]").click()
    page.wait(lambda: shown(page) == names)
    page.one("[data-sort=p]").click()
    found = [listed[name].found.p_value for name in shown(page)]
    assert found[-1] is None
    assert [p for p in found if p is not None] == sorted(p for p in found if p is not None)
    page.one("[data-sort=name]").click()
    plain = [name for name in shown(page) if name.startswith("case-")]
    assert plain == [f"case-{number}" for number in range(len(plain))], "9 comes before 10"
    page.one("[data-sort=name]").click()
    assert [name for name in shown(page) if name.startswith("case-")] == plain[::-1]
    page.one("[data-sort=light]").click()
    assert shown(page) == names


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_nothing_is_cut_off_at_any_width(browser: Browser, report: tuple[Path, Contents], width: int) -> None:
    browser.open(report[0], width=width)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    cut = """
      const parts = "#queue td, #queue tbody th, .facts dd, .counts th, .counts td, .filters label";
      return [...document.querySelectorAll(parts)]
        .filter((one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline")
        .map((one) => one.textContent.slice(0, 60));
    """
    assert browser.run(cut) == []
    legends = """
      return [...document.querySelectorAll(".chart")].flatMap((chart) => {
        const box = chart.getBoundingClientRect();
        return [...chart.querySelectorAll(".legendtext, .xtitle, .ytitle, .xtick text, .ytick text")]
          .map((one) => [one.textContent, one.getBoundingClientRect()])
          .filter(([, b]) => b.left < box.left - 1 || b.right > box.right + 1 || b.bottom > box.bottom + 1)
          .map(([text]) => `${chart.id}: ${text}`);
      });
    """
    assert browser.run(legends) == []


def test_it_prints(page: Browser) -> None:
    pdf = page.pdf()
    assert pdf.startswith(b"%PDF-")
    assert b"%%EOF" in pdf[-32:]
    assert pdf.count(b"/Type /Page\n") >= 2
    drawn = "return [...document.images].every((one) => one.complete && one.naturalWidth > 0)"
    assert page.wait(lambda: page.run(drawn))
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not page.one("#filters").is_displayed()
        assert page.one("#queue").is_displayed()
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def luminance(png: bytes) -> Luminance:
    """Relative luminance of a picture, as WCAG 2.2 defines it, shape (rows, columns)."""
    rgb = matplotlib.image.imread(io.BytesIO(png))[..., :3].astype(np.float64)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


@pytest.mark.parametrize("deficiency", ["none", "deuteranopia", "achromatopsia"])
def test_lights_are_told_apart_without_colour(page: Browser, deficiency: str) -> None:
    page.see_as(deficiency)
    try:
        drawn: dict[str, Luminance] = {}
        for light, word in STATE_WORDS.items():
            cell = page.one(f"#queue tr[data-light={light}] .state")
            assert cell.text.replace("\n", " ").strip() == word
            values = luminance(cell.find_element("css selector", "span span").screenshot_as_png)
            assert contrast(values.max(), values.min()) >= 4.5, "the word can be read"
            # Large and alone, so that the shape is compared and not its pixels; the shape scales.
            shape = cell.find_element("css selector", "svg")
            page.run("arguments[0].style.cssText = arguments[1]", shape, LARGE)
            drawn[light] = luminance(shape.screenshot_as_png)
            page.run("arguments[0].style.cssText = ''", shape)
            ground, edge = drawn[light].max(), drawn[light].min()
            assert contrast(ground, edge) >= 4.5, "the shape stands out from the page"
        lights = list(drawn)
        for number, one in enumerate(lights):
            for other in lights[number + 1 :]:
                differs = np.abs(np.log((drawn[one] + 0.05) / (drawn[other] + 0.05))) > np.log(1.5)
                assert differs.mean() > 0.05, f"{one} and {other} differ in light and dark"
    finally:
        page.see_as("none")


@pytest.mark.parametrize("kind", ["one case", "one unread", "all grey", "no case"])
def test_small_and_sad_stores(browser: Browser, make_assessment: MakeAssessment, tmp_path: Path, kind: str) -> None:
    with Store(str(tmp_path / "t.db")) as store:
        if kind == "one case":
            add_case(store, make_assessment("red"))
        if kind == "one unread":
            add_unread(store, "a", "The file is empty; copy or download it again.")
        if kind == "all grey":
            for name in ("a", "b"):
                add_case(store, make_assessment("grey", case_id=name))
        write_report(store, tmp_path / "r.html")
    browser.open(tmp_path / "r.html")
    assert browser.complaints() == []
    text = browser.one("body").text
    n_empty = len(
        [one for one in browser.all(".chart") if not one.text and not one.find_elements("css selector", "svg")]
    )
    assert n_empty == 0, "no chart is an empty box"
    assert ("There is no case yet" in text) == (kind == "no case")
    assert ("nothing can be drawn" in text) == (kind != "one case")
    if kind != "no case":
        browser.all(".name")[0].click()
        assert browser.one("#marked").is_displayed()
    assert browser.complaints() == []
