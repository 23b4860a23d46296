"""A saved assessment is the same when it is loaded, and saving it harms nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.assessment.assessment import Assessment, ModelFacts
from BottleneckOODLib.errors import InputError, OutputError, UserError
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume

MakeAssessment = Callable[..., Assessment]
LIGHTS = ("green", "amber", "red", "grey")
FILES = ["assessment.json", "overview.png", "segmentation.seg.nrrd", "thumbnail.jpg"]
OBLIQUE = (0.8, 0.6, 0.0, 0.6, -0.8, 0.0, 0.0, 0.0, -1.0)


def everything_under(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def failing_scene(assessment: Assessment, path: Path) -> None:
    path.write_bytes(b"half a scene")
    raise OSError(28, "No space left on device")


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize("light", LIGHTS)
def test_a_saved_assessment_is_loaded_as_it_was(make_assessment: MakeAssessment, light: str, tmp_path: Path) -> None:
    before = make_assessment(light)
    after = Assessment.load(before.save(tmp_path))
    assert after == before
    # Equality leaves out the volume only; each field is compared on its own so that none can be left out silently.
    for field in dataclasses.fields(Assessment):
        if field.name != "volume":
            value = getattr(after, field.name)
            assert value == getattr(before, field.name), field.name
            assert type(value) is type(getattr(before, field.name)), field.name
    assert after.volume is None


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize("name", ["case_id", "light", "score", "checks", "map_points", "warnings", "segmentation"])
def test_assessments_that_differ_are_not_equal(make_assessment: MakeAssessment, name: str) -> None:
    changed = {"case_id": "other", "light": "red", "score": 0.5, "checks": (), "map_points": (), "warnings": ()}
    assert make_assessment() != make_assessment(**{name: changed.get(name)})


@pytest.mark.usefixtures("no_picture")
def test_the_mask_is_loaded_with_its_labels_names_and_place(make_assessment: MakeAssessment, tmp_path: Path) -> None:
    geometry = Geometry((9, 7, 5), (0.7, 1.3, 4.9), (-123.456, 78.9, -1000.125), OBLIQUE)
    labels = np.random.default_rng(0).integers(0, 3, geometry.shape).astype(np.uint8)
    mask = LabelVolume(labels, geometry, {1: "liver", 2: "a tumour"})
    after = Assessment.load(make_assessment(geometry=geometry, segmentation=mask).save(tmp_path)).segmentation
    assert after is not None
    np.testing.assert_array_equal(after.labels, labels)
    assert dict(after.names) == {1: "liver", 2: "a tumour"}
    corners = np.array([[0, 0, 0], [8, 6, 4], [0, 6, 0], [8, 0, 4]], dtype=float)
    np.testing.assert_allclose(after.geometry.ijk_to_lps(corners), geometry.ijk_to_lps(corners), atol=1e-6)


@pytest.mark.usefixtures("no_picture")
def test_an_empty_mask_is_loaded_as_an_empty_mask(make_assessment: MakeAssessment, tmp_path: Path) -> None:
    mask = make_assessment().segmentation
    assert mask is not None
    empty = LabelVolume(np.zeros_like(mask.labels), mask.geometry, mask.names)
    assert Assessment.load(make_assessment(segmentation=empty).save(tmp_path)).segmentation == empty


@pytest.mark.usefixtures("no_picture")
def test_no_mask_is_loaded_as_no_mask(make_assessment: MakeAssessment, tmp_path: Path) -> None:
    folder = make_assessment(segmentation=None).save(tmp_path)
    assert not (folder / "segmentation.seg.nrrd").exists()
    assert Assessment.load(folder).segmentation is None


def test_the_folder_is_the_case_s_and_holds_record_mask_and_picture(an_assessment: Assessment, tmp_path: Path) -> None:
    folder = an_assessment.save(tmp_path / "new" / "out")
    assert folder == tmp_path / "new" / "out" / "case-7"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["case-7"]


@pytest.mark.usefixtures("no_picture")
def test_a_scene_is_written_on_request(an_assessment: Assessment, tmp_path: Path) -> None:
    written: list[Assessment] = []

    def scene_writer(assessment: Assessment, path: Path) -> None:
        written.append(assessment)
        path.write_bytes(b"a scene")

    folder = an_assessment.save(tmp_path, scene_writer=scene_writer)
    assert written == [an_assessment]
    assert (folder / "scene.mrb").read_bytes() == b"a scene"


@pytest.mark.usefixtures("no_picture")
def test_an_existing_result_is_kept_unless_overwriting(make_assessment: MakeAssessment, tmp_path: Path) -> None:
    make_assessment("green").save(tmp_path)
    before = everything_under(tmp_path)
    with pytest.raises(OutputError, match="exists already and was kept"):
        make_assessment("red").save(tmp_path)
    assert everything_under(tmp_path) == before
    folder = make_assessment("red").save(tmp_path, overwrite=True)
    assert Assessment.load(folder) == make_assessment("red")
    assert [path.name for path in tmp_path.iterdir()] == ["case-7"]


@pytest.mark.usefixtures("no_picture")
def test_overwriting_leaves_nothing_of_the_old_result(make_assessment: MakeAssessment, tmp_path: Path) -> None:
    folder = make_assessment("green").save(tmp_path)
    (folder / "scene.mrb").write_bytes(b"of the old result")
    make_assessment("red", segmentation=None).save(tmp_path, overwrite=True)
    assert sorted(path.name for path in folder.iterdir()) == ["assessment.json", "overview.png", "thumbnail.jpg"]


@pytest.mark.usefixtures("no_picture")
def test_a_failed_write_leaves_no_half_folder(an_assessment: Assessment, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left on device"):
        an_assessment.save(tmp_path / "out", scene_writer=failing_scene)
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"]


@pytest.mark.usefixtures("no_picture")
def test_a_failed_overwrite_keeps_the_old_result(make_assessment: MakeAssessment, tmp_path: Path) -> None:
    make_assessment("green").save(tmp_path)
    before = everything_under(tmp_path)
    with pytest.raises(OutputError):
        make_assessment("red").save(tmp_path, overwrite=True, scene_writer=failing_scene)
    assert everything_under(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["case-7"]


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError])
def test_an_interrupted_write_leaves_no_half_folder(
    an_assessment: Assessment, error: type[BaseException], tmp_path: Path
) -> None:
    def interrupted(assessment: Assessment, path: Path) -> None:
        path.write_bytes(b"half a scene")
        raise error

    with pytest.raises(error):
        an_assessment.save(tmp_path, scene_writer=interrupted)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_picture")
def test_a_number_that_is_not_finite_is_never_written(make_assessment: MakeAssessment, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        make_assessment(score=float("nan")).save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_a_file_is_refused_and_kept(an_assessment: Assessment, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="cannot be written"):
        an_assessment.save(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize("case_id", ["patient 7", "Zoë", "患者", "a.b", "-x", "a'b"])
def test_harmless_case_ids_are_kept_as_they_are(make_assessment: MakeAssessment, case_id: str, tmp_path: Path) -> None:
    folder = make_assessment(case_id=case_id).save(tmp_path)
    assert folder == tmp_path / case_id
    assert Assessment.load(folder).case_id == case_id


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize("case_id", ["../x", "..", ".", "", "a/b", "../new/x", "/x"])
def test_a_case_id_that_leaves_the_folder_touches_nothing(
    make_assessment: MakeAssessment, case_id: str, tmp_path: Path
) -> None:
    output, neighbour, other_case = tmp_path / "out", tmp_path / "x", tmp_path / "out" / "other"
    for folder in (neighbour, other_case):
        folder.mkdir(parents=True)
        (folder / "note.txt").write_text("mine")
    made = None
    # Refusing is right, and so is a harmless name in its place.
    with suppress(UserError):
        made = make_assessment(case_id=f"{neighbour}" if case_id == "/x" else case_id).save(output, overwrite=True)
    for folder in (neighbour, other_case):
        assert [path.name for path in folder.iterdir()] == ["note.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "x"]
    assert [path for path in output.iterdir() if path != other_case] == ([] if made is None else [made])


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize("case_id", ["a\\b", "..\\x", "C:x", "CON", "nul.txt", "x.", "x\0y", "x" * 300])
def test_a_case_id_that_no_folder_can_have_everywhere_is_no_folder(
    make_assessment: MakeAssessment, case_id: str, tmp_path: Path
) -> None:
    with suppress(UserError):
        make_assessment(case_id=case_id).save(tmp_path)
    for path in tmp_path.iterdir():
        assert path.name.split(".")[0].upper() not in ("CON", "NUL")
        assert not set(path.name) & set('<>:"/\\|?*')
        assert path.name == path.name.rstrip(". ")


def test_a_folder_without_assessment_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="holds no assessment"):
            Assessment.load(folder)


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize("content", [b"", b"NRRD0004\n", b"no image at all"])
def test_a_damaged_mask_is_refused(an_assessment: Assessment, content: bytes, tmp_path: Path) -> None:
    folder = an_assessment.save(tmp_path)
    (folder / "segmentation.seg.nrrd").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        Assessment.load(folder)


@pytest.mark.usefixtures("no_picture")
def test_a_truncated_mask_is_refused(an_assessment: Assessment, tmp_path: Path) -> None:
    path = an_assessment.save(tmp_path) / "segmentation.seg.nrrd"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError):
        Assessment.load(path.parent)


@pytest.mark.usefixtures("no_picture")
def test_a_mask_that_the_record_names_must_be_there(an_assessment: Assessment, tmp_path: Path) -> None:
    folder = an_assessment.save(tmp_path)
    (folder / "segmentation.seg.nrrd").unlink()
    with pytest.raises(InputError, match=r"mask segmentation\.seg\.nrrd is missing .* assess the case again"):
        Assessment.load(folder)


@pytest.mark.usefixtures("no_picture")
def test_a_mask_of_another_size_than_its_image_is_refused(make_assessment: MakeAssessment, tmp_path: Path) -> None:
    geometry = Geometry((9, 7, 5), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), OBLIQUE)
    other = LabelVolume(np.ones(geometry.shape, np.uint8), geometry, {1: "liver"})
    folder = make_assessment(segmentation=other).save(tmp_path)
    with pytest.raises(InputError, match=r"another size than its image; assess the case again"):
        Assessment.load(folder)


def test_no_model_is_a_demonstration_unless_it_says_so() -> None:
    assert not ModelFacts("mine", "1", "ab" * 32).demonstration


def test_a_case_s_text_shows_no_voxels_and_a_point_of_the_map_can_be_in_a_set(an_assessment: Assessment) -> None:
    assert "volume=" not in repr(an_assessment)
    assert len({*an_assessment.map_points}) == len(an_assessment.map_points) > 1
