"""The module's manual agrees with what the module does."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from BottleneckOODLib.assessment.decision import RATING_WORDS, Shown, overrules
from BottleneckOODLib.assessment.wording import BEYOND_MAP, MAP_NOTE, NOT_FOR_CLINICAL_USE, STATE_SHAPES, STATE_WORDS
from BottleneckOODLib.catalogue import HOME_VARIABLE
from BottleneckOODLib.ood.calibration import AMBER_LEVEL, RED_LEVEL
from BottleneckOODLib.panel.review_state import RATING_TIPS
from BottleneckOODLib.reference.scoring import MIN_CASES

SCREENSHOTS = {f"panel-{name}.png" for name in ("green", "amber", "red", "grey", "worklist")}
TROUBLES = (
    "CUDA out of memory",
    "Force the CPU",
    "torch does not see the graphics card",
    "Folders with spaces, umlauts or very long names",
    "Half-finished installation",
    "Offline installation",
    "Where the log is",
    "How to report a bug",
)


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "module.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def words(page: str) -> str:
    return " ".join(page.split())


def rows_of(page: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_each_light_stands_there_as_the_program_says_it(page: str) -> None:
    rows = [row for row in rows_of(page) if row[0].split()[0] in STATE_WORDS]
    wanted = [[f"{light} {STATE_SHAPES[light]}", word] for light, word in STATE_WORDS.items()]
    assert [row[:2] for row in rows] == wanted
    levels = {row[0].split()[0]: re.findall(r"0\.\d+", row[2]) for row in rows}
    amber, red = f"{AMBER_LEVEL:.2f}", f"{RED_LEVEL:.2f}"
    assert levels == {"green": [amber], "amber": [amber], "red": [red], "grey": []}


def test_each_rating_has_its_key_and_its_meaning(page: str) -> None:
    rows = [row for row in rows_of(page) if row[0] in set("12345")]
    wanted = [[str(key), RATING_WORDS[name], RATING_TIPS[name]] for key, name in enumerate(RATING_WORDS, start=1)]
    assert rows == wanted


def test_what_asks_for_a_reason_is_what_overrules(words: str) -> None:
    told = re.search(r"overrule the light \((.*?) on red; (.*?) on green\)", words)
    assert told is not None
    for light, names in zip(("red", "green"), told.groups(), strict=True):
        wanted = {word for name, word in RATING_WORDS.items() if overrules(name, Shown(light, None, ""))}
        assert set(re.findall(r"\*(.*?)\*", names)) == wanted
    assert not [name for name in RATING_WORDS for light in ("amber", "grey") if overrules(name, Shown(light, None, ""))]


def test_the_map_s_caveat_and_the_caution_are_the_program_s(words: str) -> None:
    assert MAP_NOTE in words
    assert BEYOND_MAP in words
    assert NOT_FOR_CLINICAL_USE in words


def test_the_numbers_of_cases_are_the_program_s(words: str) -> None:
    assert f"At least {MIN_CASES} cases" in words
    # The smallest number of cases with 1 / (n + 1) <= the red level.
    assert f"{round(1 / RED_LEVEL) - 1} before the light can become red" in words
    assert HOME_VARIABLE in words


def test_the_tutorial_has_five_steps(page: str) -> None:
    tutorial = page.split("## Tutorial")[1].split("\n## ", maxsplit=1)[0]
    assert re.findall(r"(?m)^(\d)\. \*\*", tutorial) == list("12345")


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_has_its_place(page: str, trouble: str) -> None:
    assert f"\n### {trouble}\n" in page.split("## Troubleshooting")[1]


def test_the_pictures_are_those_of_the_panel(page: str) -> None:
    assert {Path(name).name for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)} == SCREENSHOTS


def test_every_page_that_it_points_to_is_there(repository: Path, page: str) -> None:
    for target in re.findall(r"(?<!!)\[[^]]+\]\(([^)]+)\)", page):
        name, _, anchor = target.partition("#")
        text = page if not name else (repository / "docs" / name).read_text(encoding="utf-8")
        headings = {slug(heading) for heading in re.findall(r"(?m)^#+ (.*)$", text)}
        assert not anchor or anchor in headings, target


def test_every_section_of_the_panel_has_its_heading(repository: Path, page: str) -> None:
    form = repository / "BottleneckOOD" / "Resources" / "UI" / "BottleneckOOD.ui"
    if not form.is_file():
        pytest.skip("there is no panel yet")
    sections = [
        "".join(text.itertext()).strip()
        for widget in ElementTree.parse(form).iter("widget")
        if widget.get("class") == "ctkCollapsibleButton"
        for text in widget.findall("property[@name='text']")
    ]
    assert sections
    assert re.findall(r"(?m)^### (.*)$", page.split("## The panel")[1].split("\n## ", maxsplit=1)[0]) == sections


def test_it_promises_nothing(words: str) -> None:
    assert not re.search(r"\b(ok|okay|passe[sd]|safe(ly)?|correct(ly)?|normal(ly)?)\b", words, re.IGNORECASE)
