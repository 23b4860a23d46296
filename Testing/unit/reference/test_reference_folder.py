from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from BottleneckOODLib.errors import OutputError, ReferenceMismatchError, ReferenceSetError
from BottleneckOODLib.reference.reference_folder import ARRAYS_FILE, CASES_FILE, REFERENCE_FILE, Reference


@pytest.fixture
def a_folder(a_reference: Reference, tmp_path: Path) -> Path:
    a_reference.save(tmp_path / "small")
    return tmp_path / "small"


def test_what_was_saved_is_loaded(a_reference: Reference, a_folder: Path) -> None:
    loaded = Reference.load(a_folder)
    assert (loaded.name, loaded.model_fingerprint, loaded.cases) == (
        a_reference.name, a_reference.model_fingerprint, a_reference.cases,
    )  # fmt: skip
    assert loaded.settings == a_reference.settings
    np.testing.assert_array_equal(loaded.map_xy, a_reference.map_xy)
    for name, space in a_reference.spaces.items():
        np.testing.assert_array_equal(loaded.spaces[name].features, space.features)
        np.testing.assert_array_equal(loaded.spaces[name].leave_one_out, space.leave_one_out)


def test_the_same_content_has_the_same_fingerprint(a_reference: Reference, a_folder: Path, tmp_path: Path) -> None:
    again = a_reference.save(tmp_path / "again")
    assert again.fingerprint == Reference.load(a_folder).fingerprint
    assert len(again.fingerprint) == 64


def test_it_is_three_files_without_a_pickle(a_folder: Path) -> None:
    assert {p.name for p in a_folder.iterdir()} == {REFERENCE_FILE, ARRAYS_FILE, CASES_FILE}
    assert json.loads((a_folder / REFERENCE_FILE).read_text())["schema_version"] == 1


def test_an_existing_folder_is_kept(a_reference: Reference, a_folder: Path) -> None:
    before = (a_folder / REFERENCE_FILE).read_bytes()
    with pytest.raises(OutputError):
        a_reference.save(a_folder)
    assert (a_folder / REFERENCE_FILE).read_bytes() == before
    assert a_reference.save(a_folder, overwrite=True).name == "small"


def test_another_model_is_refused(a_reference: Reference) -> None:
    with pytest.raises(ReferenceMismatchError, match="another model"):
        a_reference.check_made_by("0" * 64, (1,))
    a_reference.check_made_by("f" * 64, (1, 2))


def test_features_that_were_measured_in_another_way_are_refused(a_reference: Reference) -> None:
    with pytest.raises(ReferenceMismatchError, match="another version"):
        a_reference.check_made_by("f" * 64, (2, 3))


def a_flipped_byte(folder: Path) -> None:
    data = bytearray((folder / ARRAYS_FILE).read_bytes())
    data[-100] ^= 1
    (folder / ARRAYS_FILE).write_bytes(bytes(data))


def another_outcome(folder: Path) -> None:
    text = (folder / CASES_FILE).read_text()
    (folder / CASES_FILE).write_text(text.replace("0.8800", "0.9900"))


def a_row_less(folder: Path) -> None:
    lines = (folder / CASES_FILE).read_text().splitlines()
    (folder / CASES_FILE).write_text("\n".join(lines[:-1]) + "\n")


def a_missing_file(folder: Path) -> None:
    (folder / ARRAYS_FILE).unlink()


def a_cut_table(folder: Path) -> None:
    data = (folder / ARRAYS_FILE).read_bytes()
    (folder / ARRAYS_FILE).write_bytes(data[: len(data) // 2])


def broken_json(folder: Path) -> None:
    (folder / REFERENCE_FILE).write_text('{"schema_version": 1,')


def a_list(folder: Path) -> None:
    (folder / REFERENCE_FILE).write_text("[1, 2]")


def deep_json(folder: Path) -> None:
    (folder / REFERENCE_FILE).write_text("[" * 100_000)


def another_level(folder: Path) -> None:
    document = json.loads((folder / REFERENCE_FILE).read_text())
    document["settings"]["levels"]["red"] = 0.5
    (folder / REFERENCE_FILE).write_text(json.dumps(document))


def an_empty_file(folder: Path) -> None:
    (folder / CASES_FILE).write_text("")


@pytest.mark.parametrize(
    "damage",
    [a_flipped_byte, another_outcome, a_row_less, a_missing_file, a_cut_table, broken_json, a_list, deep_json,
     another_level, an_empty_file],
)  # fmt: skip
def test_damage_is_one_sentence(a_folder: Path, damage: Callable[[Path], None]) -> None:
    damage(a_folder)
    with pytest.raises(ReferenceSetError) as caught:
        Reference.load(a_folder)
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert "build it again" in text or "restore" in text


def test_a_newer_format_is_refused_with_what_to_do(a_folder: Path) -> None:
    document = json.loads((a_folder / REFERENCE_FILE).read_text())
    document["schema_version"] = 2
    (a_folder / REFERENCE_FILE).write_text(json.dumps(document))
    with pytest.raises(ReferenceSetError, match="update BottleneckOOD"):
        Reference.load(a_folder)


def test_numbers_that_are_none_are_refused_even_with_a_fitting_fingerprint(
    a_reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = safetensors.numpy.save_file

    def with_a_hole(arrays: dict[str, np.ndarray], path: Path) -> None:
        arrays["bottleneck.leave_one_out"][0] = np.nan
        write(arrays, path)

    monkeypatch.setattr(safetensors.numpy, "save_file", with_a_hole)
    with pytest.raises(ReferenceSetError, match="damaged"):
        Reference(a_reference.name, "f", a_reference.cases, a_reference.spaces, a_reference.map_xy.copy(), {}).save(
            tmp_path / "holed"
        )
