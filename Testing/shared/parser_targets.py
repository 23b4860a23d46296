"""Our own parsers, each as a function of bytes that nobody vouches for: a sentence or a result, never anything else.

Used by the fuzzer (``Testing/soak/fuzz.py``), by the replay of its corpus, and by the mutated files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from BottleneckOODLib.assessment.decision_record import parse_decisions
from BottleneckOODLib.assessment.record import parse_record, record_text
from BottleneckOODLib.errors import InputError, ModelError, ReferenceSetError, UserError
from BottleneckOODLib.evaluation.cohort import read_performance
from BottleneckOODLib.imaging.dicom import acquisition_facts, list_series, why_passed_over
from BottleneckOODLib.imaging.headers import (
    check_nifti_header,
    check_nifti_voxels,
)
from BottleneckOODLib.imaging.text_headers import check_meta_header, check_nrrd_header, detached_file
from BottleneckOODLib.model.bundle_config import BundleConfig
from BottleneckOODLib.model.model_folder import MODEL_FILE, fingerprint_of, read_model_file
from BottleneckOODLib.model.nnunet_plans import DATASET_FILE, PLANS_FILE, read_plans
from BottleneckOODLib.reference import reference_folder
from BottleneckOODLib.reference.cases_file import extent_range, read_cases
from BottleneckOODLib.reference.reference_folder import ARRAYS_FILE, CASES_FILE, REFERENCE_FILE, Reference
from BottleneckOODLib.tensor_file import TensorFileError, check_tensor_file, read_arrays
from BottleneckOODLib.triage.finding import find_volumes
from BottleneckOODLib.worker.protocol import ProtocolError, decode, encode

FORMATS = Path(__file__).resolve().parents[1] / "formats" / "v1"
MIRRORED_PLANS = b"\n---dataset---\n"


@lru_cache(maxsize=1)
def place() -> Path:
    """A folder of this process, in memory where the system has such a place."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="parser-targets-", dir=memory if os.access(memory, os.W_OK) else None))
    import atexit

    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _put(name: str, data: bytes) -> Path:
    path = place() / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def nifti(data: bytes) -> None:
    path = _put("scan.nii", data)
    with contextlib.suppress(InputError):
        check_nifti_header(path)
        check_nifti_voxels(path)


def nrrd(data: bytes) -> None:
    with contextlib.suppress(InputError):
        path = _put("scan.nrrd", data)
        check_nrrd_header(path)
        detached_file(path)


def meta(data: bytes) -> None:
    with contextlib.suppress(InputError):
        path = _put("scan.mha", data)
        check_meta_header(path)
        detached_file(path)


def dicom(data: bytes) -> None:
    folder = _put("series/1.dcm", data).parent
    with contextlib.suppress(InputError):
        found, _ = list_series(folder)
        for series in found:
            why_passed_over(series)
            acquisition_facts(series.headers[0])
            assert series.line


def assessment(data: bytes) -> None:
    with contextlib.suppress(InputError):
        parsed, _ = parse_record(data.decode("utf-8", "replace"), "of the fuzzer")
        # What was taken can be written again, and means the same.
        again, _ = parse_record(record_text(parsed), "of the fuzzer")
        assert again == parsed


def decisions(data: bytes) -> None:
    with contextlib.suppress(InputError):
        log = parse_decisions(data.decode("utf-8", "replace"), "of the fuzzer")
        assert len(log.standing) <= len(log.decisions)


def protocol(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        message = decode(data)
        assert decode(encode(message)) == message


def model_file(data: bytes) -> None:
    """With the fingerprint put right, as who makes a model can."""
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError, AttributeError):
        document = json.loads(data)
        document["fingerprint"] = fingerprint_of(document, document["weights"]["sha256"])
        data = json.dumps(document).encode()
    folder = _put(f"model/{MODEL_FILE}", data).parent
    with contextlib.suppress(ModelError):
        read_model_file(folder)


def reference(data: bytes) -> None:
    """``reference.json`` beside sound tables, with the fingerprint put right."""
    folder = place() / "reference"
    if not folder.exists():
        shutil.copytree(FORMATS / "reference", folder)
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError, AttributeError, OSError):
        document = json.loads(data)
        document["fingerprint"] = reference_folder._fingerprint(document, folder)
        data = json.dumps(document).encode()
    (folder / REFERENCE_FILE).write_bytes(data)
    with contextlib.suppress(ReferenceSetError):
        loaded = Reference.load(folder)
        assert loaded.extent_range is None or len(loaded.cases) > 0


def reference_cases(data: bytes) -> None:
    """The table as ``Reference.load`` meets it."""
    with contextlib.suppress(OSError, KeyError, TypeError, ValueError, AttributeError, IndexError):
        extent_range(read_cases(_put(CASES_FILE, data)))


def tensors(data: bytes) -> None:
    path = _put(ARRAYS_FILE, data)
    try:
        facts = check_tensor_file(path)
    except TensorFileError:
        return
    if not any(dtype == "BF16" for dtype, _ in facts.values()):
        # What was found sound is read, and is what was said.
        assert {name: array.shape for name, array in read_arrays(path).items()} == {
            name: shape for name, (_, shape) in facts.items()
        }


def plans(data: bytes) -> None:
    first, _, second = data.partition(MIRRORED_PLANS)
    folder = _put(f"nnunet/{PLANS_FILE}", first).parent
    _put(f"nnunet/{DATASET_FILE}", second)
    with contextlib.suppress(ModelError):
        assert read_plans(folder, "3d_fullres").modality in ("CT", "MR", None)


def bundle(data: bytes) -> None:
    path = _put("bundle/inference.json", data)
    with contextlib.suppress(ModelError):
        config = BundleConfig(path)
        for name in list(config.document)[:20]:
            with contextlib.suppress(ModelError):
                config.resolved(config.raw(str(name)), str(name))


def case_list(data: bytes) -> None:
    """No path of it leaves the folder: a list may name any, and this must not look through the whole disk."""
    inside = data.replace(b"/", b"_").replace(b"..", b"__")
    with contextlib.suppress(InputError):
        list(find_volumes(_put("lists/cases.csv", inside)))


def performance(data: bytes) -> None:
    with contextlib.suppress(UserError):
        read_performance(_put("performance.csv", data))


TARGETS: Mapping[str, Callable[[bytes], None]] = MappingProxyType(
    {
        "nifti": nifti,
        "nrrd": nrrd,
        "meta": meta,
        "dicom": dicom,
        "assessment": assessment,
        "decisions": decisions,
        "protocol": protocol,
        "model": model_file,
        "reference": reference,
        "reference-cases": reference_cases,
        "tensors": tensors,
        "plans": plans,
        "bundle": bundle,
        "case-list": case_list,
        "performance": performance,
    }
)


def digest(data: bytes) -> str:
    """The name of an input of the corpus."""
    return hashlib.sha256(data).hexdigest()[:16]
