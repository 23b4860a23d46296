"""Scores of outputs in an evaluation: the rows they become, in both modes, and what is wrong with their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special
import torch

from BottleneckOODLib.errors import Cancelled, EvaluationError
from BottleneckOODLib.evaluation import task_rows
from BottleneckOODLib.evaluation.running import Inputs
from BottleneckOODLib.evaluation.settings import PAPER_SEEDS
from BottleneckOODLib.ood.metrics import auroc
from BottleneckOODLib.ood.output_scores import PAPER_TEMPERATURES, disagreement, output_scores
from BottleneckOODLib.progress import CancelToken

VOLUME = (5, 8, 7)
Rows = list[dict[str, str]]


def logits_of(seed: int, *, unsure: bool, n_classes: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    organ = np.zeros(VOLUME)
    organ[1:4, 2:6, 2:6] = 1
    sign = (2 * organ - 1) * (1.0 if unsure else 3.0)
    one = (sign + rng.normal(size=VOLUME)).astype(np.float32)
    return one if n_classes == 1 else np.stack([-one, one, np.full(VOLUME, -9.0, np.float32)])


def add_outputs(files: Any, *, members: int = 1, n_classes: int = 1, train: bool = True) -> Inputs:
    """Outputs beside the embeddings; those of failed cases are less sure."""
    root = files.root
    failed = files.dice <= 0.95
    sides = [("test", files.names, failed)]
    if train:
        sides.append(("train", files.train_names, np.zeros(len(files.train_names), bool)))
    for side, names, unsure in sides:
        folder = root / "outputs" / side
        folder.mkdir(parents=True)
        for index, name in enumerate(names):
            seed = 10 * index + (side == "train")
            if members == 1:
                np.save(folder / f"{name}.npy", logits_of(seed, unsure=bool(unsure[index]), n_classes=n_classes))
                continue
            (folder / name).mkdir()
            for member in range(members):
                saved = logits_of(seed * 100 + member, unsure=bool(unsure[index]), n_classes=n_classes)
                np.save(folder / name / f"output{member}.npy", saved)
    inputs = files.inputs
    train_outputs = root / "outputs" / "train" if train else None
    files.inputs = Inputs(inputs.train, inputs.test, inputs.performance, root / "outputs" / "test", train_outputs)
    made: Inputs = files.inputs
    return made


def parameters(row: dict[str, str]) -> dict[str, object]:
    return dict(json.loads(row["parameters"]))


def of(rows: Rows, detector: str, **wanted: object) -> Rows:
    return [r for r in rows if r["detector"] == detector and wanted.items() <= parameters(r).items()]


def test_each_score_region_and_temperature_is_a_row_with_the_scores_of_its_cases(
    a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows], scores: Callable[[Path], dict]
) -> None:
    inputs = add_outputs(a_cohort)
    a_cohort.run(tmp_path / "out", reducers=("none",), temperatures=(1.0, 2.0))
    rows = results(tmp_path / "out")
    assert len(of(rows, "msp")) == len(of(rows, "energy")) == 6
    row = of(rows, "msp", region="organ", temperature=2.0)[0]
    assert (row["reducer"], row["k"], row["seed"], row["mode"]) == ("none", "", "", "deployable")
    label = "|".join(row[name] for name in ("mode", "reducer", "parameters", "detector", "k", "seed"))
    kept = scores(tmp_path / "out")[label]
    assert inputs.test_outputs is not None
    for path in inputs.test_outputs.iterdir():
        expected = output_scores(np.load(path)[None], temperature=2.0)["msp_organ"]
        assert kept[path.stem] == pytest.approx(expected, rel=1e-12)
    values = np.array([kept[name] for name in a_cohort.names])
    failed = a_cohort.dice <= 0.95
    assert float(row["auroc"]) == pytest.approx(auroc(values, failed))
    assert float(row["auroc_low"]) <= float(row["auroc"]) <= float(row["auroc_high"])


def test_the_threshold_comes_from_outputs_of_training_cases_only(
    a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows]
) -> None:
    """Of 24 training cases 2 may lie above it: the conformal level of a tenth."""
    inputs = add_outputs(a_cohort)
    a_cohort.run(tmp_path / "out", reducers=("none",))
    row = of(results(tmp_path / "out"), "msp", region="organ")[0]
    assert inputs.train_outputs is not None
    assert inputs.test_outputs is not None
    train, test = (
        np.array([output_scores(np.load(path)[None])["msp_organ"] for path in folder.iterdir()])
        for folder in (inputs.train_outputs, inputs.test_outputs)
    )
    assert int(row["n_flagged"]) == np.count_nonzero(test > np.sort(train)[-2])


def test_without_training_outputs_nothing_is_flagged_and_a_note_says_so(
    a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows]
) -> None:
    add_outputs(a_cohort, train=False)
    notes = a_cohort.run(tmp_path / "out", reducers=("none",))
    assert any("no threshold" in note for note in notes)
    assert {row["n_flagged"] for row in of(results(tmp_path / "out"), "energy")} == {"0"}


def test_a_temperature_is_chosen_where_training_cases_have_failed_and_is_1_elsewhere(
    a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows]
) -> None:
    add_outputs(a_cohort)
    a_cohort.run(tmp_path / "without", reducers=("none",))
    rows = of(results(tmp_path / "without"), "msp")
    assert {parameters(row)["temperature"] for row in rows} == {1.0}
    assert {row["validation_auroc"] for row in rows} == {""}
    known = [(name, 0.5 if index < 6 else 0.97) for index, name in enumerate(a_cohort.train_names)]
    table = [*zip(a_cohort.names, a_cohort.dice, strict=True), *known]
    a_cohort.write_table(table, ("filename", "DICE_Score"))
    a_cohort.run(tmp_path / "with", reducers=("none",))
    rows = of(results(tmp_path / "with"), "msp")
    assert {parameters(row)["temperature"] for row in rows} == set(PAPER_TEMPERATURES)
    assert all(0 <= float(row["validation_auroc"]) <= 1 for row in rows)


def test_paper_mode_is_the_published_script(a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows]) -> None:
    """Re-stated: softmax of [x, -x] / T, mean over all voxels, each T, five equal seeds, two digits."""
    inputs = add_outputs(a_cohort)
    a_cohort.run(tmp_path / "out", reducers=("none",), mode="paper")
    rows = results(tmp_path / "out")
    assert {parameters(row)["region"] for row in rows if row["detector"] in {"msp", "energy"}} == {"all"}
    failed = a_cohort.dice < 0.95
    for temperature in PAPER_TEMPERATURES:
        unsure, energy = [], []
        for name in a_cohort.names:
            x = np.load(inputs.test_outputs / f"{name}.npy").astype(float)
            pair = np.stack([x, -x]) / temperature
            unsure.append(1 - scipy.special.softmax(pair, axis=0).max(axis=0).mean())
            energy.append(-(temperature * scipy.special.logsumexp(pair, axis=0)).mean())
        for detector, values in (("msp", unsure), ("energy", energy)):
            own = of(rows, detector, temperature=temperature)
            assert [row["seed"] for row in own] == [str(seed) for seed in range(PAPER_SEEDS)]
            assert {float(row["auroc"]) for row in own} == {round(auroc(np.array(values), failed), 2)}
            quantile = np.quantile(np.array(values)[failed], 0.1)
            assert {int(row["n_flagged"]) for row in own} == {int(np.count_nonzero(values > quantile))}


def test_a_dice_at_the_threshold_is_in_distribution_for_published_outputs_only(
    a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows]
) -> None:
    add_outputs(a_cohort)
    a_cohort.dice[0] = 0.5
    a_cohort.write_table(list(zip(a_cohort.names, a_cohort.dice, a_cohort.hd, a_cohort.hd, strict=True)))
    n_ood = int(np.count_nonzero(a_cohort.dice <= 0.5))
    for mode in ("paper", "deployable"):
        a_cohort.run(tmp_path / "out", reducers=("none",), mode=mode, threshold=0.5)
    counts = {(row["mode"], row["detector"]): int(row["n_ood"]) for row in results(tmp_path / "out")}
    assert counts["paper", "knn"] == counts["deployable", "knn"] == counts["deployable", "msp"] == n_ood
    assert counts["paper", "msp"] == n_ood - 1


@pytest.mark.parametrize("n_classes", [1, 3])
def test_several_outputs_of_a_case_are_an_ensemble_by_the_name_that_was_given(
    n_classes: int, a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows], scores: Callable[[Path], dict]
) -> None:
    inputs = add_outputs(a_cohort, members=3, n_classes=n_classes)
    for mode in ("deployable", "paper"):
        a_cohort.run(tmp_path / "out", reducers=("none",), mode=mode, members="mc_dropout")
    rows = of(results(tmp_path / "out"), "mc_dropout")
    kinds = {(parameters(row)["score"], parameters(row).get("region")) for row in rows if row["mode"] == "deployable"}
    regions = ("all", "organ", "boundary")
    assert kinds == {
        *((score, region) for score in ("entropy", "msp", "variance") for region in regions),
        ("std", "all"),
        ("disagreement", None),
    }
    assert {parameters(row)["score"] for row in rows if row["mode"] == "paper"} == {"std"}
    folder = inputs.test_outputs / a_cohort.names[2]
    members = [np.load(path) for path in sorted(folder.iterdir())]
    masks = [member > 0 if n_classes == 1 else member.argmax(axis=0) > 0 for member in members]
    kept = scores(tmp_path / "out")
    label = next(label for label in kept if "disagreement" in label)
    assert kept[label][a_cohort.names[2]] == pytest.approx(disagreement(masks))
    label = next(label for label in kept if label.startswith("paper") and "std" in label)
    chances = [scipy.special.expit(m) if n_classes == 1 else scipy.special.softmax(m, axis=0) for m in members]
    expected = np.std(chances, axis=0).mean()
    assert kept[label][a_cohort.names[2]] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("mode", ["deployable", "paper"])
def test_probabilities_give_what_their_logits_give_but_no_energy(
    mode: str, a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows]
) -> None:
    inputs = add_outputs(a_cohort)
    a_cohort.run(tmp_path / "logits", reducers=("none",), mode=mode)
    for path in [*inputs.test_outputs.iterdir(), *inputs.train_outputs.iterdir()]:
        np.save(path, scipy.special.expit(np.load(path).astype(float) * (2 if mode == "paper" else 1)))
    a_cohort.run(tmp_path / "chances", reducers=("none",), mode=mode, outputs="probabilities")
    found, expected = (of(results(tmp_path / name), "msp") for name in ("chances", "logits"))
    for row, other in zip(found, expected, strict=True):
        assert (row["parameters"], row["auroc"]) == (other["parameters"], other["auroc"])
    assert not of(results(tmp_path / "chances"), "energy")


def test_tensors_and_a_leading_batch_axis_are_read(
    a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows]
) -> None:
    inputs = add_outputs(a_cohort)
    a_cohort.run(tmp_path / "arrays", reducers=("none",))
    for path in list(inputs.test_outputs.iterdir()):
        torch.save(torch.from_numpy(np.load(path))[None, None], path.with_name(f"{path.stem}.pt"))
        path.unlink()
    a_cohort.run(tmp_path / "tensors", reducers=("none",))
    one, other = ([r["auroc"] for r in of(results(tmp_path / n), "energy")] for n in ("arrays", "tensors"))
    assert one == other


def test_a_stopped_evaluation_does_not_read_finished_cases_again(
    a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = add_outputs(a_cohort)
    a_cohort.run(tmp_path / "whole", reducers=("none",))
    read: list[str] = []
    original, cancel = task_rows.read_case, CancelToken()

    def counting(files: tuple[Path, ...], *rest: object) -> object:
        read.append(files[0].stem)
        if len(read) == 8:
            cancel.cancel()
        return original(files, *rest)

    monkeypatch.setattr(task_rows, "read_case", counting)
    with pytest.raises(Cancelled):
        a_cohort.run(tmp_path / "out", reducers=("none",), cancel=cancel)
    # One of the finished cases is saved again in between: only that one is read twice.
    changed = inputs.test_outputs / f"{read[0]}.npy"
    np.save(changed, np.load(changed).astype(np.float64))
    a_cohort.run(tmp_path / "out", reducers=("none",), resume=True)
    assert sorted(read) == sorted([read[0], *a_cohort.names, *a_cohort.train_names])
    for row, other in zip(results(tmp_path / "out"), results(tmp_path / "whole"), strict=True):
        assert (row["parameters"], row["auroc"], row["aurc"]) == (other["parameters"], other["auroc"], other["aurc"])
    assert not list((tmp_path / "out").glob("unfinished*"))


@pytest.mark.parametrize("with_training_outputs_first", [True, False])
def test_outputs_of_training_cases_may_come_or_go_before_it_goes_on(
    with_training_outputs_first: bool, a_cohort: Any, tmp_path: Path, results: Callable[[Path], Rows]
) -> None:
    """Which temperatures are tried depends on them, and so does what was kept of a case."""
    with_them = add_outputs(a_cohort)
    a_cohort.write_table(
        [
            *([name, dice] for name, dice in zip(a_cohort.names, a_cohort.dice, strict=True)),
            *([name, 0.9 if n % 2 else 0.99] for n, name in enumerate(a_cohort.train_names)),
        ],
        ("filename", "DICE_Score"),
    )
    without = replace(with_them, train_outputs=None)
    first, then = (with_them, without) if with_training_outputs_first else (without, with_them)
    last = first.test_outputs / f"{max(a_cohort.names)}.npy"
    whole = last.read_bytes()
    last.write_bytes(b"")
    a_cohort.inputs = first
    with pytest.raises(EvaluationError):
        a_cohort.run(tmp_path / "out", reducers=("none",))
    last.write_bytes(whole)
    a_cohort.inputs = then
    a_cohort.run(tmp_path / "out", reducers=("none",), resume=True)
    n_temperatures = 1 if with_training_outputs_first else len(PAPER_TEMPERATURES)
    assert len(of(results(tmp_path / "out"), "msp")) == 3 * n_temperatures


def test_a_temperature_that_nothing_takes_is_told(a_cohort: Any, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"no outputs that it is for; add --test-outputs"):
        a_cohort.run(tmp_path / "out", reducers=("none",), temperatures=(2.0,))
    add_outputs(a_cohort, members=2)
    notes = a_cohort.run(tmp_path / "out", reducers=("none",), temperatures=(2.0,))
    assert any("temperature took no part" in note for note in notes)


def save(name: str, array: np.ndarray) -> Callable[[Any], object]:
    return lambda files: np.save(files.inputs.test_outputs / f"{name}.npy", array, allow_pickle=True)


CASE = "1.2.840.002"
FAULTS: dict[str, tuple[Callable[..., object], str]] = {
    "a case without outputs": (lambda f: (f.inputs.test_outputs / f"{CASE}.npy").unlink(), rf"{CASE} has no outputs"),
    "outputs of nobody": (save("nobody", np.zeros(VOLUME)), r"outputs of nobody, which is no test case"),
    "no folder": (lambda f: f.inputs.test_outputs.rename(f.root / "away"), r"outputs.test is not there"),
    "empty folder": (lambda f: [p.unlink() for p in f.inputs.train_outputs.iterdir()], r"train holds no output"),
    "not finite": (save(CASE, np.full(VOLUME, np.nan)), rf"{CASE}\.npy holds a value that is not a finite"),
    "no volume": (save(CASE, np.zeros(4)), rf"{CASE}\.npy has shape \(4,\); expected"),
    "empty": (save(CASE, np.zeros((0, 3, 3))), rf"{CASE}\.npy has shape"),
    "other classes": (save(CASE, np.zeros((4, *VOLUME))), rf"has 1 classes, but .*{CASE}\.npy has 4"),
    "a broken archive": (
        lambda f: (f.inputs.test_outputs / f"{CASE}.npy").write_bytes(b"PK\x03\x04 broken off"),
        rf"{CASE}\.npy cannot be read as an array",
    ),
    "code": (save(CASE, np.array([print])), rf"{CASE}\.npy cannot be read as an array"),
    "text": (save(CASE, np.array(["a"])), rf"{CASE}\.npy holds no array of numbers"),
    "files and folders": (lambda f: (f.inputs.test_outputs / "x").mkdir(), r"holds files and folders"),
    "a case in two files": (
        lambda f: torch.save(torch.zeros(VOLUME), f.inputs.test_outputs / f"{CASE}.pt"),
        rf"{CASE}\.npy and .*pt are of one case",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_sentence_names_the_file_and_no_table_is_written(fault: str, a_cohort: Any, tmp_path: Path) -> None:
    add_outputs(a_cohort)
    spoil, sentence = FAULTS[fault]
    spoil(a_cohort)
    with pytest.raises(EvaluationError, match=sentence) as told:
        a_cohort.run(tmp_path / "out", reducers=("none",))
    assert str(told.value).endswith(".")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out" / "results.csv").exists()


def test_logits_are_no_probabilities(a_cohort: Any, tmp_path: Path) -> None:
    add_outputs(a_cohort)
    with pytest.raises(EvaluationError, match=r"no probabilities; leave --outputs-hold out"):
        a_cohort.run(tmp_path / "out", reducers=("none",), outputs="probabilities")


def test_members_must_be_alike_and_equally_many(a_cohort: Any, tmp_path: Path) -> None:
    inputs = add_outputs(a_cohort, members=3)
    folder = inputs.test_outputs / a_cohort.names[1]
    np.save(folder / "output2.npy", np.zeros((5, 8, 6)))
    with pytest.raises(EvaluationError, match=r"output2\.npy has shape \(1, 5, 8, 6\), but .*output0"):
        a_cohort.run(tmp_path / "out", reducers=("none",))
    (folder / "output2.npy").unlink()
    with pytest.raises(EvaluationError, match=r"has 2 and the case of .* has 3 outputs"):
        a_cohort.run(tmp_path / "other", reducers=("none",))
    (folder / "output1.npy").unlink()
    with pytest.raises(EvaluationError, match=r"holds 1 outputs; several of one case are two or more"):
        a_cohort.run(tmp_path / "other", reducers=("none",))
