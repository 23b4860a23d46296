"""Stopped and gone on, twice into one folder, refused: what stands in the output folder at each moment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from BottleneckOODLib.errors import Cancelled, EvaluationError, OutputError
from BottleneckOODLib.evaluation.tables import RESULT_COLUMNS
from BottleneckOODLib.progress import CancelToken, Progress

Rows = Callable[[Path], list[dict[str, str]]]
FINISHED = {"results.csv", "scores.csv", "cases.csv", "evaluation.json", "report.html"}


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def without_times(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def stop_at(share: float) -> dict[str, object]:
    token = CancelToken()

    def progress(report: Progress) -> None:
        if report.fraction >= share:
            token.cancel()

    return {"progress": progress, "cancel": token}


def test_the_results_begin_with_the_columns_that_others_rely_on() -> None:
    promised = ["mode", "reducer", "parameters", "detector", "k", "seed", "auroc", "auprc", "fpr90", "pearson", "aurc"]
    promised += ["n_id", "n_ood", "seconds"]
    assert list(RESULT_COLUMNS[: len(promised)]) == promised
    for name in ("auroc", "auprc", "fpr90", "pearson", "aurc"):
        assert {f"{name}_low", f"{name}_high"} <= set(RESULT_COLUMNS)


@pytest.mark.parametrize("mode", ["deployable", "paper"])
def test_a_stopped_evaluation_goes_on_where_it_stopped(
    mode: str, tmp_path: Path, make_cohort_files: Callable[..., object], results: Rows
) -> None:
    files = make_cohort_files(tmp_path / "cohort")
    files.run(tmp_path / "whole", mode=mode)
    output = tmp_path / "out"
    with pytest.raises(Cancelled):
        files.run(output, mode=mode, **stop_at(0.25))
    unfinished = output / f"unfinished-{mode}"
    assert names_in(output) == {unfinished.name}
    done = {path.name: path.stat().st_mtime_ns for path in unfinished.glob("[0-9]*.json")}
    assert 1 < len(done) < 7
    with pytest.raises(OutputError, match="--resume"):
        files.run(output, mode=mode)
    with pytest.raises(Cancelled):
        files.run(output, mode=mode, resume=True, **stop_at(0.5))
    assert done.items() <= {path.name: path.stat().st_mtime_ns for path in unfinished.glob("[0-9]*.json")}.items()
    files.run(output, mode=mode, resume=True)
    assert names_in(output) == FINISHED
    assert without_times(results(output)) == without_times(results(tmp_path / "whole"))
    for name in ("scores.csv", "cases.csv"):
        assert (output / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_what_was_begun_with_other_settings_or_cases_is_not_gone_on_with(
    tmp_path: Path, make_cohort_files: Callable[..., object], results: Rows
) -> None:
    files = make_cohort_files(tmp_path / "cohort")
    with pytest.raises(Cancelled):
        files.run(tmp_path / "out", **stop_at(0.4))
    with pytest.raises(EvaluationError, match="other cases or settings"):
        files.run(tmp_path / "out", resume=True, neighbours=(3,))
    files.run(tmp_path / "out", overwrite=True, neighbours=(3,))
    assert {row["k"] for row in results(tmp_path / "out")} == {"3", ""}
    with pytest.raises(OutputError, match="other settings"):
        files.run(tmp_path / "out", resume=True)


def test_both_modes_stand_side_by_side_in_one_folder(
    tmp_path: Path, make_cohort_files: Callable[..., object], results: Rows
) -> None:
    files = make_cohort_files(tmp_path / "cohort")
    files.run(tmp_path / "out")
    first = results(tmp_path / "out")
    files.run(tmp_path / "out", mode="paper")
    both = results(tmp_path / "out")
    assert [row for row in both if row["mode"] == "deployable"] == first
    assert {row["mode"] for row in both} == {"deployable", "paper"}
    with pytest.raises(OutputError, match="--overwrite"):
        files.run(tmp_path / "out", mode="paper")
    before = (tmp_path / "out" / "results.csv").read_bytes()
    files.run(tmp_path / "out", mode="paper", resume=True)
    assert (tmp_path / "out" / "results.csv").read_bytes() == before
    files.run(tmp_path / "out", mode="paper", overwrite=True, neighbours=(3,))
    assert [row for row in results(tmp_path / "out") if row["mode"] == "deployable"] == first


def test_results_of_other_cases_are_not_mixed(tmp_path: Path, make_cohort_files: Callable[..., object]) -> None:
    make_cohort_files(tmp_path / "one").run(tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(OutputError, match="other cases"):
        make_cohort_files(tmp_path / "two", seed=3).run(tmp_path / "out", mode="paper")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_few_cases_and_what_does_not_fit_are_told(tmp_path: Path, make_cohort_files: Callable[..., object]) -> None:
    files = make_cohort_files(tmp_path / "cohort")
    notes = " ".join(files.run(tmp_path / "out", reducers=("none", "avgpool", "pca", "tsne")))
    for told in ("9 out-of-distribution", "12 in-distribution", "k of 32 and more", "average poolings", "PCA", "t-SNE"):
        assert told in notes.replace("only ", ""), told
    kept = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))["deployable"]["notes"]
    assert " ".join(kept) == notes
    many = make_cohort_files(tmp_path / "many", 24, 120)
    assert not any("fewer than" in note for note in many.run(tmp_path / "out2", reducers=("none",)))


def test_progress_rises_to_the_end_and_tells_the_time_left(
    tmp_path: Path, make_cohort_files: Callable[..., object]
) -> None:
    reports: list[Progress] = []
    make_cohort_files(tmp_path / "cohort").run(tmp_path / "out", progress=reports.append)
    fractions = [report.fraction for report in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert any(report.seconds_left is not None for report in reports)


def test_intervals_hold_their_figure_and_counts_stand_beside(
    tmp_path: Path, make_cohort_files: Callable[..., object], results: Rows
) -> None:
    files = make_cohort_files(tmp_path / "cohort")
    files.run(tmp_path / "out", n_bootstrap=300)
    for row in results(tmp_path / "out"):
        assert float(row["auroc_low"]) <= float(row["auroc"]) <= float(row["auroc_high"])
        assert float(row["dice_gained_low"]) <= float(row["dice_gained"]) <= float(row["dice_gained_high"])
        assert (row["n_id"], row["n_ood"]) == ("12", "9")
        assert float(row["excess_aurc"]) <= float(row["aurc"])
