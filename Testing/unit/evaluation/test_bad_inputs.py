"""Whatever is wrong with the input: one sentence that names the file or the case, and nothing written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from BottleneckOODLib.errors import EvaluationError, UserError
from BottleneckOODLib.evaluation.embeddings import case_name, read_embeddings
from BottleneckOODLib.model.tensor_reading import read_tensor


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


class RunsCode:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("code-was-run",)


def rows_of(files: object) -> list[list[object]]:
    return [[name, dice] for name, dice in zip(files.names, files.dice, strict=True)]  # type: ignore[attr-defined]


HEAD = ("filename", "DICE_Score")
FAULTS: dict[str, tuple[Callable[..., object], dict[str, object], str]] = {
    "no such folder": (lambda f: f.inputs.test.rename(f.root / "elsewhere"), {}, r"test is not there"),
    "empty folder": (lambda f: empty(f.inputs.train), {}, r"train holds no embedding"),
    "no embedding of a case": (
        lambda f: (f.inputs.test / "1.2.840.003.npy").unlink(),
        {},
        r"1\.2\.840\.003 in .*csv has no",
    ),
    "no line of a case": (
        lambda f: f.write_table(rows_of(f)[1:], HEAD),
        {},
        r"1\.2\.840\.000 has an embedding but no line",
    ),
    "a case twice in the table": (
        lambda f: f.write_table([*rows_of(f), rows_of(f)[0]], HEAD),
        {},
        r"1\.2\.840\.000 twice \(line 23\)",
    ),
    "a case in two files": (
        lambda f: torch.save(torch.zeros(3), f.inputs.test / "1.2.840.000.pt"),
        {},
        r"1\.2\.840\.000\.npy and .*\.pt are of one",
    ),
    "a case on both sides": (
        lambda f: np.save(f.inputs.train / "1.2.840.001.npy", f.train[0]),
        {},
        r"1\.2\.840\.001 is among the training and",
    ),
    "not a number": (
        lambda f: np.save(f.inputs.test / "1.2.840.002.npy", np.full(f.test[0].shape, np.nan)),
        {},
        r"002\.npy holds a value",
    ),
    "other shape": (
        lambda f: np.save(f.inputs.test / "1.2.840.002.npy", f.test[0][:, 1:]),
        {},
        r"002\.npy has shape \(6, 1, 3, 3\), but",
    ),
    "other shape of all": (
        lambda f: [np.save(p, f.test[0][:, 1:]) for p in f.inputs.test.iterdir()],
        {},
        r"training embeddings have shape",
    ),
    "three axes": (
        lambda f: np.save(f.inputs.test / "1.2.840.002.npy", f.test[0][0]),
        {},
        r"002\.npy has shape \(2, 3, 3\)",
    ),
    "a broken archive": (
        lambda f: (f.inputs.test / "1.2.840.002.npy").write_bytes(b"PK\x03\x04 broken off"),
        {},
        r"002\.npy cannot be read as an array",
    ),
    "objects": (
        lambda f: np.save(f.inputs.test / "1.2.840.002.npy", np.array([RunsCode()]), allow_pickle=True),
        {},
        r"002\.npy cannot",
    ),
    "text": (
        lambda f: np.save(f.inputs.test / "1.2.840.002.npy", np.array(["a"])),
        {},
        r"002\.npy holds no array of numbers",
    ),
    "damaged": (
        lambda f: (f.inputs.test / "1.2.840.002.npy").write_bytes(b"\x93NUMPY"),
        {},
        r"002\.npy cannot be read",
    ),
    "k too large": (lambda _: None, {"neighbours": (24,)}, r"k is 24, but there are 24 training cases"),
    "one class": (
        lambda f: f.write_table([(n, 0.99) for n in f.names], HEAD),
        {},
        r"csv has a Dice above 0\.95.*median",
    ),
    "one class below": (lambda _: None, {"threshold": 1.0}, r"Dice at or below 1"),
    "no column": (lambda f: f.write_table(rows_of(f), ("filename", "dice")), {}, r'csv has no column "DICE_Score"'),
    "no table": (lambda f: f.inputs.performance.unlink(), {}, r"performance\.csv cannot be read"),
    "not text": (lambda f: f.inputs.performance.write_bytes(b"\xff\xfe\x00"), {}, r"performance\.csv cannot be read"),
    "no cases": (lambda f: f.write_table([], HEAD), {}, r"performance\.csv has no cases"),
    "no name": (lambda f: f.write_table([("", 0.5)], HEAD), {}, r"no filename in line 2"),
    "Dice in percent": (
        lambda f: f.write_table([(f.names[0], 95)], HEAD),
        {},
        r'DICE_Score "95" for the case 1\.2\.840\.000',
    ),
    "no Dice": (lambda f: f.write_table([(f.names[0], "n/a")], HEAD), {}, r'DICE_Score "n/a"'),
    "negative distance": (
        lambda f: f.write_table([(f.names[0], 0.5, -1)], (*HEAD, "HD")),
        {},
        r'HD "-1" for the case',
    ),
    "few training cases": (
        lambda f: [(f.inputs.train / f"{n}.npy").unlink() for n in f.train_names[3:]],
        {},
        r"There are 3 training cases",
    ),
    "nothing fits": (lambda _: None, {"reducers": ("tsne",)}, r"Nothing of what was asked for fits"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_sentence_names_it_and_nothing_is_written(
    fault: str, tmp_path: Path, make_cohort_files: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = make_cohort_files(tmp_path / "cohort")
    spoil, settings, sentence = FAULTS[fault]
    spoil(files)
    with pytest.raises(EvaluationError, match=sentence) as told:
        files.run(tmp_path / "out", **settings)
    assert "\n" not in str(told.value)
    assert str(told.value).endswith(".")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "code-was-run").exists()


def test_tensors_are_read_without_running_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(RunsCode(), tmp_path / "code.pt")
    torch.save({"a": torch.zeros(3)}, tmp_path / "several.pt")
    torch.save(torch.zeros(3, dtype=torch.complex64), tmp_path / "complex.pt")
    (tmp_path / "damaged.pt").write_bytes(b"nothing")
    for name, sentence in {
        "code": "perhaps code",
        "several": "holds a dict",
        "complex": "no plain",
        "damaged": "",
    }.items():
        with pytest.raises(UserError, match=rf"{name}\.pt.*{sentence}"):
            read_tensor(tmp_path / f"{name}.pt")
    assert not (tmp_path / "code-was-run").exists()


def test_a_tensor_that_claims_more_numbers_than_its_file_holds_is_refused(tmp_path: Path) -> None:
    torch.save(torch.zeros(1).expand(1000, 1000, 1000, 1000), tmp_path / "wide.pt")
    with pytest.raises(EvaluationError, match=r"wide\.pt repeats its numbers"):
        read_tensor(tmp_path / "wide.pt")
    torch.save(torch.empty(3, device="meta"), tmp_path / "meta.pt")
    with pytest.raises(EvaluationError, match=r"meta\.pt holds no plain tensor"):
        read_tensor(tmp_path / "meta.pt")
    # A part of a larger tensor, turned about, holds its own numbers.
    part = torch.arange(24.0).reshape(2, 3, 4)[:, 1:].transpose(0, 2)
    torch.save(part, tmp_path / "part.pt")
    np.testing.assert_array_equal(read_tensor(tmp_path / "part.pt"), part.numpy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int32])
def test_tensors_and_arrays_of_the_same_numbers_are_the_same_embeddings(dtype: torch.dtype, tmp_path: Path) -> None:
    values = torch.arange(48).reshape(2, 3, 2, 2, 2).to(dtype).requires_grad_(dtype.is_floating_point)
    for folder in ("tensors", "arrays"):
        (tmp_path / folder).mkdir()
    torch.save(values, tmp_path / "tensors" / "a.b.pt")
    np.save(tmp_path / "arrays" / "a.b.npy", values.detach().float().numpy())
    (tmp_path / "arrays" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "arrays" / "notes.txt").write_text("x", encoding="utf-8")
    one, other = (read_embeddings(tmp_path / folder, "mean", read_tensor) for folder in ("tensors", "arrays"))
    assert one.names == other.names == ("a.b",)
    assert one.features.shape == (1, 3, 2, 2, 2)
    np.testing.assert_array_equal(one.features, other.features)


def test_cases_with_different_numbers_of_windows_need_pooling(tmp_path: Path) -> None:
    for windows in (2, 5):
        np.save(tmp_path / f"{windows}.npy", np.ones((windows, 3, 2, 2, 2)))
    with pytest.raises(EvaluationError, match="--windows mean"):
        read_embeddings(tmp_path, "none", read_tensor)
    assert read_embeddings(tmp_path, "max", read_tensor).features.shape == (2, 3, 2, 2, 2)


@pytest.mark.parametrize(
    ("written", "name"),
    [("a.npy", "a"), ("a.nii.gz", "a"), ("a.nii.gz.pt", "a"), ("x/y/1.2.3.pth", "1.2.3"), ("1.2.840", "1.2.840"),
     ("C:\\scans\\b.seg.nrrd", "b"), (" c.NII.GZ ", "c"), (".npy", ".npy"), ("v1.0.final", "v1.0.final")],
)  # fmt: skip
def test_a_name_keeps_its_dots_and_loses_known_extensions(written: str, name: str) -> None:
    assert case_name(written) == name


def test_a_distance_that_is_not_defined_may_be_empty(
    tmp_path: Path, make_cohort_files: Callable[..., object], results: Callable[[Path], list[dict[str, str]]]
) -> None:
    files = make_cohort_files(tmp_path / "cohort")
    distances = ["nan", "", *files.hd[2:]]
    rows = zip(files.names, files.dice, distances, strict=True)
    files.write_table(list(rows), (*HEAD, "HD"))
    files.run(tmp_path / "out", reducers=("none",))
    for row in results(tmp_path / "out"):
        assert np.isfinite(float(row["hd_gained"]))
        assert row["sd_gained"] == ""
