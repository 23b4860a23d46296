"""Seeded mutations of every kind of file that the program opens, put through the way in that a user would take."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import mutated_seeds
from mutations import (
    mutated_archive,
    mutated_bytes,
    mutated_json,
    mutated_nifti,
    mutated_tensors,
    mutated_text_header,
)

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.record import SEGMENTATION_FILE
from BottleneckOODLib.assessment.regions import REGIONS_FILE, RegionMap, write_regions
from BottleneckOODLib.assessment.versions import edited_versions, latest_version, save_version
from BottleneckOODLib.errors import UserError
from BottleneckOODLib.imaging.reading_process import ReadingProcess
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.model.model_folder import fingerprint_of, read_model_folder
from BottleneckOODLib.model.nnunet_archive import extracted
from BottleneckOODLib.reference import reference_folder
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.tensor_file import sha256_of
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Wish, Worklist

FORMATS = Path(__file__).resolve().parents[1] / "formats" / "v1"
MOST_SECONDS, MOST_BYTES = 10.0, 2_000_000_000
LONGEST_SENTENCE = 1000
Files = dict[str, bytes]
Mutation = Callable[..., bytes]

IMAGES: Mapping[str, Mutation] = {
    "nii": mutated_nifti,
    "nii.gz": mutated_nifti,
    "nrrd": mutated_text_header,
    "nhdr": mutated_text_header,
    "mha": mutated_text_header,
    "mhd": mutated_text_header,
    "dicom": mutated_bytes,
}
DOCUMENTS: Mapping[str, Mutation] = {
    "model": lambda data, rng, others=(): mutated_json(data, rng),
    "weights": mutated_tensors,
    "reference": lambda data, rng, others=(): mutated_json(data, rng),
    "arrays": mutated_tensors,
    "cases": mutated_bytes,
    "assessment": lambda data, rng, others=(): mutated_json(data, rng),
    "mask": mutated_text_header,
    "edited mask": mutated_text_header,
    "regions": mutated_text_header,
    "store": mutated_bytes,
    "archive": mutated_archive,
}
KINDS = (*IMAGES, *DOCUMENTS)


@dataclass
class Outcome:
    """What a run came to: counts by name, and a line for each thing that must not be."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    largest: int = 0


