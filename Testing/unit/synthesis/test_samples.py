from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.writing import write_volume
from BottleneckOODLib.resources import resource_folder
from BottleneckOODLib.synthesis.body import LIVER_LABEL, SyntheticCase
from BottleneckOODLib.synthesis.samples import UNUSUAL_SAMPLE, USUAL_SAMPLE, embedded_samples, reference_cases


@pytest.fixture(scope="module")
def the_samples() -> dict[str, SyntheticCase]:
    return embedded_samples()


@pytest.mark.parametrize("name", [USUAL_SAMPLE, UNUSUAL_SAMPLE])
def test_samples_are_small_enough_to_embed(the_samples: dict[str, SyntheticCase], name: str, tmp_path: Path) -> None:
    volume = the_samples[name].volume
    write_volume(volume, tmp_path / "sample.nii.gz")
    assert (tmp_path / "sample.nii.gz").stat().st_size < 3_000_000
    assert volume.name == name


def test_the_usual_sample_has_a_whole_liver(the_samples: dict[str, SyntheticCase]) -> None:
    liver = the_samples[USUAL_SAMPLE].liver
    assert 900 < liver.volume_ml(LIVER_LABEL) < 2600
    assert not liver.labels[0].any()
    assert not liver.labels[-1].any()


def test_the_unusual_sample_is_far_noisier(the_samples: dict[str, SyntheticCase]) -> None:
    deviation = {
        name: float(np.median(np.abs(np.diff(case.volume.voxels[:, 40:60, 60:90], axis=2))))
        for name, case in the_samples.items()
    }
    assert deviation[UNUSUAL_SAMPLE] > 2 * deviation[USUAL_SAMPLE]


def test_reference_cases_vary_and_repeat() -> None:
    cases = list(reference_cases(6, 11))
    assert len({c.volume.geometry.size_ijk for c in cases}) == 6
    assert len({c.facts["slice_thickness_mm"] for c in cases}) >= 2
    assert [c.volume.name for c in cases] == [f"reference-{i:03d}" for i in range(6)]
    again = next(islice(reference_cases(50, 11), 0, None))
    np.testing.assert_array_equal(again.volume.voxels, cases[0].volume.voxels)


@pytest.mark.parametrize("name", [USUAL_SAMPLE, UNUSUAL_SAMPLE])
def test_the_embedded_files_are_what_the_generator_makes(the_samples: dict[str, SyntheticCase], name: str) -> None:
    embedded = read_volume(resource_folder() / "samples" / f"{name}.nii.gz")
    made = the_samples[name].volume
    assert embedded.geometry.is_close(made.geometry, 1e-3)
    # Other processors round the last digit otherwise.
    assert np.abs(embedded.voxels - made.voxels).mean() < 0.5
