"""The sound files that are mutated: small pieces of real scans with their own headers, and generated ones."""

from __future__ import annotations

import gzip
import io
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK as sitk
from dicom_slices import write_slices
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.triage.place import Place
from BottleneckOODLib.triage.store import Store

FORMATS = Path(__file__).resolve().parents[1] / "formats" / "v1"
Files = dict[str, bytes]
_SIZE = (12, 28, 32)
_REAL_NIFTI = ("abdomen_ct/ct_upper.nii.gz", "abdomen_mr/mr.nii.gz", "other/heart_ct.nii.gz")


def seeds(data: Path | None) -> dict[str, list[Files]]:
    """Sound files by kind; of several files of one image the header comes first."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        made = _written_images(_body(), work)
        made["dicom"] = _series(work)
        made["store"] = [{"triage.db": _store(work)}]
        made["archive"] = [{"weights.zip": _archive()}]
        if data is not None:
            for name, files in _real(data, work):
                made[name].append(files)
    return made


def _body() -> npt.NDArray[np.int16]:
    """A round body with noise, in air, HU."""
    z, y, x = np.ogrid[: _SIZE[0], : _SIZE[1], : _SIZE[2]]
    inside = ((y - 14) / 11) ** 2 + ((x - 16) / 14) ** 2 < 1
    noise = np.random.default_rng(0).normal(0, 20, _SIZE)
    return (np.where(inside, 45, -1000) + noise + 0 * z).astype(np.int16)


def _written_images(voxels: npt.NDArray[np.int16], work: Path) -> dict[str, list[Files]]:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((8.0, 8.0, 10.0))
    image.SetOrigin((-100.0, -90.0, 30.0))
    made: dict[str, list[Files]] = {}
    for kind, names, packed in (
        ("nii", ("a.nii",), False),
        ("nii.gz", ("a.nii.gz",), True),
        ("nrrd", ("a.nrrd",), False),
        ("nrrd", ("b.nrrd",), True),
        ("nhdr", ("a.nhdr", "a.raw"), False),
        ("mha", ("a.mha",), False),
        ("mha", ("b.mha",), True),
        ("mhd", ("c.mhd", "c.raw"), False),
        ("mhd", ("d.mhd", "d.zraw"), True),
    ):
        sitk.WriteImage(image, work / names[0], useCompression=packed)
        made.setdefault(kind, []).append({name: (work / name).read_bytes() for name in names})
    return made


def _series(work: Path) -> list[Files]:
    """Explicit, implicit and deflated; three slices each."""
    write_slices(work / "explicit", uid="1.2.3", stored=_body()[:3], RescaleIntercept="0", RescaleSlope="1")
    made = [{path.name: path.read_bytes() for path in sorted((work / "explicit").iterdir())}]
    for coding in (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        files: Files = {}
        for path in sorted((work / "explicit").iterdir()):
            slice_ = pydicom.dcmread(path)
            slice_.file_meta.TransferSyntaxUID = coding
            raw = io.BytesIO()
            pydicom.dcmwrite(
                raw, slice_, enforce_file_format=True, implicit_vr=coding == ImplicitVRLittleEndian, little_endian=True
            )
            files[path.name] = raw.getvalue()
        made.append(files)
    return made


def _store(work: Path) -> bytes:
    with Store(str(work / "triage.db")) as store:
        case = store.note_case("ab" * 32, "case", Place("/scans/case.nii.gz", "", "1"))
        store.add_assessment(case, "ef" * 32, Assessment.load(FORMATS / "assessment" / "case"), "case", 1.0)
    return (work / "triage.db").read_bytes()


def _archive() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("plans.json", "dataset.json", "fold_0/checkpoint_final.pth", "fold_0/progress.png"):
            archive.writestr(f"Dataset001/{name}", b"content of " + name.encode() * 20)
    return made.getvalue()


def _real(data: Path, work: Path) -> Iterator[tuple[str, Files]]:
    for name in _REAL_NIFTI:
        raw = gzip.decompress((data / name).read_bytes())
        piece = _piece_of_nifti(raw)
        yield "nii", {"real.nii": piece}
        yield "nii.gz", {"real.nii.gz": gzip.compress(piece, 1)}
    head, _, _ = (data / "other" / "brain_mr.nrrd").read_bytes().partition(b"\n\n")
    lines = [line for line in head.split(b"\n") if not line.startswith((b"sizes", b"encoding"))]
    small = np.abs(_body()).tobytes()
    yield "nrrd", {"real.nrrd": b"\n".join([*lines, b"sizes: 32 28 12", b"encoding: raw"]) + b"\n\n" + small}
    for series, names in (("ct_3slice_dicom", "0*.dcm"), ("brain_mr_dicom", "1-04[0-2].dcm")):
        files: Files = {}
        for path in sorted((data / series).glob(names)):
            slice_ = pydicom.dcmread(path)
            slice_.PixelData = np.ascontiguousarray(slice_.pixel_array[200:264, 200:264]).tobytes()
            slice_.Rows = slice_.Columns = 64
            raw = io.BytesIO()
            slice_.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
            pydicom.dcmwrite(raw, slice_, enforce_file_format=True, implicit_vr=False, little_endian=True)
            files[path.name] = raw.getvalue()
        yield "dicom", files


def _piece_of_nifti(raw: bytes) -> bytes:
    """The middle of a scan under its own header, whose sizes alone are changed."""
    order = "<" if struct.unpack("<i", raw[:4])[0] == 348 else ">"
    size = struct.unpack(f"{order}8h", raw[40:56])[1:4]
    (bits,) = struct.unpack(f"{order}h", raw[72:74])
    start = int(struct.unpack(f"{order}f", raw[108:112])[0])
    voxels = np.frombuffer(raw, np.dtype(f"V{bits // 8}"), int(np.prod(size)), start).reshape(size[::-1])
    first = [max(0, (n - m) // 2) for n, m in zip(voxels.shape, _SIZE, strict=True)]
    piece = voxels[tuple(slice(a, a + m) for a, m in zip(first, _SIZE, strict=True))]
    header = bytearray(raw[:start])
    struct.pack_into(f"{order}3h", header, 42, *piece.shape[::-1])
    return bytes(header) + piece.tobytes()
