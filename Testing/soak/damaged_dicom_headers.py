"""Exports series whose headers are damaged at random: an export that marks the right slices, or one sentence.

    python Testing/soak/damaged_dicom_headers.py --times 3000

A fault is any other exception, a mask on another slice than its own, or a patient's name in a sentence.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
from dicom_objects import STUDY, frames_expected, frames_read, marked
from dicom_slices import write_slices
from tally import Tally

from BottleneckOODLib.assessment.assessment import Assessment, InputFacts, ModelFacts, ReferenceFacts
from BottleneckOODLib.dicom_results import picture_object
from BottleneckOODLib.dicom_results.exporting import export_dicom
from BottleneckOODLib.errors import UserError
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.volume import LabelVolume, Volume

SECRET = "XAVERSECRET"
KEYWORDS = [
    *STUDY, "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "SpecificCharacterSet",
    "Modality", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "Rows",
    "PatientIdentityRemoved", "StudyDescription", "IssuerOfPatientID", "DeidentificationMethod",
]  # fmt: skip
TEXTS = (
    b"", b" ", b"\\", b"a\\b\\c ", b"\x1b$B;3ED\x1b(B", b"\xff\xfe\x80", b"1.2.03", b"-1", b"nan ", b"1e400 ",
    b"0\\0\\0 ", b"99999999", b"A" * 80, b"=" * 5, b"^" * 9, b"\x00\x00", b"ISO_IR 999", b"ISO 2022 IR 87", b"\r\n\t ",
)  # fmt: skip


def damaged(path: Path, random: np.random.Generator) -> None:
    """Change one file: an element away or with other bytes, or single bytes anywhere before the pixels."""
    raw = bytearray(path.read_bytes())
    pixels = raw.rindex(b"\xe0\x7f\x10\x00")
    if random.random() < 0.3:
        for place in random.integers(132, pixels, random.integers(1, 6)):
            raw[place] = random.integers(0, 256)
        path.write_bytes(raw)
        return
    tag = pydicom.tag.Tag(str(random.choice(KEYWORDS)))
    key = tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little")
    at = raw.find(key, 132, pixels)
    if at < 0:
        return
    length = int.from_bytes(raw[at + 6 : at + 8], "little")
    if random.random() < 0.3:
        path.write_bytes(raw[:at] + raw[at + 8 + length :])
        return
    text = TEXTS[random.integers(len(TEXTS))]
    text += b" " * (len(text) % 2)
    path.write_bytes(raw[: at + 6] + len(text).to_bytes(2, "little") + text + raw[at + 8 + length :])


def assessed(volume: Volume) -> Assessment:
    """An assessment whose mask the pixels tell."""
    geometry = volume.geometry
    mask = LabelVolume(marked(volume.voxels, {1: "liver"}), geometry, {1: "liver"})
    return Assessment(
        case_id="case", created="2026-01-02T03:04:05+00:00", program_version="0.1.0",
        input=InputFacts("scan", "CT", geometry.shape, geometry.spacing_mm, geometry.orientation),
        model=ModelFacts("demo", "2", "ab" * 32, demonstration=True), reference=ReferenceFacts("demo", "cd" * 32, 60),
        light="amber", sentence="A sentence; review the mask with care.", detector="knn", score=0.5, p_value=0.07,
        percentile=90.0, parts={}, checks=(), neighbours=(), placement=None, volume_ml=1.0, n_components=1,
        timings_s={}, device="cpu", segmentation=mask, volume=volume,
    )  # fmt: skip


def one(folder: Path, random: np.random.Generator, tally: Tally) -> None:
    """Damage a series and export it."""
    write_slices(folder / "scan", uid="1.2.3.10", **{**STUDY, "PatientName": f"{SECRET}^A", "PatientID": SECRET})
    files = sorted((folder / "scan").iterdir())
    chosen = files if random.random() < 0.5 else files[:1]
    seed = int(random.integers(2**31))
    for path in chosen:
        damaged(path, np.random.default_rng(seed))
    try:
        assessment = assessed(read_volume(folder / "scan"))
    except UserError:
        tally.counts["not readable as a scan"] += 1
        return
    try:
        made = export_dicom(replace(assessment, volume=None), folder / "scan", folder / "objects")
    except UserError as error:
        tally.counts["refused in a sentence"] += 1
        if SECRET in str(error) or "\n" in str(error):
            tally.found("named somebody", str(error))
        return
    tally.counts["exported"] += 1
    names, slices = {1: "liver"}, []
    for path in (folder / "scan").iterdir():
        try:
            slices.append(pydicom.dcmread(path))
            _ = slices[-1].pixel_array
        except Exception:
            tally.counts["exported, but not to be checked with pydicom"] += 1
            return
    read = frames_read(pydicom.dcmread(made / "segmentation.dcm"))
    slices = [one for one in slices if str(one.get("SOPInstanceUID")) in {uid for uid, _ in read}]
    wanted = frames_expected(slices, names)
    if sorted(read) != sorted(wanted) or not all(np.array_equal(read[key], wanted[key]) for key in wanted):
        tally.found("on another slice", f"seed {seed}")


def main() -> int:
    """Run as often as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    # The picture is the same for all of them.
    picture_object.overview_pixels = lambda *_: np.zeros((4, 6, 3), np.uint8)
    tally = Tally("exports of series with damaged headers", ("faults", "on another slice", "named somebody"))
    for number in range(arguments.times):
        random = np.random.default_rng([arguments.seed, number])
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                one(Path(folder), random, tally)
            except Exception as error:
                tally.found("faults", f"number {number}: {type(error).__name__}: {error}")
        tally.times += 1
    return tally.print(arguments.json)


if __name__ == "__main__":
    sys.exit(main())
