"""What is killed: each verb with what it begins from, what must hold after a kill, and what its result is."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import tiny_cases
import torch
from forked import command
from scripted_reader import acknowledged, decided, read_on
from small_model import NETWORK
from whole import Torn, assessment_facts, digest, reference_facts, store_is_sound, strays

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.model.model_folder import read_model_folder
from BottleneckOODLib.model.networks import build_network
from BottleneckOODLib.triage.place import Place
from BottleneckOODLib.triage.store import Store

Words = list[str]


class Scenario:
    """One verb.

    Args:
        work: A folder of this scenario alone.
        model: The tiny model.
        reference: Its reference.
    """

    name = ""
    work_itself: Callable[[], int] | None = None

    def __init__(self, work: Path, model: Path, reference: Path) -> None:
        self.work, self.scans = work / "work", work / "scans"
        self.judge = ["--model", str(model), "--reference", str(reference), "--device", "cpu", "--trust-files"]
        self.model = ["--model", str(model), "--device", "cpu"]
        self.prepare()

    def prepare(self) -> None:
        """What all runs share."""

    def begin(self) -> None:
        """Empty the folder that the verb works in, and put there what it begins from."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)

    def words(self, *, again: bool) -> Words:
        """The command; ``again`` for the run after a kill."""
        raise NotImplementedError

    def check_killed(self) -> None:
        """What must hold right after a kill; raises Torn, or LookupError for what is lost."""

    def result(self) -> Any:
        """What an undisturbed run gives, to be compared."""
        raise NotImplementedError

    def leftovers(self) -> list[str]:
        """What should not be there after the run that follows a kill."""
        raise NotImplementedError


class Assess(Scenario):
    name = "assess"

    def prepare(self) -> None:
        self.image = tiny_cases.write_bodies(self.scans, 1, 500)[0]
        self.case = self.work / "out" / "case"

    def words(self, *, again: bool) -> Words:
        output = str(self.work / "out")
        return ["assess", str(self.image), "--case-id", "case", "--output", output, "--overwrite", *self.judge]

    def check_killed(self) -> None:
        if self.case.exists():
            assessment_facts(self.case)
        if names := strays(self.work / "out", {"case"}, temporaries=True):
            raise Torn(f"{names} lie there")

    def result(self) -> Any:
        return assessment_facts(self.case)

    def leftovers(self) -> list[str]:
        return strays(self.work / "out", {"case"}, temporaries=False)


class AssessOver(Assess):
    name = "assess over an earlier result"

    def prepare(self) -> None:
        super().prepare()
        other = tiny_cases.write_bodies(self.scans, 1, 501)[0]
        command(["assess", str(other), "--case-id", "case", "--output", str(self.scans / "earlier"), *self.judge])
        self.earlier = assessment_facts(self.scans / "earlier" / "case")

    def begin(self) -> None:
        super().begin()
        shutil.copytree(self.scans / "earlier", self.work / "out")

    def check_killed(self) -> None:
        if not self.case.exists():
            raise LookupError("the earlier result is gone")
        super().check_killed()


class Build(Scenario):
    name = "reference build"

    def prepare(self) -> None:
        self.table = tiny_cases.write_list(tiny_cases.write_bodies(self.scans, 20, 600), self.scans / "cases.csv")
        self.folder = self.work / "built"

    def words(self, *, again: bool) -> Words:
        return ["reference", "build", "--cases", str(self.table), "--output", str(self.folder), "--overwrite",
                *self.model]  # fmt: skip

    def check_killed(self) -> None:
        if self.folder.exists():
            reference_facts(self.folder)
        if names := strays(self.work, {"built", "built.partial"}, temporaries=True):
            raise Torn(f"{names} lie there")

    def result(self) -> Any:
        return reference_facts(self.folder)

    def leftovers(self) -> list[str]:
        return strays(self.work, {"built"}, temporaries=False)


class BuildOver(Build):
    name = "reference build over an earlier one"

    def prepare(self) -> None:
        super().prepare()
        self.earlier = Path(self.judge[3])

    def begin(self) -> None:
        super().begin()
        shutil.copytree(self.earlier, self.folder)

    def check_killed(self) -> None:
        if not self.folder.exists():
            raise LookupError("the earlier reference is gone")
        super().check_killed()