class Gauntlet:
    """Mutates and judges; one model, one reader and one folder for all files.

    Args:
        work: A folder to write into.
        data: Folder with real scans; None takes generated ones alone.
        assess_every: Of so many images that can be read one is assessed.
        most_seconds: What takes longer is a fault.
    """

    def __init__(
        self, work: Path, data: Path | None = None, assess_every: int = 1, most_seconds: float = MOST_SECONDS
    ) -> None:
        self._work, self._most_seconds = work, most_seconds
        self._seeds = mutated_seeds.seeds(data)
        self._logic = BottleneckOODLogic(FORMATS / "model", FORMATS / "reference", device="cpu")
        self._reader = ReadingProcess()
        self._every, self._read = assess_every, 0
        self._sound: dict[tuple[str, int], Volume] = {}
        self.outcome = Outcome()
        # What is imported once is no matter of any file.
        self._logic.assess(self._reader.read(FORMATS / "case.nii.gz"))

    def close(self) -> None:
        """End the reader."""
        self._reader.close()

    def run(self, kind: str, number: int) -> None:
        """Make the mutation of this number and put it through.

        The number alone decides what is made, so that any one can be made again.
        """
        rng = random.Random(f"{kind} {number}")
        folder = self._work / "file"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        started = time.perf_counter()
        try:
            found = self._image(kind, rng, folder) if kind in IMAGES else self._document(kind, rng, folder)
        except UserError as error:
            found = self._of_sentence(str(error), f"{kind} {number}")
        except Exception as error:
            found = "tracebacks"
            self.outcome.faults.append(f"{kind} {number}: {type(error).__name__}: {str(error)[:200]}")
        seconds = time.perf_counter() - started
        self.outcome.slowest = max(self.outcome.slowest, seconds)
        self.outcome.largest = max(self.outcome.largest, _readers_peak_bytes())
        if seconds > self._most_seconds:
            self.outcome.faults.append(f"{kind} {number}: {seconds:.1f} s")
            self.outcome.counts["too long"] += 1
        if found == "green":
            self.outcome.faults.append(f"{kind} {number}: green")
        self.outcome.counts[found] += 1

    def _of_sentence(self, sentence: str, which: str) -> str:
        one = sentence.endswith(".") and "\n" not in sentence and len(sentence) <= LONGEST_SENTENCE
        if not one or "Traceback" in sentence:
            self.outcome.faults.append(f"{which}: no sentence: {sentence[:200]!r}")
            return "no sentence"
        if "ended the process that read it" in sentence:
            return "reader ended"
        return "reader stopped" if "was not read after" in sentence else "refused"

    def _image(self, kind: str, rng: random.Random, folder: Path) -> str:
        choices = self._seeds[kind]
        which = rng.randrange(len(choices))
        files = dict(choices[which])
        others = tuple(seed[name] for seed in choices for name in list(seed)[:1])
        # Of a series some slices; of a header and its voxels most often the header.
        names = rng.sample(list(files), rng.choice((1, len(files)))) if kind == "dicom" else [next(iter(files))]
        if len(files) > 1 and kind != "dicom" and rng.random() < 0.1:
            names = [list(files)[1]]
        for name in names:
            files[name] = IMAGES[kind](files[name], rng, others)
        source = _written(files, folder / "series" if kind == "dicom" else folder)
        sound = self._sound.get((kind, which))
        if sound is None:
            original = _written(dict(choices[which]), self._work / f"sound-{kind}-{which}")
            sound = self._sound.setdefault((kind, which), self._reader.read(original))
        volume = self._reader.read(source)
        same = volume.geometry == sound.geometry and volume.voxels.tobytes() == sound.voxels.tobytes()
        self._read += 1
        if self._read % self._every:
            return "read"
        light = self._logic.assess(volume).light
        # What the mutation did not reach is the same image, whatever its light.
        return "green" if light == "green" and not same else "assessed"

    def _document(self, kind: str, rng: random.Random, folder: Path) -> str:
        change = DOCUMENTS[kind]
        if kind in ("model", "weights"):
            shutil.copytree(FORMATS / "model", folder / "model")
            self._change(folder / "model" / ("model.json" if kind == "model" else "weights.safetensors"), change, rng)
            _put_model_right(folder / "model")
            read_model_folder(folder / "model")
            return "opened"
        if kind in ("reference", "arrays", "cases"):
            shutil.copytree(FORMATS / "reference", folder / "reference")
            name = {"reference": "reference.json", "arrays": "arrays.safetensors", "cases": "cases.csv"}[kind]
            self._change(folder / "reference" / name, change, rng)
            _put_reference_right(folder / "reference")
            Reference.load(folder / "reference")
            return "opened"
        if kind in ("assessment", "mask", "edited mask", "regions"):
            self._of_a_case(kind, change, rng, folder / "case")
            return "opened"
        if kind == "store":
            (folder / "triage.db").write_bytes(change(self._seeds["store"][0]["triage.db"], rng))
            with Store(str(folder / "triage.db")) as store:
                Worklist(store).page(Wish(), size=5)
                store.results()
            return "opened"
        (folder / "weights.zip").write_bytes(change(self._seeds["archive"][0]["weights.zip"], rng))
        before = set(self._work.rglob("*"))
        (folder / "inside").mkdir()
        try:
            extracted(folder / "weights.zip", folder / "inside")
        finally:
            new = set(self._work.rglob("*")) - before
            assert all(path == folder / "inside" or folder / "inside" in path.parents for path in new), "outside"
        return "opened"

    def _of_a_case(self, kind: str, change: Mutation, rng: random.Random, case: Path) -> None:
        shutil.copytree(FORMATS / "assessment" / "case", case)
        sound = Assessment.load(case)
        assert sound.segmentation is not None
        name = {"assessment": "assessment.json", "regions": REGIONS_FILE}.get(kind, SEGMENTATION_FILE)
        if kind == "regions":
            values = sound.segmentation.labels.astype("float32")
            write_regions(RegionMap(values, sound.segmentation.geometry), case / name)
        if kind == "edited mask":
            name = save_version(
                sound.segmentation, case, reader="AB", parent=name, assessment_created=sound.created
            ).file
        self._change(case / name, change, rng)
        Assessment.load(case)
        edited_versions(case)
        latest_version(case, sound.created)

    @staticmethod
    def _change(path: Path, change: Mutation, rng: random.Random) -> None:
        path.write_bytes(change(path.read_bytes(), rng))


def _readers_peak_bytes() -> int:
    """Most memory that a running reader has held; ``getrusage`` would also count what its parent held at the fork."""
    peaks = [0]
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            status = (folder / "status").read_text(encoding="utf-8")
            ours = f"\nPPid:\t{os.getpid()}\n" in status
            if ours and b"serve_reading" in (folder / "cmdline").read_bytes():
                peaks += [int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")]
    return max(peaks)


def _written(files: Files, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder if len(files) > 2 else folder / next(iter(files))


def _put_model_right(folder: Path) -> None:
    """As whoever makes a model would: sum and fingerprint fit what is there."""
    try:
        document = json.loads((folder / "model.json").read_bytes())
        document["weights"]["sha256"] = sha256_of(folder / "weights.safetensors")
        document["fingerprint"] = fingerprint_of(document, document["weights"]["sha256"])
        (folder / "model.json").write_text(json.dumps(document))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return


def _put_reference_right(folder: Path) -> None:
    try:
        document = json.loads((folder / "reference.json").read_bytes())
        document["fingerprint"] = reference_folder._fingerprint(document, folder)
        (folder / "reference.json").write_text(json.dumps(document))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError):
        return
