"""A store for reports: names and notes that try to become markup, every light, a case that could not be read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from BottleneckOODLib.assessment.assessment import THUMBNAIL_FILE, Assessment, MapPoint
from BottleneckOODLib.assessment.decision import decide
from BottleneckOODLib.assessment.thumbnail import thumbnail_jpeg
from BottleneckOODLib.ood.placement import Placement
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.place import Place
from BottleneckOODLib.triage.store import Store

HOSTILE = (
    "<img src=x onerror=window.canary=1>",
    "</script><script>window.canary=2</script>",
    '" onmouseover="window.canary=3" x="',
    "<a href='javascript:window.canary=4'>%{y} ${facts} &lt;b&gt;</a>",
    "\u202e<!--<script>--> \u2028 ]]> '",
)
HOSTILE_NOTE = "<svg onload=window.canary=5> </textarea></script>"
HOSTILE_TRAINING = "<b>train</b><script>window.canary=6</script>"
UNREAD = "broken <iframe srcdoc='<script>parent.canary=7</script>'>"
FOLDER = "/archive/Doe^Jane 1950/study 7"
P_VALUES = {"red": 0.01, "amber": 0.06, "green": 0.5}
LIGHTS = ("red", "amber", "green", "green", "amber")


def add_case(store: Store, assessment: Assessment, folder: str = "") -> None:
    """Keep an assessment under its name, as a batch does."""
    name = assessment.case_id
    content = hashlib.sha256(name.encode()).hexdigest()
    assert store.note_case(content, name, Place(f"{FOLDER}/{content[:8]}.nii.gz", "", "1")) == name
    store.add_assessment(name, "j", assessment, folder, 1.5)


def add_unread(store: Store, name: str, sentence: str) -> None:
    """Keep that a case could not be read."""
    place = Place(f"{FOLDER}/unread.nii.gz", "", "1")
    assert store.note_case(hashlib.sha256(name.encode()).hexdigest(), name, place) == name
    store.add_failure(name, "j", sentence, 0.1)


def fill(store: Store, folder: Path, make_assessment: Callable[..., Assessment], n_plain: int = 15) -> list[str]:
    """Hostile cases, plain ones, and one that could not be read; gives the names in the order of their coming."""
    training = tuple(MapPoint(float(n % 5), float(n // 5), 0.9, f"{HOSTILE_TRAINING} {n}") for n in range(20))
    names = [*HOSTILE, *(f"case-{number}" for number in range(n_plain))]
    for number, name in enumerate(names):
        light = LIGHTS[number % len(LIGHTS)]
        changes: dict[str, Any] = {
            "case_id": name,
            "created": f"2026-03-{1 + number % 28:02d}T10:00:00+00:00",
            "sentence": f"{name}: review the mask with care.",
            "score": {"red": 3.0, "amber": 1.2, "green": 0.1}[light] + number / 100,
            "p_value": P_VALUES[light] + number / 1000,
            "placement": Placement(0.5 + number % 4, 0.5 + number % 3 + number / 50, number % 7 == 0),
            "map_points": training,
        }
        assessment = make_assessment(light, **changes)
        place = folder / f"{number}"
        place.mkdir(parents=True)
        if number != 1 and assessment.volume is not None:
            (place / THUMBNAIL_FILE).write_bytes(thumbnail_jpeg(assessment.volume, assessment.segmentation))
        add_case(store, assessment, place.as_posix())
        if number % 4 == 0:
            row = decide(assessment, "minor_edit", reader=f"{name[:9]}", note=HOSTILE_NOTE, reasons=("contour_off",))
            StoredDecisions(store).add(row)
    add_unread(store, UNREAD, f"The file {FOLDER}/unread.nii.gz cannot be opened; check its permissions.")
    return [*names, UNREAD]