class Triage(Scenario):
    name = "triage"

    def prepare(self) -> None:
        tiny_cases.write_bodies(self.scans, 2, 700)
        (self.scans / "broken.nrrd").write_bytes(b"NRRD0004\n")
        self.store, self.cases = self.work / "t.db", self.work / "t.cases"

    def words(self, *, again: bool) -> Words:
        return ["triage", str(self.scans), "--store", str(self.store), "--names", "files", *self.judge]

    def check_killed(self) -> None:
        if self.store.exists() and not store_is_sound(self.store):
            raise Torn("the store is damaged")
        for place in [place for place in self.cases.glob("*") if place.is_dir()]:
            for folder in [folder for folder in place.iterdir() if not folder.name.startswith(".")]:
                assessment_facts(folder)
        for folder in self._rows():
            if folder[2]:
                assessment_facts(Path(folder[2]))

    def result(self) -> Any:
        return sorted((case, light, Path(folder).name) for case, light, folder in self._rows())

    def leftovers(self) -> list[str]:
        (place,) = self.cases.iterdir()
        names = {Path(folder).name for _, _, folder in self._rows() if folder}
        return strays(self.work, {"t.db", "t.cases"}, temporaries=False) + strays(place, names, temporaries=False)

    def _rows(self) -> list[tuple[str, str, str]]:
        if not self.store.exists():
            return []
        query = "SELECT c.case_id, a.light, a.folder FROM assessments a JOIN cases c ON c.number = a.\"case\""
        try:
            with closing(sqlite3.connect(self.store)) as database:
                return [(str(a), str(b), str(c)) for a, b, c in database.execute(query)]
        except sqlite3.OperationalError:
            return []  # The tables are not made yet.


class Review(Scenario):
    """The reader's decisions pile up over the kills; what was acknowledged is never lost or doubled."""

    name = "review"

    def prepare(self) -> None:
        self.n_cases = 6
        image = tiny_cases.write_bodies(self.scans, 1, 800)[0]
        command(["assess", str(image), "--case-id", "case", "--output", str(self.scans / "made"), *self.judge])
        fill_store(str(self.scans / "filled.db"), Assessment.load(self.scans / "made" / "case"), self.n_cases)
        self.store, self.journal, self.ended = self.work / "t.db", self.work / "journal", self.work / "ended"
        self.work_itself = lambda: read_on(self.store, self.journal, self.ended)

    def begin(self) -> None:
        super().begin()
        shutil.copyfile(self.scans / "filled.db", self.store)
        self.ended.touch()

    def check_killed(self) -> None:
        if not store_is_sound(self.store):
            raise Torn("the store is damaged")
        there, promised = [case for case, _ in decided(self.store)], acknowledged(self.journal)
        if missing := set(promised) - set(there):
            raise LookupError(f"the decisions on {missing} are gone")
        if len(set(there)) != len(there) or len(there) > len(promised) + 1:
            raise Torn(f"{len(there)} decisions on {len(set(there))} cases, {len(promised)} acknowledged")

    def result(self) -> Any:
        return sorted(case for case, _ in decided(self.store))

    def leftovers(self) -> list[str]:
        return strays(self.work, {"t.db", "journal", "ended"}, temporaries=False)


class Export(Scenario):
    name = "export"

    def prepare(self) -> None:
        Review.prepare(self)  # type: ignore[arg-type]
        self.work_itself = None
        self.table = self.work / "cases.csv"

    def begin(self) -> None:
        super().begin()
        shutil.copyfile(self.scans / "filled.db", self.store)
        self.table.write_text("earlier\n", encoding="utf-8")

    def words(self, *, again: bool) -> Words:
        return ["review", "export", "--store", str(self.store), "--output", str(self.table), "--overwrite"]

    def check_killed(self) -> None:
        if not self.table.exists():
            raise LookupError("the earlier table is gone")
        if self.table.read_text(encoding="utf-8-sig") not in ("earlier\n", ""):
            raise Torn("the table is neither the earlier one nor the new one")

    def result(self) -> Any:
        return digest(self.table)

    def leftovers(self) -> list[str]:
        return strays(self.work, {"t.db", "cases.csv"}, temporaries=False)


