"""Folders of saved outputs of a network, one file a case or one folder of several outputs a case, read one by one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.special

from BottleneckOODLib.errors import EvaluationError
from BottleneckOODLib.evaluation.cohort import Cohort
from BottleneckOODLib.evaluation.embeddings import SUFFIXES, ReadTensor, case_name, read_npy
from BottleneckOODLib.evaluation.feature_sets import check_same_names
from BottleneckOODLib.evaluation.settings import PAPER, PROBABILITIES, Settings
from BottleneckOODLib.ood.output_scores import ensemble_scores, output_scores, paper_output_scores

AnyFloats = npt.NDArray[np.floating]

_BATCHED, _CLASSES, _VOLUME = 5, 4, 3
# So sure that more digits would be the rounding of whoever saved it.
_SUREST = 1e-7


@dataclass(frozen=True)
class Outputs:
    """Files of every case, in the cohort's order.

    Attributes:
        test: Files of each test case: one, or one of each member.
        train: The same of each training case; empty if there are none.
        n_members: Outputs of a case; 1 where there is one file a case.
    """

    test: tuple[tuple[Path, ...], ...]
    train: tuple[tuple[Path, ...], ...]
    n_members: int


def find_outputs(test: Path, train: Path | None, cohort: Cohort) -> Outputs:
    """Find the files of every case; nothing is read yet.

    Raises:
        EvaluationError: A folder or a case's output is missing, or cases do not have equally many outputs.
    """
    found_test = _in_order(test, cohort.test_names, "test")
    found_train = _in_order(train, cohort.train_names, "training") if train is not None else ()
    counts = {len(files): files for files in (*found_test, *found_train)}
    if len(counts) > 1:
        (fewer, few), (more, many) = sorted(counts.items())[:2]
        message = (
            f"The case of {few[0]} has {fewer} and the case of {many[0]} has {more} outputs; "
            "every case needs equally many."
        )
        raise EvaluationError(message)
    return Outputs(found_test, found_train, next(iter(counts)))


def _in_order(folder: Path, names: tuple[str, ...], kind: str) -> tuple[tuple[Path, ...], ...]:
    if not folder.is_dir():
        message = f"The folder of outputs {folder} is not there; give a folder with one file or one folder a case."
        raise EvaluationError(message)
    entries = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    files = [path for path in entries if path.is_file() and path.name.lower().endswith(SUFFIXES)]
    folders = [path for path in entries if path.is_dir()]
    if files and folders:
        message = f"The folder {folder} holds files and folders of cases; keep one output a case, or one folder a case."
        raise EvaluationError(message)
    found: dict[str, tuple[Path, ...]] = {}
    for path in files or folders:
        name = case_name(path.name)
        if name in found:
            message = f"The outputs {found[name][0]} and {path} are of one case, {name}; keep one of them."
            raise EvaluationError(message)
        found[name] = (path,) if files else _members(path)
    if not found:
        message = f"The folder {folder} holds no output; give one .npy or .pt file, or one folder of them, a case."
        raise EvaluationError(message)
    check_same_names(set(found), names, folder, kind, "outputs")
    return tuple(found[name] for name in names)


def _members(folder: Path) -> tuple[Path, ...]:
    members = tuple(
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".") and path.name.lower().endswith(SUFFIXES)
    )
    if len(members) < 2:  # noqa: PLR2004 - one output has no spread
        message = f"The folder {folder} holds {len(members)} outputs; several of one case are two or more."
        raise EvaluationError(message)
    return members


def stamp(files: tuple[Path, ...]) -> list[list[str | int]]:
    """What tells whether files are still the same without reading them: name, size, and time of change."""
    stats = [(path, path.stat()) for path in files]
    return [[path.name, stat.st_size, stat.st_mtime_ns] for path, stat in stats]


def read_case(files: tuple[Path, ...], settings: Settings, read_tensor: ReadTensor) -> list[AnyFloats]:
    """All outputs of one case, each of shape (n_classes, Z, Y, X); one channel stands for the foreground.

    Raises:
        EvaluationError: A file cannot be read, runs code, or holds what is no such output.
    """
    read = [_read_one(path, settings, read_tensor) for path in files]
    for path, output in zip(files, read, strict=True):
        if output.shape != read[0].shape:
            message = (
                f"The output {path} has shape {output.shape}, but {files[0]} has {read[0].shape}; "
                "all outputs of one case need one shape."
            )
            raise EvaluationError(message)
    return read


def _read_one(path: Path, settings: Settings, read_tensor: ReadTensor) -> AnyFloats:
    array = read_npy(path, mapped=True) if path.suffix.lower() == ".npy" else read_tensor(path)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        message = f"The file {path} holds no array of numbers; save the output as floats."
        raise EvaluationError(message)
    shape = array.shape
    if array.ndim == _BATCHED and shape[0] == 1:
        array = array[0]
    if array.ndim == _VOLUME:
        array = array[None]
    if array.ndim != _CLASSES or not array.size:
        message = f"The output {path} has shape {shape}; expected (n_classes, Z, Y, X), or (Z, Y, X) of the foreground."
        raise EvaluationError(message)
    if not np.isfinite(array).all():
        message = f"The output {path} holds a value that is not a finite number; make it again or leave the case out."
        raise EvaluationError(message)
    if settings.outputs == PROBABILITIES and (array.min() < 0 or array.max() > 1):
        message = (
            f"The output {path} holds values from {array.min():.3g} to {array.max():.3g}, which are no probabilities; "
            "leave --outputs-hold out for logits."
        )
        raise EvaluationError(message)
    return np.asarray(array, dtype=array.dtype if array.dtype.kind == "f" else np.float32)


def scores_of_case(
    outputs: list[AnyFloats], settings: Settings, temperatures: tuple[float, ...]
) -> list[tuple[str, dict[str, float | str], float]]:
    """Every score of one case as detector, parameters and value; the same ones in the same order for every case.

    In ``paper`` mode over all voxels only, and several outputs by their standard deviation only, as published.
    """
    paper = settings.mode == PAPER
    if len(outputs) > 1:
        found = ensemble_scores(np.stack([_as_probabilities(output, settings) for output in outputs]))
        return [
            (settings.members, _ensemble_parameters(key), value)
            for key, value in found.items()
            if not paper or key == "std_all"
        ]
    logits = _as_logits(outputs[0], settings)
    measured = paper_output_scores if paper else output_scores
    scores: list[tuple[str, dict[str, float | str], float]] = []
    for temperature in temperatures:
        for key, value in measured(logits, temperature=temperature).items():
            measure, region = key.rsplit("_", maxsplit=1)
            # Probabilities have lost the size of the logits, which is what the energy measures.
            if measure != "energy" or settings.outputs != PROBABILITIES:
                scores.append((measure, {"region": region, "temperature": temperature}, value))
    return scores


def _ensemble_parameters(key: str) -> dict[str, float | str]:
    score, _, region = key.partition("_")
    return {"score": score, "region": region} if region else {"score": score}


def _as_probabilities(output: AnyFloats, settings: Settings) -> AnyFloats:
    if settings.outputs == PROBABILITIES:
        return output
    values = np.asarray(output, dtype=np.float32)
    return np.asarray(scipy.special.expit(values) if len(values) == 1 else scipy.special.softmax(values, axis=0))


def _as_logits(output: AnyFloats, settings: Settings) -> AnyFloats:
    if settings.outputs != PROBABILITIES:
        return output
    chances = np.clip(np.asarray(output, dtype=np.float64), _SUREST, 1 - _SUREST)
    if len(chances) > 1:
        return np.asarray(np.log(chances))
    # The published pair [x, -x] is the softmax of a sigmoid of 2x.
    return np.asarray(scipy.special.logit(chances) * (0.5 if settings.mode == PAPER else 1.0))
