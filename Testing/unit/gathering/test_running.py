"""Cases are measured once, in their order, whatever goes wrong with some of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from BottleneckOODLib.deaf_children import deaf_children
from BottleneckOODLib.errors import Cancelled, ModelError, ReferenceSetError
from BottleneckOODLib.gathering import processes
from BottleneckOODLib.gathering.case import CaseForReference, GatheredCase, GatheringPlan, LeftOutCase
from BottleneckOODLib.gathering.gathered import Gathered
from BottleneckOODLib.gathering.running import FITTING, gathered_cases
from BottleneckOODLib.imaging.label_choice import LabelChoice
from BottleneckOODLib.progress import LEFT_OUT, CancelToken, Progress
from BottleneckOODLib.reference_cases import listed_cases

Plan = Callable[..., GatheringPlan]
Result = GatheredCase | LeftOutCase
BOTH = LabelChoice.parse("left=1,right=2")


def measured(cases: list[CaseForReference], plan: GatheringPlan, **options: object) -> list[Result]:
    return list(gathered_cases(cases, plan, n_cases=len(cases), **options))  # type: ignore[arg-type]


def kept(results: list[Result]) -> list[str]:
    return [result.case.case_id for result in results if isinstance(result, GatheredCase)]


def left_out(results: list[Result]) -> dict[str, str]:
    return {result.case_id: result.reason for result in results if isinstance(result, LeftOutCase)}


def assert_same_rows(one: list[Result], other: list[Result], *, measured_anew: bool = False) -> None:
    # A network's last digits vary from run to run, with what else the processor does.
    near = {"rtol": 1e-5 if measured_anew else 0, "atol": 1e-6 if measured_anew else 0}
    assert [type(result) for result in one] == [type(result) for result in other]
    for a, b in zip(one, other, strict=True):
        if isinstance(a, LeftOutCase) or isinstance(b, LeftOutCase):
            assert a == b
            continue
        outcomes = [
            np.array([row.case.dice, row.case.surface_mm, row.case.hausdorff95_mm], np.float64) for row in (a, b)
        ]
        # A voxel that is half organ may come to lie on the other side.
        np.testing.assert_allclose(*outcomes, rtol=0.02 if measured_anew else 0)
        of_a, of_b = (replace(row.case, dice=None, surface_mm=None, hausdorff95_mm=None) for row in (a, b))
        assert (of_a, a.image) == (of_b, b.image)
        assert set(a.row.features) == set(b.row.features)
        for space in a.row.features:
            np.testing.assert_allclose(a.row.features[space], b.row.features[space], err_msg=space, **near)
        # Tokens are kept in half precision, where a last digit is a thousandth.
        near_tokens = {name: 2000 * value for name, value in near.items()}
        np.testing.assert_allclose(a.row.tokens, b.row.tokens, **near_tokens)


def test_what_cannot_be_used_is_told_and_does_not_stop_the_rest(
    scans: Path, plan: Plan, write_image: Callable[[np.ndarray, Path], Path]
) -> None:
    images = scans / "images"
    (images / "case-01.nii.gz").write_bytes(b"no image")
    shutil.copy(images / "case-00.nii.gz", images / "case-02.nii.gz")
    write_image(np.random.default_rng(0).integers(0, 4000, (16, 36, 48)).astype(np.int16), images / "case-03.nii.gz")
    write_image(np.ones((4, 5, 6), np.uint8), scans / "labels" / "case-04.nii.gz")
    cases = listed_cases(images, scans / "labels", BOTH)[:8]
    told: list[Progress] = []
    results = measured(cases, plan(), progress=told.append)
    assert kept(results) == ["case-00", "case-05", "case-06", "case-07"]
    reasons = left_out(results)
    assert list(reasons) == ["case-01", "case-02", "case-03", "case-04"]
    assert reasons["case-02"] == "It is the same image as case-00."
    assert "not Hounsfield units" in reasons["case-03"]
    assert "another size" in reasons["case-04"]
    assert [p.message.split(": ")[1] for p in told if p.message.startswith(LEFT_OUT)] == list(reasons)


def test_what_is_very_unusual_by_a_plain_fact_is_kept_on_request(
    scans: Path, plan: Plan, write_image: Callable[[np.ndarray, Path], Path]
) -> None:
    odd = write_image(np.random.default_rng(0).integers(0, 900, (16, 36, 48)).astype(np.int16), scans / "odd.nii.gz")
    table = scans / "one.csv"
    table.write_text(f"image\n{odd.name}\n")
    assert "Hounsfield" in left_out(measured(listed_cases(table), plan()))["odd"]
    assert left_out(measured(listed_cases(table), plan(keep_unusual=True))) == {}


def test_an_image_of_another_modality_never_reaches_the_model(scans: Path, plan: Plan, count_runs: list[str]) -> None:
    (case, *_) = listed_cases(scans / "images")
    volume, _ = case.load()
    other = CaseForReference("mr", lambda: (replace(volume, modality="MR"), None))
    assert "trained on CT" in left_out(measured([other], plan()))["mr"]
    assert count_runs == []


def test_a_case_keeps_how_far_its_mask_is_from_its_labels_and_what_was_measured_on_its_image(
    scans: Path, plan: Plan
) -> None:
    (result,) = measured(listed_cases(scans / "images", scans / "labels", BOTH)[:1], plan())
    assert isinstance(result, GatheredCase)
    case = result.case
    assert case.dice is not None
    assert case.surface_mm is not None
    assert case.hausdorff95_mm is not None
    assert 0 <= case.dice < 1
    assert 0 < case.surface_mm <= case.hausdorff95_mm
    assert (case.modality, case.spacing_mm, case.extent_mm) == ("CT", (6.0, 6.0, 6.0), (288.0, 216.0, 96.0))
    (unlabelled,) = measured(listed_cases(scans / "images")[:1], plan())
    assert isinstance(unlabelled, GatheredCase)
    assert (unlabelled.case.dice, unlabelled.case.surface_mm, unlabelled.case.hausdorff95_mm) == (None, None, None)


def test_several_processes_give_what_one_gives_in_the_same_order_and_stop_when_they_are_asked(
    scans: Path, plan: Plan, tmp_path: Path
) -> None:
    (scans / "images" / "case-02.nii.gz").write_bytes(b"no image")
    shutil.copy(scans / "images" / "case-00.nii.gz", scans / "images" / "case-04.nii.gz")
    cases = listed_cases(scans / "images", scans / "labels", BOTH)
    told: list[Progress] = []
    cancel = CancelToken()
    running = gathered_cases(
        cases, plan(cache=tmp_path / "kept"), n_cases=24, workers=2, progress=told.append, cancel=cancel
    )
    together = list(islice(running, 9))
    cancel.cancel()
    with pytest.raises(Cancelled):
        next(running)
    different_images = len({row.image for row in together if isinstance(row, GatheredCase)})
    assert different_images <= len(list((tmp_path / "kept").glob("*.safetensors"))) < 24
    assert_same_rows(measured(cases[:9], plan()), together, measured_anew=True)
    assert set(left_out(together)) == {"case-02", "case-04"}
    fractions = [report.fraction for report in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(FITTING * 9 / 24)


def test_a_case_that_does_not_come_to_its_next_window_does_not_hold_up_a_stop(plan: Plan) -> None:
    cancel = CancelToken()
    hours_to_read: Any = partial(time.sleep, 3600)
    cases = [CaseForReference(f"slow-{number}", hours_to_read) for number in range(4)]
    running = gathered_cases(cases, plan(), n_cases=4, workers=2, cancel=cancel)
    threading.Timer(0.5, cancel.cancel).start()
    with pytest.raises(Cancelled):
        next(running)


@pytest.mark.parametrize("others", [0, 3], ids=["the only one", "while others measure"])
def test_a_process_that_is_gone_ends_the_run_with_a_sentence(plan: Plan, others: int) -> None:
    """As where the system wants its memory; nobody waits for what the process would still have answered."""
    gone: Any = partial(os._exit, 3)
    hours_to_read: Any = partial(time.sleep, 3600)
    cases = [CaseForReference("gone", gone), *(CaseForReference(f"slow-{n}", hours_to_read) for n in range(others))]
    with pytest.raises(ReferenceSetError, match="A process that measured cases ended"):
        measured(cases, plan(), workers=2)


class DoneJustAfter(Future[Any]):
    """Becomes done between a look that came too early and the question whether it is done.

    Args:
        failure: What its work raised; None where it gave a row.
    """

    def __init__(self, failure: Exception | None) -> None:
        super().__init__()
        self._failure = failure

    def result(self, timeout: float | None = None) -> Any:
        if self.done():
            return super().result(timeout)
        self.set_result("a row") if self._failure is None else self.set_exception(self._failure)
        raise NotYet


def test_a_case_that_is_done_just_after_a_look_is_taken_and_its_own_lateness_is_told() -> None:
    assert processes._result(DoneJustAfter(None), CancelToken()) == "a row"
    with pytest.raises(NotYet, match="the drive"):
        processes._result(DoneJustAfter(NotYet("the drive")), CancelToken())


@pytest.mark.skipif(sys.platform == "win32", reason="no process there has such signals")
def test_an_interrupt_of_the_terminal_does_not_reach_a_process_that_just_begins() -> None:
    with deaf_children():
        begun = subprocess.Popen([sys.executable, "-c", "print('heard nothing')"], stdout=subprocess.PIPE, text=True)
    begun.send_signal(signal.SIGINT)
    told, _ = begun.communicate(timeout=300)
    assert (told, begun.returncode) == ("heard nothing\n", 0)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_kept_row_is_the_row_that_was_measured_and_the_model_does_not_run_again(
    scans: Path, plan: Plan, tmp_path: Path, count_runs: list[str]
) -> None:
    cases = listed_cases(scans / "images", scans / "labels", BOTH)[:4]
    first = measured(cases, plan(cache=tmp_path / "kept"))
    assert len(count_runs) == 4
    again = measured(cases, plan(cache=tmp_path / "kept"))
    assert len(count_runs) == 4
    assert_same_rows(first, again)
    assert [result.ran for result in again if isinstance(result, GatheredCase)] == [False] * 4
    assert_same_rows(first, measured(cases, plan()), measured_anew=True)


def test_a_row_belongs_to_its_image_its_labels_the_model_and_the_pooling(
    scans: Path, plan: Plan, tmp_path: Path, count_runs: list[str], write_image: Callable[[np.ndarray, Path], Path]
) -> None:
    def again(**changes: object) -> int:
        """How many of the two cases the model runs on."""
        before = len(count_runs)
        measured(listed_cases(scans / "images", scans / "labels", BOTH)[:2], plan(cache=tmp_path / "kept", **changes))
        return len(count_runs) - before

    assert again() == 2
    assert again() == 0
    assert again(pooling="max") == 2
    assert again(fingerprint="f" * 64) == 2
    assert again(thumbnails=True) == 2
    labels = np.zeros((16, 36, 48), np.uint8)
    labels[4:8, 10:20, 10:20] = 1
    write_image(labels, scans / "labels" / "case-00.nii.gz")
    assert again() == 1
    (scans / "images" / "case-01.nii.gz").write_bytes((scans / "images" / "case-20.nii.gz").read_bytes())
    assert again() == 1
    assert again() == 0


def test_a_damaged_row_is_measured_again(scans: Path, plan: Plan, tmp_path: Path, count_runs: list[str]) -> None:
    cases = listed_cases(scans / "images")[:3]
    first = measured(cases, plan(cache=tmp_path / "kept"))
    files = sorted((tmp_path / "kept").iterdir())
    assert len(files) == 3
    files[0].write_bytes(files[0].read_bytes()[:100])
    files[1].write_bytes(b"")
    assert_same_rows(first, measured(cases, plan(cache=tmp_path / "kept")), measured_anew=True)
    assert len(count_runs) == 5


def test_a_place_that_cannot_be_written_costs_the_rows_and_not_the_run(scans: Path, plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    assert len(kept(measured(listed_cases(scans / "images")[:2], plan(cache=tmp_path / "kept")))) == 2


def test_a_stop_ends_the_run_and_keeps_what_was_measured(scans: Path, plan: Plan, tmp_path: Path) -> None:
    cancel = CancelToken()
    running = gathered_cases(listed_cases(scans / "images"), plan(cache=tmp_path / "kept"), n_cases=24, cancel=cancel)
    assert len(list(islice(running, 3))) == 3
    cancel.cancel()
    with pytest.raises(Cancelled):
        next(running)
    assert len(list((tmp_path / "kept").glob("*.safetensors"))) == 3


def test_a_stop_while_the_model_runs_ends_it_at_the_next_step(scans: Path, plan: Plan, tmp_path: Path) -> None:
    cancel = CancelToken()

    def stop_within(report: Progress) -> None:
        if 0 < report.fraction < FITTING / 24:
            cancel.cancel()

    with pytest.raises(Cancelled):
        measured(listed_cases(scans / "images"), plan(cache=tmp_path / "kept"), progress=stop_within, cancel=cancel)
    assert not (tmp_path / "kept").exists()


def test_a_model_that_cannot_be_loaded_ends_the_run(scans: Path, plan: Plan, tmp_path: Path) -> None:
    """It is no fault of the first case, and the others would fail alike."""
    from functools import partial

    from BottleneckOODLib.logic import _loaded_segmenter

    with pytest.raises(ModelError):
        measured(listed_cases(scans / "images"), plan(load_segmenter=partial(_loaded_segmenter, tmp_path, "cpu")))


def test_the_time_left_is_that_of_the_cases_the_model_still_has_to_see(
    scans: Path, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cases that were kept take no time and must not promise that the others take none."""
    from BottleneckOODLib.gathering import case, running

    now = [0.0]
    monkeypatch.setattr(running.time, "monotonic", lambda: now[0])
    cases = listed_cases(scans / "images")[:6]
    measured(cases[:3], plan(cache=tmp_path / "kept"))
    measure = case.measured_case

    def slow(*arguments, **options):  # type: ignore[no-untyped-def]
        now[0] += 10.0
        return measure(*arguments[:3], **options)

    monkeypatch.setattr(case, "measured_case", slow)
    told: list[Progress] = []
    measured(cases, plan(cache=tmp_path / "kept"), progress=told.append)
    left = [report.seconds_left for report in told]
    assert left[0] is None
    assert next(seconds for seconds in left if seconds is not None) == pytest.approx(20.0)
    assert left[-1] == pytest.approx(0.0)


