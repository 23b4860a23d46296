"""A review store in a file, with small cases that were assessed and saved, as a batch leaves them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.regions import RegionMap
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.imaging.writing import write_volume
from BottleneckOODLib.triage.finding import Candidate, find_volumes
from BottleneckOODLib.triage.store import Store

# Oblique, and no two spacings alike: a mistake in an axis shows.
CASE_GRID = Geometry((14, 12, 10), (0.9, 1.1, 2.5), (-40.0, 7.5, 310.0), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))


@dataclass
class ReviewStore:
    """A store and what it is about.

    Attributes:
        url: The store.
        folder: Where everything lies.
        images: The image of each case.
        cases: The saved assessment of each case, the newest.
        make: Makes an assessment of a light.
    """

    url: str
    folder: Path
    images: dict[str, Path]
    cases: dict[str, Path]
    make: Callable[..., Assessment]

    def assess_anew(self, case_id: str, light: str, created: str) -> None:
        """Have a case judged by another reference, as a second batch does."""
        assessment = _assessed(self.make(light, case_id=case_id, geometry=CASE_GRID, created=created), seed=7)
        self.cases[case_id] = assessment.save(self.folder / f"results of {created[:10]}", picture=False)
        with Store(self.url) as store:
            assert store.add_assessment(case_id, created, assessment, self.cases[case_id].as_posix(), 1.0)


@pytest.fixture
def make_review_store(
    tmp_path: Path, make_assessment: Callable[..., Assessment]
) -> Callable[..., ReviewStore]:
    """Makes a store of cases, by their names and lights; each has its own image and mask."""

    def make(lights: dict[str, str], url: str | None = None) -> ReviewStore:
        scans = tmp_path / "scans"
        scans.mkdir()
        made = ReviewStore(url or str(tmp_path / "triage.db"), tmp_path, {}, {}, make_assessment)
        with Store(made.url) as store:
            for seed, (name, light) in enumerate(lights.items()):
                voxels = np.random.default_rng(seed).normal(0, 100, CASE_GRID.shape).round().astype(np.float32)
                voxels[0, 0, 0] = -1000
                made.images[name] = scans / f"{name}.nii.gz"
                write_volume(Volume(voxels, CASE_GRID, "CT", name), made.images[name])
                all_found = (item for item in find_volumes(scans) if isinstance(item, Candidate))
                (found,) = (item for item in all_found if item.path == made.images[name])
                store.note_case(found.content(), name, found.place())
                assessment = _assessed(make_assessment(light, case_id=name, geometry=CASE_GRID), seed)
                made.cases[name] = assessment.save(tmp_path / "results", picture=False)
                store.add_assessment(name, "judge", assessment, made.cases[name].as_posix(), 1.0)
        return made

    return make


def _assessed(assessment: Assessment, seed: int) -> Assessment:
    labels = (np.random.default_rng(100 + seed).random(CASE_GRID.shape) < 0.3).astype(np.uint8)
    grid = replace(CASE_GRID, size_ijk=(3, 3, 2), spacing_mm=(4.0, 4.0, 10.0))
    regions = RegionMap(np.random.default_rng(200 + seed).random(grid.shape).astype(np.float32) + 0.1, grid)
    return replace(assessment, segmentation=LabelVolume(labels, CASE_GRID, {1: "liver"}), regions=regions)
