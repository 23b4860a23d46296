"""``model list``, ``model show``, ``reference list`` and ``reference show``."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from BottleneckOODLib.cli.main import main
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.resources import resource_folder

Captured = pytest.CaptureFixture[str]


def rows_of(text: str) -> dict[str, str]:
    """``name:   value`` of each line."""
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def document(*parts: str) -> dict[str, object]:
    content = json.loads(resource_folder().joinpath(*parts).read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def test_the_list_of_models_has_the_demo(capsys: Captured) -> None:
    assert main(["model", "list"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    [line] = said.out.splitlines()
    known = document("models", "demo", "model.json")
    assert line.split()[:2] == ["demo", "CT"]
    assert f"version {known['version']}" in line
    assert line.endswith("liver")


def test_the_list_of_references_has_the_demo(capsys: Captured) -> None:
    assert main(["reference", "list"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    [line] = said.out.splitlines()
    known = document("references", "demo", "reference.json")
    assert line.split()[0] == "demo"
    counted, aside = (int(number) for number in re.findall(r" (\d+) training cases \((\d+) more", line)[0])
    assert counted + aside == known["n_cases"]
    assert str(known["model_fingerprint"])[:8] in line


def test_a_model_is_shown_with_what_it_is_for(capsys: Captured) -> None:
    assert main(["model", "show", "demo"]) == 0
    said = capsys.readouterr()
    known = document("models", "demo", "model.json")
    rows = rows_of(said.out)
    assert said.err == ""
    assert rows["name"] == "demo"
    assert rows["licence"] == known["licence"]
    assert rows["intended use"] == known["intended_use"]
    assert "not for clinical use" in rows["intended use"]
    assert rows["fingerprint"] == known["fingerprint"]
    assert rows["labels"] == "liver = 1"


def test_a_reference_is_shown_with_its_cases(capsys: Captured) -> None:
    assert main(["reference", "show", "demo"]) == 0
    said = capsys.readouterr()
    known = document("references", "demo", "reference.json")
    n_cases = known["n_cases"]
    assert isinstance(n_cases, int)
    rows = rows_of(said.out)
    assert said.err == ""
    told = re.match(r"(\d+) training cases \((\d+) more, whose mask failed, calibrate nothing\)", rows["cases"])
    assert told is not None
    assert int(told[1]) + int(told[2]) == n_cases
    assert float(rows["smallest p-value"]) == pytest.approx(1 / (int(told[1]) + 1), abs=1e-4)
    # What was measured on other images than the reference's cases says so.
    settings = known["settings"]
    assert isinstance(settings, dict)
    choice = settings["detector_choice"]
    assert choice["chosen_on"] in rows["detector"]
    assert f"{choice['n_failed']} of those {choice['n_failed'] + choice['n_good']} images failed" in rows["detector"]
    assert rows["made by model"] == known["model_fingerprint"]
    assert "bottleneck" in rows["spaces"]
    assert rows["Dice of its cases"].startswith("mean 0.")


def test_the_demo_reference_was_made_by_the_demo_model() -> None:
    model, reference = document("models", "demo", "model.json"), document("references", "demo", "reference.json")
    assert reference["model_fingerprint"] == model["fingerprint"]


def test_a_reference_is_shown_without_python_s_punctuation(capsys: Captured) -> None:
    main(["reference", "show", "demo"])
    assert not set("{}[]") & set(capsys.readouterr().out)


def test_a_model_of_the_user_s_own_is_listed_and_shown(
    a_model: ModelFolder, the_users_own_folder: Path, capsys: Captured
) -> None:
    shutil.copytree(a_model.folder, the_users_own_folder / "models" / "mine")
    assert main(["model", "list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["demo", "mine"]
    assert main(["model", "show", "mine"]) == 0
    assert rows_of(capsys.readouterr().out)["fingerprint"] == a_model.fingerprint


def test_a_model_of_the_user_s_own_comes_before_the_embedded_one_of_its_name(
    a_model: ModelFolder, the_users_own_folder: Path, capsys: Captured
) -> None:
    shutil.copytree(a_model.folder, the_users_own_folder / "models" / "demo")
    assert main(["model", "show", "demo"]) == 0
    assert rows_of(capsys.readouterr().out)["fingerprint"] == a_model.fingerprint


def test_a_model_folder_is_shown_by_its_path(a_model: ModelFolder, capsys: Captured) -> None:
    assert main(["model", "show", str(a_model.folder)]) == 0
    assert rows_of(capsys.readouterr().out)["name"] == a_model.name


@pytest.mark.parametrize("kind", ["model", "reference"])
def test_what_is_not_there_is_one_sentence_with_the_names_that_are(kind: str, capsys: Captured) -> None:
    assert main([kind, "show", "no-such-name"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    assert '"no-such-name" was not found' in line
    assert '"demo"' in line


@pytest.mark.parametrize("kind", ["model", "reference"])
def test_a_folder_of_something_else_is_one_sentence(kind: str, tmp_path: Path, capsys: Captured) -> None:
    assert main([kind, "show", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("bottleneck-ood: ")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("kind", ["model", "reference"])
def test_a_damaged_one_does_not_hide_the_others(kind: str, the_users_own_folder: Path, capsys: Captured) -> None:
    for name in ("a-damaged", "z-damaged"):
        folder = the_users_own_folder / f"{kind}s" / name
        folder.mkdir(parents=True)
        (folder / f"{kind}.json").write_text("{")
    shutil.copytree(resource_folder() / f"{kind}s" / "demo", the_users_own_folder / f"{kind}s" / "mine")
    main([kind, "list"])
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines() if "damaged" not in line] == ["demo", "mine"]
    assert "a-damaged" in said.out + said.err


def test_what_a_terminal_would_obey_in_somebody_s_folder_is_told_in_letters(
    a_model: ModelFolder, tmp_path: Path, capsys: Captured
) -> None:
    named = "mine\x1b[2J"
    replace(Reference.load(resource_folder() / "references" / "demo"), name=named).save(tmp_path / "reference")
    path = a_model.folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "licence": named}), encoding="utf-8")
    assert main(["model", "show", str(a_model.folder)]) == 0
    assert main(["reference", "show", str(tmp_path / "reference")]) == 0
    said = capsys.readouterr().out
    assert said.count("mine\\x1b[2J") == 2
    assert "\x1b" not in said


def test_the_outcomes_are_told_by_a_fact_of_the_acquisition(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reference", "show", "demo", "--by", "contrast_phase"]) == 0
    told = capsys.readouterr().out
    counts = [int(line.split(", ")[1].split()[0]) for line in told.split("Dice by contrast_phase:")[1].splitlines()[1:]]
    assert sum(counts) == document("references", "demo", "reference.json")["n_cases"]


def test_a_fact_that_no_case_has_is_refused_with_those_that_they_have(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reference", "show", "demo", "--by", "kernel"]) == 2
    assert "contrast_phase" in capsys.readouterr().err