def test_cases_put_together_stand_in_their_order_with_the_dice_that_was_given_where_none_was_measured(
    scans: Path, plan: Plan
) -> None:
    cases = [*listed_cases(scans / "images", scans / "labels", BOTH)[:2], *listed_cases(scans / "images")[2:5]]
    results = measured(cases, plan(thumbnails=True))
    gathered = Gathered.of(iter(results), {"case-00": 0.111, "case-03": 0.75, "nobody": 1.0})
    assert [case.case_id for case in gathered.cases] == [f"case-{n:02d}" for n in range(5)]
    assert gathered.cases[0].dice != 0.111
    assert [case.dice for case in gathered.cases[2:]] == [None, 0.75, None]
    for space, rows in gathered.features.items():
        assert rows.shape[0] == 5, space
    bank = gathered.bank()
    assert bank is not None
    assert set(bank.case_index.tolist()) == set(range(5))
    assert all(picture.startswith(b"\x89PNG") for picture in gathered.thumbnails)
    assert len(gathered.thumbnails) == 5


def test_nothing_gathered_is_empty() -> None:
    gathered = Gathered.of([LeftOutCase("a", "No image.")], {})
    assert (gathered.features, gathered.cases, gathered.left_out) == ({}, (), ("a: No image.",))
    assert gathered.bank() is None
