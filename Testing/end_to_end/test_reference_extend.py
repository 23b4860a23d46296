"""What readers accepted becomes a new version of the reference; the old one stays, and what would change is told."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from BottleneckOODLib.assessment.decision import decide, shown_of
from BottleneckOODLib.cli import reference_extend
from BottleneckOODLib.cli.main import main
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.volume import Volume, to_sitk
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.store import Store

Captured = pytest.CaptureFixture[str]
NEW, DOUBLE, GONE, DISPUTED, REJECTED = 6, "double", "gone", "disputed", "rejected"


def write(body: Volume, path: Path) -> None:
    sitk.WriteImage(to_sitk(body.voxels, body.geometry), str(path))


def tree(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Site:
    """A store with cases that readers rated, the model and the reference."""

    def __init__(self, folder: Path, model: ModelFolder, reference: Path, make_a_body: Callable[[int], Volume]) -> None:
        self.folder, self.model, self.reference = folder, model.folder, reference
        scans = folder / "scans"
        scans.mkdir()
        for number in range(NEW):
            write(make_a_body(3000 + number), scans / f"new{number:02d}.nii.gz")
        # The reference's own case 7, under another name.
        write(make_a_body(7), scans / f"{DOUBLE}.nii.gz")
        for number, name in enumerate((GONE, DISPUTED, REJECTED)):
            write(make_a_body(4000 + number), scans / f"{name}.nii.gz")
        words = ["triage", str(scans), "--store", self.store, "--names", "files", "--model", str(self.model)]
        assert main([*words, "--reference", str(reference), "--device", "cpu"]) == 0
        for name in [*self.new, DOUBLE, GONE, DISPUTED]:
            self.rate(name, "accept", "AB")
        self.rate("new00", "accept", "CD")
        self.rate("new01", "accept", "CD")
        self.rate(DISPUTED, "major_edit", "CD")
        self.rate(REJECTED, "reject", "CD")
        (scans / f"{GONE}.nii.gz").unlink()

    @property
    def new(self) -> list[str]:
        return [f"new{number:02d}" for number in range(NEW)]

    @property
    def store(self) -> str:
        return str(self.folder / "t.db")

    def rate(self, case_id: str, rating: str, reader: str) -> None:
        with Store(self.store) as store:
            assessment = store.assessment_of(case_id)
            assert assessment is not None
            StoredDecisions(store).add(
                decide(
                    assessment,
                    rating,  # type: ignore[arg-type]
                    reader=reader,
                    reasons=("mask_fits",),
                    shown=shown_of(assessment),
                )
            )

    def extend(self, output: Path, *more: str) -> int:
        words = ["reference", "extend", str(self.reference), "--store", self.store, "--output", str(output)]
        return main([*words, "--model", str(self.model), "--device", "cpu", *more])


@pytest.fixture(scope="module")
def site(
    a_model_with_its_reference: tuple[ModelFolder, Path],
    make_a_body: Callable[[int], Volume],
    tmp_path_factory: pytest.TempPathFactory,
) -> Site:
    model, reference = a_model_with_its_reference
    if model.network_type != "unet":
        pytest.skip("one family is enough")
    return Site(tmp_path_factory.mktemp("site"), model, reference, make_a_body)


@pytest.fixture(scope="module")
def kept(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows of a dry run, so that the model runs once a case for all these tests."""
    output = tmp_path_factory.mktemp("kept") / "new"
    assert site.extend(output) == 0
    return output.with_name("new.partial")


@pytest.fixture
def output(kept: Path, tmp_path: Path) -> Path:
    for name in ("new", "third"):
        shutil.copytree(kept, tmp_path / f"{name}.partial")
    return tmp_path / "new"


def test_a_case_that_can_no_longer_be_read_is_told_without_the_name_of_its_file(
    site: Site, output: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path, **options: Any) -> Volume:
        if "new00" in path.name:
            raise InputError(f"The image {path.name} was not read after 8 s; see {path}.")
        return read_volume(path, **options)

    monkeypatch.setattr(reference_extend, "reader", lambda trusted: read)
    assert site.extend(output, "--compare", "0") == 0
    told = capsys.readouterr().out
    assert "new00: The image new00 was not read after 8 s; see new00." in told
    assert "new00.nii" not in told


def test_a_dry_run_tells_and_makes_nothing(site: Site, output: Path, capsys: Captured) -> None:
    before = tree(site.reference)
    assert site.extend(output) == 0
    told = capsys.readouterr().out
    n = len(Reference.load(site.reference).cases)
    assert f"cases: {n} training cases before, {n + NEW} training cases after" in told
    assert f"smallest p-value: {1 / (n + 1):.4f} before, {1 / (n + NEW + 1):.4f} after" in told
    assert f"of {NEW} change their light" in told
    assert f"{DOUBLE}: The reference holds the same image as round-07." in told
    assert f"{GONE}: Its image is not where it was" in told
    assert f'{DISPUTED}: Another reader rated it "Major edit".' in told
    assert REJECTED not in told.split("left out")[1]
    assert "All added cases come from one folder" in told
    assert "Nothing was made; add --write" in told
    assert not output.exists()
    assert tree(site.reference) == before


