"""The page tells what the store holds, all of it and nothing more, and needs no other file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from report_store import FOLDER, HOSTILE, HOSTILE_NOTE, UNREAD, add_case, fill

from BottleneckOODLib.assessment.assessment import THUMBNAIL_FILE, Assessment, ReferenceFacts
from BottleneckOODLib.assessment.decision_record import DecisionLog
from BottleneckOODLib.assessment.thumbnail import MOST_BYTES
from BottleneckOODLib.assessment.wording import STATE_WORDS
from BottleneckOODLib.catalogue import find_reference
from BottleneckOODLib.cli.main import main
from BottleneckOODLib.errors import InputError, OutputError
from BottleneckOODLib.html_page import escaped
from BottleneckOODLib.ood.drift import control_chart
from BottleneckOODLib.ood.false_alarms import flagged_at
from BottleneckOODLib.reference.reference_folder import read_document
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.place import Place
from BottleneckOODLib.triage.report import charts
from BottleneckOODLib.triage.report.charts import chart_data
from BottleneckOODLib.triage.report.contents import gather
from BottleneckOODLib.triage.report.page import report_page
from BottleneckOODLib.triage.report.pictures import picture_of
from BottleneckOODLib.triage.report.writing import write_report
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Wish, Worklist

MakeAssessment = Callable[..., Assessment]


@pytest.fixture
def names(a_store: Store, make_assessment: MakeAssessment, tmp_path: Path) -> list[str]:
    return fill(a_store, tmp_path / "cases", make_assessment)


def without_plotly(page: str) -> str:
    """The page but for its longest script."""
    return page.replace(max(re.findall(r"<script>.*?</script>", page, re.DOTALL), key=len), "")


def test_the_cases_are_those_of_the_store_in_the_order_of_the_worklist(a_store: Store, names: list[str]) -> None:
    contents = gather(a_store)
    queue = Worklist(a_store).page(size=1000)
    assert [case.found.case_id for case in contents.listed] == [waiting.case_id for waiting in queue]
    assert [found.case_id for found in contents.results] == names
    assert [names[case.arrival] for case in contents.listed] == [case.found.case_id for case in contents.listed]
    assert contents.n_known == len(names)
    for light in ("red", "grey", "amber", "green"):
        for rating in ("minor_edit", "accept"):
            counted = Worklist(a_store).count(Wish(light=light, rating=rating))
            assert contents.counts.get((light, rating), 0) == counted
    assert sum(contents.counts.values()) == len(names)


def test_what_is_listed_is_limited_and_what_is_counted_is_not(a_store: Store, names: list[str]) -> None:
    contents = gather(a_store, most=3)
    assert [case.found.light for case in contents.listed] == ["red"] * 3
    assert len(contents.results) == sum(contents.counts.values()) == len(names)
    assert f"The 3 most unusual of {len(names)} cases are listed." in report_page(contents)
    assert len(chart_data(contents)["ranked"]["points"]) == len(names) - 1


def test_the_page_asks_for_nothing_and_names_no_folder(a_store: Store, names: list[str], tmp_path: Path) -> None:
    assert len(names) > len(HOSTILE)
    page = without_plotly(report_page(gather(a_store)))
    assert not re.search(r'\b(?:src|href)="(?!data:image/jpeg;base64,|#)', page)
    assert not re.search(r"https?://|@import|url\(", page)
    for secret in (str(tmp_path), FOLDER, "Doe^Jane", str(tmp_path.parent)):
        assert secret not in page
    assert "The file unread.nii.gz cannot be opened" in page


def test_every_name_and_note_stands_on_the_page_as_text_alone(a_store: Store, names: list[str]) -> None:
    page = without_plotly(report_page(gather(a_store)))
    for text in (*names, HOSTILE_NOTE):
        assert escaped(text) in page
        assert "<" not in text or text not in page
    block = re.search(r'<script id="report-data" type="application/json">(.*?)</script>', page)
    assert block is not None
    told = json.loads(block[1])
    assert sorted(case["id"] for case in told["cases"]) == sorted(names)


def test_pictures_are_the_folders_own_and_left_out_on_request(a_store: Store, names: list[str]) -> None:
    contents = gather(a_store)
    page = report_page(contents)
    # One case could not be read, and one folder has none.
    assert page.count("data:image/jpeg;base64,") == len(names) - 2
    assert "Without a picture: 2." in page
    bare = report_page(contents, pictures=False)
    assert "data:image/jpeg" not in bare
    assert "The pictures were left out." in bare


@pytest.mark.parametrize(
    "content",
    [b"", b"<svg onload=x>", b"\xff\xd8\xff" + b"0" * MOST_BYTES + b"\xff\xd9", b"\xff\xd8\xff no end"],
    ids=["empty", "markup", "too large", "torn"],
)
def test_what_is_no_picture_of_ours_is_not_shown(content: bytes, tmp_path: Path) -> None:
    (tmp_path / THUMBNAIL_FILE).write_bytes(content)
    assert picture_of(str(tmp_path)) == ""
    assert picture_of(str(tmp_path / "gone")) == picture_of("") == ""


def test_the_charts_count_every_judged_case(a_store: Store, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    contents = gather(a_store)
    data = chart_data(contents)
    n = len(names) - 1
    assert sum(sum(own) for own in data["scores"]["counts"].values()) == n
    for found in contents.judged:
        assert found.score is not None
        bar = max(i for i, left in enumerate(data["scores"]["from"]) if left <= min(found.score, 4.0) + 1e-9)
        assert data["scores"]["counts"][found.light][bar] >= 1
    p_values = np.array([found.p_value for found in contents.judged])
    assert [point[1] for point in data["ranked"]["points"]] == sorted(p_values)
    assert data["ranked"]["flagged"] == flagged_at(p_values, 0.1).sum()
    chart = control_chart(p_values)
    np.testing.assert_allclose([point[1] for point in data["drift"]["points"]], chart.sums, atol=1e-3)
    for _, p_value, light, line in data["ranked"]["points"]:
        assert contents.listed[line].found.p_value == p_value
        assert contents.listed[line].found.light == light
    monkeypatch.setattr(charts, "MOST_POINTS", 6)
    few = chart_data(contents)
    assert [point[0] for point in few["drift"]["points"]][:: len(few["drift"]["points"]) - 1] == [1, n]
    ranks = [point[0] for point in few["ranked"]["points"]]
    assert (ranks[:3], ranks[-1], len(ranks)) == ([1, 2, 3], n, 6)


def test_cases_of_another_reference_have_no_place_on_the_map(a_store: Store, make_assessment: MakeAssessment) -> None:
    for name in ("a", "b"):
        add_case(a_store, make_assessment("red", case_id=name))
    add_case(a_store, make_assessment("red", case_id="c", reference=ReferenceFacts("other", "ef" * 32, 9)))
    contents = gather(a_store)
    assert {case.found.case_id: case.placement is not None for case in contents.listed} == dict(a=True, b=True, c=False)
    assert contents.map_reference == make_assessment().reference
    assert contents.training == make_assessment().map_points


def test_only_what_a_reference_judged_is_compared_with_it(a_store: Store, make_assessment: MakeAssessment) -> None:
    for name in ("a", "b"):
        add_case(a_store, make_assessment("red", case_id=name))
    other = make_assessment("red", case_id="c", reference=ReferenceFacts("other", "ef" * 32, 9))
    a_store.note_case("c" * 64, "c", Place("c", "", "1"))
    a_store.add_assessment("c", "another", other, "", 1.0)
    contents = gather(a_store)
    assert [found.case_id for found in contents.judged] == ["a", "b", "c"]
    assert [found.case_id for found in contents.compared] == ["a", "b"]


def test_a_batch_that_runs_meanwhile_does_not_change_what_the_report_tells(
    a_store: Store, make_assessment: MakeAssessment, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_case(a_store, make_assessment("red", case_id="a"))
    decided = StoredDecisions.all

    def after_another_batch(decisions: StoredDecisions) -> Iterator[tuple[str, DecisionLog]]:
        a_store.add_failure("a", "another", "It could not be read; look at it.", 1.0)
        return decided(decisions)

    monkeypatch.setattr(StoredDecisions, "all", after_another_batch)
    contents = gather(a_store)
    assert [found.light for found in contents.results] == ["red"]
    assert contents.training == make_assessment().map_points


def test_levels_come_from_the_reference_that_judged(a_store: Store, make_assessment: MakeAssessment) -> None:
    fingerprint = read_document(find_reference("demo"))["fingerprint"]
    add_case(a_store, make_assessment("red", case_id="a", reference=ReferenceFacts("demo", fingerprint, 159)))
    contents = gather(a_store)
    assert contents.calibration is not None
    assert gather(a_store, reference="demo").calibration is not None
    levels = chart_data(contents)["scores"]["levels"]
    for light, level in (("amber", 0.10), ("red", 0.02)):
        above = 1 + np.count_nonzero(contents.calibration > levels[light])
        at = 1 + np.count_nonzero(contents.calibration >= levels[light])
        assert above / (len(contents.calibration) + 1) <= level < at / (len(contents.calibration) + 1)
    elsewhere = "of the cases shown were compared with another one"
    assert elsewhere not in report_page(contents)
    other = make_assessment("red", case_id="b", reference=ReferenceFacts("other", "ef" * 32, 9))
    a_store.note_case("b" * 64, "b", Place("b", "", "1"))
    a_store.add_assessment("b", "another", other, "", 1.0)
    assert f"1 {elsewhere}" in report_page(gather(a_store, reference="demo"))


def test_a_reference_that_did_not_judge_is_refused(a_store: Store, make_assessment: MakeAssessment) -> None:
    add_case(a_store, make_assessment("red"))
    assert gather(a_store).calibration is None
    with pytest.raises(InputError, match=r'^The reference "demo" did not judge the cases of this store; .*\.$'):
        gather(a_store, reference="demo")


def test_a_store_without_a_result_has_a_page_that_says_so(a_store: Store, tmp_path: Path) -> None:
    assert a_store.note_case("0" * 64, "new", Place("new.nii.gz", "", "1")) == "new"
    assert write_report(a_store, tmp_path / "r.html") == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "There is no case yet." in page
    assert "0 with a result, 1 without one" in page
    assert len(page) < 50_000, "no chart, so no library for charts"


def test_the_demo_is_named_as_one(a_store: Store, make_assessment: MakeAssessment) -> None:
    add_case(a_store, make_assessment("red"))
    assert "Demonstration model" in without_plotly(report_page(gather(a_store)))


def test_the_file_is_written_whole_and_replaces_only_when_told(a_store: Store, tmp_path: Path) -> None:
    for name in ("r.txt", "r"):
        with pytest.raises(OutputError, match=r"ends in \.html\.$"):
            write_report(a_store, tmp_path / name)
    path = tmp_path / "r.html"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already and was kept"):
        write_report(a_store, path)
    assert path.read_text() == "mine"
    write_report(a_store, path, overwrite=True)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(OutputError, match=r"cannot be written.*\.$"):
        write_report(a_store, tmp_path / "nowhere" / "r.html")
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".writing")]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "The report needs a file"),
        (["--output", "r.pdf"], "ends in .html"),
        (["--output", "r.html", "--reference", "nowhere"], "was not found"),
    ],
)
def test_a_wrong_command_is_one_sentence(
    words: list[str], sentence: str, a_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert a_store.counts()["cases"] == 0
    monkeypatch.chdir(tmp_path)
    assert main(["triage", "report", "--store", "triage.db", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.splitlines()) == 1
    assert not list(tmp_path.glob("*.html"))


def test_the_light_s_word_stands_once_beside_a_case(a_store: Store, make_assessment: MakeAssessment) -> None:
    sentence = f"{STATE_WORDS['red']}: more unusual than 99 of 100 training cases; review the mask."
    add_case(a_store, make_assessment("red", case_id="a", sentence=sentence))
    written = report_page(gather(a_store), pictures=False)
    assert "More unusual than 99 of 100 training cases; review the mask." in written
    assert sentence not in written


def test_the_command_writes_the_page(names: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["triage", "report", "--store", str(tmp_path / "triage.db"), "--output", str(tmp_path / "r.html")]
    assert main([*words, "--no-thumbnails"]) == 0
    assert f"The report of {len(names)} cases lies in" in capsys.readouterr().out
    assert "data:image/jpeg" not in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert main(words) == 2
    assert main([*words, "--overwrite"]) == 0
    assert "data:image/jpeg" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert escaped(UNREAD) in (tmp_path / "r.html").read_text(encoding="utf-8")
