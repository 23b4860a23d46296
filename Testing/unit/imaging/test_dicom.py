"""A folder of DICOM slices becomes one volume whose voxels lie where the slices say, and which names nobody."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_slices import replace_raw

from BottleneckOODLib.errors import InputError, SeriesChoiceError
from BottleneckOODLib.imaging import dicom
from BottleneckOODLib.imaging.dicom import acquisition_facts, choose_series, list_series
from BottleneckOODLib.imaging.reading import read_volume

WriteSlices = Callable[..., np.ndarray]
A, B, C = "1.2.3.10", "1.2.3.20", "1.2.3.30"
SECRETS = {
    "PatientName": "Secret^Name", "PatientID": "SECRET-1", "PatientBirthDate": "19010203",
    "PatientAddress": "Secret Street", "AccessionNumber": "SECRET-2", "StudyDate": "19990102", "StudyID": "SECRET-3",
    "InstitutionName": "Secret Hospital", "ReferringPhysicianName": "Secret^Doctor", "StationName": "SECRET-4",
    "DeviceSerialNumber": "SECRET-5", "StudyDescription": "secret study", "SeriesDescription": "secret series",
    "ProtocolName": "secret protocol", "ImageComments": "secret comment", "ContrastBolusAgent": "secret agent",
}  # fmt: skip


def tilted(degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    return np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize("seed", range(4))
def test_slices_in_any_order_of_files_become_the_same_volume(
    tmp_path: Path, write_slices: WriteSlices, seed: int
) -> None:
    names = [f"file{n}.dcm" for n in range(4)]
    random.Random(seed).shuffle(names)
    stored = write_slices(tmp_path / "scan", uid=A, names=names)
    volume = read_volume(tmp_path / "scan")
    assert np.array_equal(volume.voxels, stored)
    assert volume.geometry.size_ijk == (5, 6, 4)
    assert volume.geometry.spacing_mm == (0.5, 0.75, 2.5)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("degrees", [0.0, 20.0, 90.0, -130.0])
def test_every_slice_lies_where_its_header_says(
    tmp_path: Path, write_slices: WriteSlices, degrees: float, backwards: bool
) -> None:
    axes = tilted(degrees)
    places = [np.array([-120.5, 33.25, 700.125]) + axes[:, 2] * 1.25 * k for k in range(4)]
    places = places[::-1] if backwards else places
    stored = write_slices(tmp_path / "scan", uid=A, axes=axes, positions=places)
    volume = read_volume(tmp_path / "scan")
    for pixels, place in zip(stored, places, strict=True):
        k = int(np.argmin([np.abs(plane - pixels).max() for plane in volume.voxels]))
        assert np.array_equal(volume.voxels[k], pixels)
        corners = volume.geometry.ijk_to_lps(np.array([[0, 0, k], [1, 0, k], [0, 1, k]]))
        assert corners == pytest.approx(
            np.array([place, place + 0.5 * axes[:, 0], place + 0.75 * axes[:, 1]]), abs=1e-6
        )


@pytest.mark.parametrize(("slope", "intercept"), [(1, -1024), (2, 0), (0.5, -100.25)])
def test_rescale_slope_and_intercept_are_applied(
    tmp_path: Path, write_slices: WriteSlices, slope: float, intercept: float
) -> None:
    stored = write_slices(tmp_path / "scan", uid=A, RescaleSlope=slope, RescaleIntercept=intercept)
    assert np.array_equal(read_volume(tmp_path / "scan").voxels, (stored * slope + intercept).astype(np.float32))


@pytest.mark.parametrize(("said", "read"), [("CT", "CT"), ("MR", "MR")])
def test_the_modality_is_what_the_header_says_whatever_is_wished(
    tmp_path: Path, write_slices: WriteSlices, said: str, read: str
) -> None:
    write_slices(tmp_path / "scan", uid=A, Modality=said)
    assert read_volume(tmp_path / "scan").modality == read
    assert read_volume(tmp_path / "scan", modality="MR").modality == read


@pytest.fixture
def three_series(tmp_path: Path, write_slices: WriteSlices) -> tuple[Path, dict[str, np.ndarray]]:
    """Of 3, 5 and 3 slices."""
    stored = {}
    for value, (uid, count) in enumerate({B: 3, A: 5, C: 3}.items(), start=1):
        pixels = np.random.default_rng(value).integers(0, 900, (count, 4, 5)).astype(np.int16)
        stored[uid] = write_slices(tmp_path / "scans", uid=uid, stored=pixels)
    return tmp_path / "scans", stored


def test_several_series_are_listed_longest_first(three_series: tuple[Path, dict[str, np.ndarray]]) -> None:
    series, passed_over = list_series(three_series[0])
    assert [(s.uid, len(s.files), s.modality) for s in series] == [(A, 5, "CT"), (B, 3, "CT"), (C, 3, "CT")]
    assert passed_over == []
    assert series[0].line == "CT, 5 slices of 2.5 mm"


def test_a_series_is_chosen_by_number_or_by_uid(three_series: tuple[Path, dict[str, np.ndarray]]) -> None:
    folder, stored = three_series
    for number, uid in enumerate((A, B, C), start=1):
        assert np.array_equal(read_volume(folder, series=str(number)).voxels, stored[uid])
        assert np.array_equal(read_volume(folder, series=uid).voxels, stored[uid])


@pytest.mark.parametrize("wish", [None, "0", "4", "1.2.3", "", "-1"])
def test_without_a_series_of_that_name_all_are_offered(
    three_series: tuple[Path, dict[str, np.ndarray]], wish: str | None
) -> None:
    with pytest.raises(SeriesChoiceError, match="choose one by its place in this list, or its UID") as caught:
        read_volume(three_series[0], series=wish)
    assert list(caught.value.series) == ["1: CT, 5 slices of 2.5 mm", *(f"{n}: CT, 3 slices of 2.5 mm" for n in (2, 3))]
    assert not any(uid in str(caught.value) for uid in (A, B, C, "1.2.3"))


def test_an_unknown_wish_is_not_met_by_the_only_series(tmp_path: Path, write_slices: WriteSlices) -> None:
    write_slices(tmp_path / "scan", uid=A)
    series, _ = list_series(tmp_path / "scan")
    assert choose_series(series, None, tmp_path) is choose_series(series, "1", tmp_path) is series[0]
    with pytest.raises(SeriesChoiceError, match="has no series 2"):
        choose_series(series, "2", tmp_path)


def test_files_that_are_no_part_of_the_series_are_passed_over(tmp_path: Path, write_slices: WriteSlices) -> None:
    folder = tmp_path / "scan"
    stored = write_slices(folder, uid=A)
    (folder / "notes.txt").write_text("nothing")
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    (folder / "empty.dcm").write_bytes(b"")
    write_slices(folder, uid=B, Modality="SEG", names=[f"seg{n}" for n in range(4)])
    write_slices(folder / "deeper", uid=C)
    assert sorted(list_series(folder)[1]) == ["DICOMDIR", "empty.dcm", "notes.txt", "seg0", "seg1", "seg2", "seg3"]
    volume = read_volume(folder)
    assert np.array_equal(volume.voxels, stored)
    assert len(volume.warnings) == 1
    assert volume.warnings[0].startswith("7 file(s)")


def test_a_folder_of_objects_that_are_no_images_says_so(tmp_path: Path, write_slices: WriteSlices) -> None:
    write_slices(tmp_path / "plans", uid=A, Modality="RTSTRUCT")
    with pytest.raises(InputError, match=r"DICOM objects \(RTSTRUCT\) but no images"):
        read_volume(tmp_path / "plans")


def test_no_identifier_reaches_the_volume(tmp_path: Path, write_slices: WriteSlices) -> None:
    write_slices(tmp_path / "scan", uid=A, **SECRETS)
    volume = read_volume(tmp_path / "scan")
    text = repr([volume, volume.name, volume.acquisition, volume.warnings])
    for secret in (*SECRETS.values(), A, "1.2.826.0.1.3680043.8.498.1", str(tmp_path.parent)):
        assert secret.lower() not in text.lower()
    assert volume.name == "scan"


def test_facts_of_the_acquisition_are_kept_as_numbers_and_words() -> None:
    header = pydicom.Dataset()
    assert acquisition_facts(header) == {}
    header.Modality, header.Manufacturer, header.KVP, header.SliceThickness = "CT", "Maker", "120", "1.25"
    header.ConvolutionKernel, header.FlipAngle = ["B30f", "2"], ""
    assert acquisition_facts(header) == {
        "manufacturer": "Maker", "kvp": 120.0, "slice_thickness_mm": 1.25, "kernel": "B30f\\2",
        "contrast_agent": "not stated",
    }  # fmt: skip
    header.ContrastBolusAgent = "some"
    assert acquisition_facts(header)["contrast_agent"] == "yes"


UP = np.array([0.0, 0.0, 2.5])
SIDE = np.array([0.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("positions", "elements", "sentence"),
    [
        ([0 * UP], {}, "single slice"),
        ([0 * UP, UP, 3 * UP], {}, "not evenly spaced"),
        ([0 * UP, UP, 1.2 * UP], {}, "not evenly spaced"),
        ([0 * UP, UP, UP], {}, "several slices at one position"),
        ([k * (UP + SIDE * 1.2) for k in range(4)], {}, "tilted gantry"),
        ([k * UP for k in range(3)], {"ImagePositionPatient": None}, "does not say where"),
        ([k * UP for k in range(3)], {"ImageOrientationPatient": None}, "does not say where"),
        ([k * UP for k in range(3)], {"NumberOfFrames": 3}, "multi-frame"),
        ([k * UP for k in range(3)], {"SamplesPerPixel": 3}, "colour"),
        ([k * UP for k in range(3)], {"PixelData": b""}, "pixels are missing"),
    ],
)
def test_slices_that_form_no_regular_volume_are_refused(
    tmp_path: Path, write_slices: WriteSlices, positions: list[np.ndarray], elements: dict[str, object], sentence: str
) -> None:
    stored = np.random.default_rng(0).integers(0, 900, (len(positions), 6, 5)).astype(np.int16)
    write_slices(tmp_path / "scan", uid=A, stored=stored, positions=positions, **elements)
    with pytest.raises(InputError, match=sentence):
        read_volume(tmp_path / "scan")


@pytest.mark.parametrize("axes", [np.eye(3), tilted(90.0)], ids=["smaller", "turned"])
def test_a_localizer_in_the_same_series_is_refused(tmp_path: Path, write_slices: WriteSlices, axes: np.ndarray) -> None:
    write_slices(tmp_path / "scan", uid=A)
    write_slices(
        tmp_path / "scan", uid=A, axes=axes, stored=np.ones((1, 3 if axes[1, 1] > 0.5 else 6, 5), np.int16),
        positions=[UP * 4], names=["localizer"],
    )  # fmt: skip
    with pytest.raises(InputError, match="differ in size or orientation"):
        read_volume(tmp_path / "scan")


@pytest.mark.parametrize(
    "elements",
    [
        pytest.param({"PixelSpacing": None}, id="no pixel spacing"),
        pytest.param({"PixelSpacing": [0, 0]}, id="pixel spacing of zero"),
        pytest.param({"ImageOrientationPatient": [1, 0, 0, 0.5, 0.8660254, 0]}, id="rows not across columns"),
    ],
)
def test_a_grid_that_would_be_made_up_is_refused(
    tmp_path: Path, write_slices: WriteSlices, elements: dict[str, object]
) -> None:
    write_slices(tmp_path / "scan", uid=A, **elements)
    with pytest.raises(InputError, match="scan"):
        read_volume(tmp_path / "scan")


def test_slices_of_different_pixel_spacing_are_refused(tmp_path: Path, write_slices: WriteSlices) -> None:
    write_slices(tmp_path / "scan", uid=A)
    stored = np.ones((1, 6, 5), np.int16)
    write_slices(tmp_path / "scan", uid=A, stored=stored, positions=[UP * 4], names=["x"], PixelSpacing=[1.5, 1])
    with pytest.raises(InputError, match="differ"):
        read_volume(tmp_path / "scan")


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("SliceThickness", b"thick "),
        ("Rows", b""),
        ("ImagePositionPatient", b""),
        ("ImageOrientationPatient", b""),
        ("ImagePositionPatient", b"0\\0\\nan "),
        ("ImagePositionPatient", b"0\\0 "),
        ("ImagePositionPatient", b"a\\b\\c "),
        ("ImageOrientationPatient", b"a\\b\\c\\0\\0\\0 "),
    ],
)
def test_an_element_that_holds_nonsense_ends_in_a_sentence_at_worst(
    tmp_path: Path, write_slices: WriteSlices, tag: str, text: bytes
) -> None:
    write_slices(tmp_path / "scan", uid=A)
    for path in (tmp_path / "scan").iterdir():
        replace_raw(path, tag, text)
    try:
        volume = read_volume(tmp_path / "scan")
    except InputError:
        return
    assert volume.geometry.spacing_mm == (0.5, 0.75, 2.5)


def test_a_real_series_is_read_as_pydicom_reads_it(real_data_folder: Path) -> None:
    folder = real_data_folder / "ct_3slice_dicom"
    slices = sorted((pydicom.dcmread(p) for p in folder.glob("*.dcm")), key=lambda s: float(s.ImagePositionPatient[2]))
    volume = read_volume(folder)
    expected = [s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices]
    assert np.array_equal(volume.voxels, np.array(expected, np.float32))
    assert volume.modality == "CT"
    assert volume.geometry.origin_lps_mm == pytest.approx([float(p) for p in slices[0].ImagePositionPatient], abs=1e-9)
    assert volume.geometry.spacing_mm == pytest.approx((*(float(s) for s in slices[0].PixelSpacing), 1.0), abs=1e-6)
    assert volume.geometry.orientation == "LPS"
    assert "1 file(s)" in volume.warnings[0]
    text = repr([volume, volume.acquisition, volume.warnings])
    for identifier in (slices[0].PatientName, slices[0].PatientID, slices[0].SeriesInstanceUID):
        assert str(identifier) not in text


def test_a_real_series_does_not_depend_on_the_names_of_its_files(real_data_folder: Path, tmp_path: Path) -> None:
    folder = real_data_folder / "ct_3slice_dicom"
    for number, path in enumerate(sorted(folder.glob("*.dcm"), reverse=True)):
        shutil.copyfile(path, tmp_path / f"IM{number}")
    again, volume = read_volume(tmp_path), read_volume(folder)
    assert np.array_equal(again.voxels, volume.voxels)
    assert again.geometry == volume.geometry
    assert again.warnings == ()


@pytest.mark.parametrize("said", ["PT", "NM", "US", "XA"])
def test_a_series_of_another_modality_is_refused_by_its_name(
    tmp_path: Path, write_slices: WriteSlices, said: str
) -> None:
    write_slices(tmp_path / "scan", uid=A, Modality=said)
    with pytest.raises(InputError, match=f"is {said}, not CT or MR"):
        read_volume(tmp_path / "scan")


@pytest.mark.parametrize("degrees", [3.0, 10.0, 25.0])
@pytest.mark.parametrize("step_mm", [0.625, 1.25, 5.0])
def test_a_tilted_gantry_is_refused_however_thin_its_slices(
    tmp_path: Path, write_slices: WriteSlices, degrees: float, step_mm: float
) -> None:
    slant = np.array([0.0, np.tan(np.radians(degrees)), 1.0]) * step_mm
    stored = np.random.default_rng(0).integers(0, 900, (40, 6, 5)).astype(np.int16)
    write_slices(tmp_path / "scan", uid=A, stored=stored, positions=[slant * k for k in range(40)])
    with pytest.raises(InputError, match="tilted gantry"):
        read_volume(tmp_path / "scan")


def test_slices_may_have_rescale_settings_of_their_own(tmp_path: Path, write_slices: WriteSlices) -> None:
    stored = np.full((3, 6, 5), 100, np.int16)
    stored[:, 0, 0] = 10
    for number, (slope, intercept) in enumerate(((1, 0), (0.5, -7.25), (1, -1024))):
        write_slices(
            tmp_path / "scan", uid=A, stored=stored[:1], positions=[UP * number], names=[str(number)],
            RescaleSlope=slope, RescaleIntercept=intercept,
        )  # fmt: skip
    assert read_volume(tmp_path / "scan").voxels[:, 3, 3].tolist() == [100.0, 42.75, -924.0]


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("question", [0, 1, 2])
def test_a_question_of_regularity_is_not_met_by_what_is_no_number(
    write_slices: WriteSlices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: float, question: int
) -> None:
    """Of directions, positions and pixels in turn: a comparison with what is no number is false."""
    write_slices(tmp_path / "series", uid="1.2.3")
    real, asked = dicom._of_every_slice, []

    def one_is_none(values: Any) -> Any:
        rows = real(values).copy()
        asked.append(rows)
        if len(asked) == question + 1:
            rows[1, 0] = number
        return rows

    monkeypatch.setattr(dicom, "_of_every_slice", one_is_none)
    with pytest.raises(InputError), np.errstate(invalid="ignore"):
        read_volume(tmp_path / "series")
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("values", "said"), [({"SamplesPerPixel": 3}, "a colour image"), ({"NumberOfFrames": 2}, "a multi-frame")]
)
@pytest.mark.parametrize("which", [0, 1, 3])
def test_one_slice_of_another_kind_is_no_slice_of_the_volume(
    tmp_path: Path, write_slices: WriteSlices, which: int, values: dict[str, int], said: str
) -> None:
    """A colour picture among them would be read as one of grey values."""
    write_slices(tmp_path / "scan", uid=A)
    file = sorted((tmp_path / "scan").iterdir())[which]
    header = pydicom.dcmread(file)
    for keyword, value in values.items():
        setattr(header, keyword, value)
    header.PlanarConfiguration, header.PhotometricInterpretation = 0, "RGB"
    header.PixelData = header.PixelData * max(values.values())
    header.save_as(file)
    with pytest.raises(InputError, match=said):
        read_volume(tmp_path / "scan")