def test_the_new_version_holds_both_and_says_where_it_comes_from(site: Site, output: Path, capsys: Captured) -> None:
    before, old = tree(site.reference), Reference.load(site.reference)
    assert site.extend(output, "--write") == 0
    assert tree(site.reference) == before
    assert not output.with_name("new.partial").exists()
    new = Reference.load(output)
    assert [case.case_id for case in new.cases] == [*(case.case_id for case in old.cases), *site.new]
    assert new.cases[: len(old.cases)] == old.cases
    assert {case.dice for case in new.cases[len(old.cases) :]} == {None}
    assert new.fingerprint != old.fingerprint
    assert new.model_fingerprint == old.model_fingerprint
    (step,) = new.settings["versions"]
    assert (step["parent"], step["parent_name"]) == (old.fingerprint, "round")
    assert (step["n_added"], step["n_left_out"], step["n_readers"]) == (NEW, 3, 2)
    assert "AB" not in (output / "reference.json").read_text()
    for name, space in new.spaces.items():
        np.testing.assert_array_equal(space.features[: len(old.cases)], old.spaces[name].features)
        assert space.detector.name == old.spaces[name].detector.name
        assert len(space.leave_one_out) == len(new.cases)
    assert old.bank is not None
    assert new.bank is not None
    assert len(np.unique(new.bank.case_index)) == len(np.unique(old.bank.case_index)) + NEW
    capsys.readouterr()
    assert main(["reference", "show", str(output)]) == 0
    assert f"round ({old.fingerprint[:8]}) by {NEW} cases that 2 readers rated accept" in capsys.readouterr().out


def test_what_was_added_is_judged_as_assess_measures_it(site: Site, output: Path) -> None:
    """The row that is added is the vector that the light of the same image came from."""
    assert site.extend(output, "--write") == 0
    new, old = Reference.load(output), Reference.load(site.reference)
    logic = BottleneckOODLogic(site.model, output, device="cpu")
    assert logic.reference.fingerprint == new.fingerprint
    row = len(old.cases) + 3
    features = {name: space.features[row] for name, space in new.spaces.items()}
    with Store(site.store) as store:
        assessment = store.assessment_of("new03")
    assert assessment is not None
    assert old.score(features).p_value == pytest.approx(assessment.p_value)
    assert old.score(features).score == pytest.approx(assessment.score, rel=1e-3, abs=1e-3)


def test_two_readers_can_be_asked_for_and_named(site: Site, output: Path, capsys: Captured) -> None:
    assert site.extend(output, "--readings", "2", "--name-readers", "--write", "--compare", "0") == 0
    told = capsys.readouterr().out
    new = Reference.load(output)
    assert [case.case_id for case in new.cases[-2:]] == ["new00", "new01"]
    assert new.settings["versions"][0]["readers"] == ["AB", "CD"]
    assert "new02: 1 of the 2 readers that are needed rated it." in told
    assert "2 added cases are too few" in told
    # Drawn by lot are none, but what a reader rejected is looked at always.
    assert "other cases of the store: 0 of 1 change" in told


def test_a_version_of_a_version_keeps_both_steps(site: Site, output: Path, tmp_path: Path, capsys: Captured) -> None:
    assert site.extend(output, "--readings", "2", "--write", "--compare", "0") == 0
    first = Reference.load(output)
    words = ["reference", "extend", str(output), "--store", site.store, "--output", str(tmp_path / "third")]
    assert main([*words, "--model", str(site.model), "--device", "cpu", "--write", "--compare", "0"]) == 0
    told = capsys.readouterr().out
    third = Reference.load(tmp_path / "third")
    assert [step["n_added"] for step in third.settings["versions"]] == [2, NEW - 2]
    assert third.settings["versions"][1]["parent"] == first.fingerprint
    assert "new00: The reference holds the same image as new00." in told


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--rating", "minor_edit"], "No case can be added"),
        (["--readings", "0"], "--readings"),
        (["--model", "demo"], "was made by another model"),
        (["--store", "nowhere.db"], "does not exist"),
    ],
)
def test_a_wrong_wish_is_one_sentence(
    site: Site, output: Path, more: list[str], sentence: str, capsys: Captured
) -> None:
    assert site.extend(output, *more) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert sentence in told
    assert not output.exists()


def test_an_existing_folder_is_kept(site: Site, output: Path, capsys: Captured) -> None:
    before = tree(site.reference)
    assert site.extend(site.reference, "--write") == 2
    assert "needs a new folder" in capsys.readouterr().err
    assert tree(site.reference) == before