class Embed(Scenario):
    name = "embed"

    def prepare(self) -> None:
        self.table = tiny_cases.write_list(tiny_cases.write_bodies(self.scans, 4, 900), self.scans / "cases.csv")
        self.folder = self.work / "embedded"

    def words(self, *, again: bool) -> Words:
        return ["embed", "--cases", str(self.table), "--output", str(self.folder), *self.model]

    def check_killed(self) -> None:
        for path in self._files():
            if path.suffix == ".npy":
                _read_array(path)
            elif path.suffix == ".json":
                _read_json(path)

    def result(self) -> Any:
        return {str(path.relative_to(self.folder)): digest(path) for path in self._files()}

    def leftovers(self) -> list[str]:
        return [path.name for path in self.work.rglob(".*")]

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith("."))


class Evaluate(Scenario):
    name = "evaluate"

    def prepare(self) -> None:
        rng = np.random.default_rng(3)
        for part, n in (("train", 20), ("test", 12)):
            (self.scans / part).mkdir(parents=True)
            for number in range(n):
                array = rng.normal(0, 1 + (part == "test") * (number % 3), (6, 2, 3, 3)).astype(np.float32)
                np.save(self.scans / part / f"{part}{number:02d}.npy", array)
        rows = [f"test{n:02d},{0.5 if n % 3 == 2 else 0.97},{n + 1},{n / 9}" for n in range(12)]
        self.table = self.scans / "performance.csv"
        self.table.write_text("filename,DICE_Score,HD,SD\n" + "\n".join(rows) + "\n", encoding="utf-8")
        self.folder = self.work / "evaluated"

    def words(self, *, again: bool) -> Words:
        named = ["--train", str(self.scans / "train"), "--test", str(self.scans / "test")]
        named += ["--performance", str(self.table), "--output", str(self.folder), "--reducers", "none,avgpool"]
        return ["evaluate", *named, "--bootstrap", "20", *(["--resume"] if again and self.folder.exists() else [])]

    def check_killed(self) -> None:
        for path in self.folder.glob("*.json"):
            _read_json(path)

    def result(self) -> Any:
        tables = {}
        for path in sorted(self.folder.glob("*.csv")):
            with path.open(encoding="utf-8", newline="") as stream:
                rows = list(csv.DictReader(stream))
            tables[path.name] = [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
        return tables

    def leftovers(self) -> list[str]:
        return [path.name for path in self.work.rglob(".*")]


class ModelAdd(Scenario):
    name = "model add"

    def prepare(self) -> None:
        self.scans.mkdir(parents=True)
        torch.manual_seed(5)
        network = build_network("unet", NETWORK)
        safetensors.torch.save_file(network.state_dict(), self.scans / "weights.safetensors")
        (self.scans / "network.json").write_text(json.dumps(NETWORK), encoding="utf-8")
        self.folder = self.work / "mine"

    def words(self, *, again: bool) -> Words:
        if again and self.folder.exists():
            return ["model", "show", str(self.folder)]
        return ["model", "add", "mine", "--network", "unet", "--weights", str(self.scans / "weights.safetensors"),
                "--arguments", str(self.scans / "network.json"), "--modality", "CT", "--orientation", "LPS",
                "--spacing", "12x12x12", "--intensity", "range:-150,250:0,1", "--patch", "16,16,16",
                "--label", "liver=1", "--output", str(self.folder)]  # fmt: skip

    def check_killed(self) -> None:
        if self.folder.exists():
            self.result()

    def result(self) -> Any:
        try:
            return read_model_folder(self.folder).fingerprint
        except Exception as error:
            raise Torn(str(error)) from None

    def leftovers(self) -> list[str]:
        return strays(self.work, {"mine"}, temporaries=False)


def fill_store(store_url: str, assessment: Assessment, n_cases: int) -> None:
    """A store with cases that wait for a reading."""
    with Store(store_url) as store:
        for number in range(n_cases):
            case_id = store.note_case(f"{number:064x}", f"case{number:05d}", Place(f"scans/{number}.nrrd", "", "1"))
            one = replace(assessment, case_id=case_id, score=number / n_cases, volume=None)
            store.add_assessment(case_id, "ab" * 32, one, "", 0.1)


def _read_array(path: Path) -> None:
    try:
        np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise Torn(f"{path.name}: {error}") from None


def _read_json(path: Path) -> None:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Torn(f"{path.name}: {error}") from None


SCENARIOS: dict[str, type[Scenario]] = {
    one.name: one
    for one in (Assess, AssessOver, Build, BuildOver, Triage, Review, Export, Embed, Evaluate, ModelAdd)
}
