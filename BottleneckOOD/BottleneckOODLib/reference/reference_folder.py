"""The reference folder: the training cases that a case is compared with, as data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.atomic_folder import written_whole
from BottleneckOODLib.errors import ReferenceMismatchError, ReferenceSetError
from BottleneckOODLib.json_object import json_object
from BottleneckOODLib.ood.knn import squared_distances
from BottleneckOODLib.ood.placement import Placement, place
from BottleneckOODLib.ood.token_bank import TokenBank
from BottleneckOODLib.reference.bank_file import read_bank, write_bank
from BottleneckOODLib.reference.cases_file import ExtentRange, ReferenceCase, extent_range, read_cases, write_cases
from BottleneckOODLib.reference.feature_space import FeatureSpace, make_detector, make_reducer
from BottleneckOODLib.reference.outcomes import Outcomes
from BottleneckOODLib.reference.scoring import (
    Neighbour,
    Score,
    calibrating_rows,
    combined_leave_one_out,
    nearest_cases,
    score_case,
)
from BottleneckOODLib.tensor_file import TensorFileError, check_tensor_file, read_arrays, write_arrays

FloatArray = npt.NDArray[np.float64]

SCHEMA_VERSION = 1
REFERENCE_FILE, ARRAYS_FILE, CASES_FILE = "reference.json", "arrays.safetensors", "cases.csv"
TOKENS_FILE, THUMBNAILS_FOLDER = "tokens.safetensors", "thumbnails"
_FILES = (REFERENCE_FILE, ARRAYS_FILE, CASES_FILE, TOKENS_FILE, f"{THUMBNAILS_FOLDER}/")
_MAX_FILE_BYTES = 50_000_000
_MAX_ARRAY_BYTES = 2_000_000_000


@dataclass(frozen=True, eq=False)
class Reference:
    """Everything that a case is compared with.

    Attributes:
        name: Short name.
        model_fingerprint: Fingerprint of the model that made the features.
        cases: The cases, in the order of every array's rows.
        spaces: The feature spaces, by name; ``"bottleneck"`` is always there.
        map_xy: Map position of each case, shape (n, 2).
        settings: How it was built: pooling, what was chosen, why; for people and for remaking.
        fingerprint: SHA-256 of the content; empty until saved or loaded.
        bank: What parts of the cases look like to the network, for the map of unusual regions; None where none is kept.
        outcomes: What its cases' own outcomes say about a score; None in references that were built before that.
        thumbnails: A PNG of each case, to be written; for looking only, and not read again.
    """

    name: str
    model_fingerprint: str
    cases: tuple[ReferenceCase, ...]
    spaces: Mapping[str, FeatureSpace]
    map_xy: FloatArray
    settings: Mapping[str, Any]
    fingerprint: str = ""
    bank: TokenBank | None = None
    outcomes: Outcomes | None = None
    thumbnails: tuple[bytes, ...] = ()

    def check_made_by(self, fingerprint: str, measurements: Collection[int]) -> None:
        """Refuse to judge features of another model, or that were measured in another way.

        Args:
            fingerprint: The model's.
            measurements: Ways of measuring whose features mean the same as today's.

        Raises:
            ReferenceMismatchError: The reference was made by another model, or before a feature was defined anew.
        """
        if self.settings.get("measurements") not in measurements:
            message = f'The reference "{self.name}" was built by another version of BottleneckOOD; build it again.'
            raise ReferenceMismatchError(message)
        if fingerprint != self.model_fingerprint:
            message = (
                f'The reference "{self.name}" was made by another model; choose its own, or build one with this model.'
            )
            raise ReferenceMismatchError(message)

    def score(self, features: Mapping[str, FloatArray | None]) -> Score:
        """How unusual a case is; spaces whose features are missing (an empty mask) are left out on both sides.

        Raises:
            ReferenceMismatchError: The features do not fit the reference.
            NotFiniteError: A feature or a score is not a finite number.
        """
        return score_case(self.spaces, features, self.calibrating)

    def neighbours(self, bottleneck: FloatArray, k: int = 5) -> tuple[Neighbour, ...]:
        """The nearest reference cases by bottleneck, nearest first."""
        return nearest_cases(self._distances(bottleneck), self._nearest_leave_one_out, self.cases, k)

    def place(self, bottleneck: FloatArray) -> Placement:
        """Position on the map."""
        return place(self._distances(bottleneck), self.map_xy, self._nearest_leave_one_out)

    @property
    def failure_dice(self) -> float | None:
        """A mask with this Dice or less has failed; None in references that were built before that counted."""
        limit = self.settings.get("failure_dice")
        return None if limit is None else float(limit)

    @cached_property
    def calibrating(self) -> npt.NDArray[np.bool_]:
        """The cases that scores are held against, shape (n,): those whose mask is not known to have failed."""
        return calibrating_rows([case.dice for case in self.cases], self.failure_dice)

    @cached_property
    def combined_calibration(self) -> FloatArray:
        """Combined scores of the cases that count, each left out: what a case's score is compared with."""
        return combined_leave_one_out(self.spaces, self.calibrating)[self.calibrating]

    @cached_property
    def extent_range(self) -> ExtentRange | None:
        """How much of a patient its cases show; None where that is not known."""
        return extent_range(self.cases)

    def _distances(self, bottleneck: FloatArray) -> FloatArray:
        space = self.spaces["bottleneck"]
        squared = squared_distances(space.as_the_detector_sees(bottleneck)[None], space.detector.features_)
        return np.asarray(np.sqrt(squared[0]))

    @cached_property
    def _nearest_leave_one_out(self) -> FloatArray:
        features = self.spaces["bottleneck"].detector.features_
        squared = squared_distances(features, features)
        np.fill_diagonal(squared, np.inf)
        return np.asarray(np.sqrt(squared.min(axis=1)))

    def save(self, folder: Path, *, overwrite: bool = False) -> Reference:
        """Write the folder, whole or not at all, and give back the reference with its fingerprint.

        Raises:
            OutputError: The folder exists and ``overwrite`` is not set, or cannot be written.
        """
        with written_whole(folder, overwrite=overwrite, known=_FILES) as temporary:
            self._write(temporary)
            # Before an older one goes: what was written can be read.
            return Reference.load(temporary)

    def _write(self, folder: Path) -> None:
        arrays = {"map_xy": self.map_xy.astype(np.float64)}
        for name, space in self.spaces.items():
            arrays[f"{name}.features"] = space.features.astype(np.float64)
            arrays[f"{name}.leave_one_out"] = space.leave_one_out.astype(np.float64)
        write_arrays(arrays, folder / ARRAYS_FILE)
        write_cases(self.cases, folder / CASES_FILE)
        document = {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "model_fingerprint": self.model_fingerprint,
            "n_cases": len(self.cases),
            "spaces": {
                name: {
                    "detector": space.detector.name,
                    "settings": space.detector.settings(),
                    "reducer": space.reducer and {"name": space.reducer.name, "settings": space.reducer.settings()},
                }
                for name, space in self.spaces.items()
            },
            "settings": dict(self.settings),
        }
        if self.outcomes is not None:
            document["outcomes"] = self.outcomes.document()
        if self.bank is not None:
            document["tokens"] = {"spread": self.bank.spread}
            write_bank(self.bank, folder / TOKENS_FILE)
        if self.thumbnails:
            pictures = folder / THUMBNAILS_FOLDER
            pictures.mkdir()
            # By number: a case's name may tell more than its picture should.
            for number, picture in enumerate(self.thumbnails, start=1):
                (pictures / f"{number:04d}.png").write_bytes(picture)
        document["fingerprint"] = _fingerprint(document, folder)
        (folder / REFERENCE_FILE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Reference:
        """Read and check a reference folder.

        Raises:
            ReferenceSetError: A file is missing, damaged, of a newer format, or was changed since it was made.
        """
        document = read_document(folder)
        try:
            arrays = _read_arrays(folder)
            cases = read_cases(folder / CASES_FILE)
            _check_unchanged(document, folder)
            n = document["n_cases"]
            sizes = {len(cases), *(len(array) for array in arrays.values())}
            if sizes != {n} or not all(np.isfinite(array).all() for array in arrays.values()):
                message = (
                    f"The reference in {folder} is damaged: its tables do not agree; restore it or build it again."
                )
                raise ReferenceSetError(message)
            spaces = {
                name: FeatureSpace.fitted(
                    name,
                    arrays[f"{name}.features"],
                    make_detector(entry["detector"], entry["settings"]),
                    arrays[f"{name}.leave_one_out"],
                    reducer=reducer and make_reducer(reducer["name"], reducer["settings"]),
                )
                for name, entry in document["spaces"].items()
                for reducer in [entry.get("reducer")]
            }
            outcomes = document.get("outcomes")
            bank = read_bank(folder / TOKENS_FILE, document["tokens"]["spread"]) if "tokens" in document else None
            # Again, now that all is read: a reference that is just being replaced must not be half of each.
            _check_unchanged(document, folder)
            return cls(
                name=str(document["name"]),
                model_fingerprint=str(document["model_fingerprint"]),
                cases=cases,
                spaces=spaces,
                map_xy=arrays["map_xy"],
                settings=dict(document["settings"]),
                fingerprint=str(document["fingerprint"]),
                bank=bank,
                outcomes=None if outcomes is None else Outcomes.of_document(outcomes),
            )
        except (OSError, KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, TensorFileError):
            message = f"The reference in {folder} is damaged or incomplete; restore it or build it again."
            raise ReferenceSetError(message) from None


def read_document(folder: Path) -> dict[str, Any]:
    """``reference.json`` alone, for a list of references; its fields are not checked yet.

    Raises:
        ReferenceSetError: The file is missing, damaged, or of a newer format.
    """
    path = folder / REFERENCE_FILE
    if not path.is_file():
        message = f"The folder {folder} is not a reference folder: it has no {REFERENCE_FILE}; choose another folder."
        raise ReferenceSetError(message)
    document = json_object(path, _MAX_FILE_BYTES) or {}
    version = document.get("schema_version")
    if type(version) is not int or version < 1:
        message = f"The file {REFERENCE_FILE} in {folder} cannot be read; restore the reference or build it again."
        raise ReferenceSetError(message)
    if version > SCHEMA_VERSION:
        message = f"The reference in {folder} was made by a newer version of BottleneckOOD; update BottleneckOOD."
        raise ReferenceSetError(message)
    return document


def read_thumbnails(folder: Path, n_cases: int) -> tuple[bytes, ...]:
    """The pictures of a reference's cases, in their order; none unless there is one of each."""
    paths = [folder / THUMBNAILS_FOLDER / f"{number:04d}.png" for number in range(1, n_cases + 1)]
    return tuple(path.read_bytes() for path in paths) if all(path.is_file() for path in paths) else ()


def _read_arrays(folder: Path) -> dict[str, FloatArray]:
    path = folder / ARRAYS_FILE
    facts = check_tensor_file(path)
    if path.stat().st_size > _MAX_ARRAY_BYTES or any(dtype != "F64" or not shape for dtype, shape in facts.values()):
        message = "it holds other arrays than a reference has"
        raise TensorFileError(message)
    return {name: np.asarray(array, dtype=np.float64) for name, array in read_arrays(path).items()}


def _check_unchanged(document: Mapping[str, Any], folder: Path) -> None:
    if _fingerprint(document, folder) != document["fingerprint"]:
        message = f"The reference in {folder} was changed since it was made; restore it or build it again."
        raise ReferenceSetError(message)


def _fingerprint(document: Mapping[str, Any], folder: Path) -> str:
    content = {key: value for key, value in document.items() if key != "fingerprint"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode("utf-8"))
    for name in (ARRAYS_FILE, CASES_FILE, *((TOKENS_FILE,) if "tokens" in content else ())):
        digest.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return digest.hexdigest()
