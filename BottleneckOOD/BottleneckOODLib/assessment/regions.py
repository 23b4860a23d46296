"""Where a case is unusual: a coarse map over the body. It is no map of tumours and none of the mask's errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from BottleneckOODLib.errors import InputError, OutputError
from BottleneckOODLib.imaging.text_headers import check_nrrd_header
from BottleneckOODLib.imaging.volume import Geometry, geometry_of, to_sitk

REGIONS_FILE = "unusual-regions.nrrd"
_DIGITS = 3
_AXES = 3
_MAX_CELLS = 20_000_000


@dataclass(frozen=True, eq=False)
class RegionMap:
    """How far each part of the body is from what the training cases hold.

    Attributes:
        values: Shape (Z, Y, X), float32, read-only, rounded to three digits: distance of a part's token to the nearest
            training token, 1.0 at the 95% quantile of the training tokens' own distances to other cases; 0 outside of
            the body, where nothing was judged.
        geometry: Where the parts lie, in LPS.

    Raises:
        InputError: The values do not have the geometry's size, are negative, or are not finite numbers.
    """

    values: npt.NDArray[np.float32]
    geometry: Geometry

    def __post_init__(self) -> None:
        fits = self.values.shape == self.geometry.shape
        if not fits or not np.isfinite(self.values).all() or self.values.min() < 0:
            message = "The map of unusual regions is damaged; assess the case again."
            raise InputError(message)
        frozen = np.round(self.values.astype(np.float32), _DIGITS)
        frozen.flags.writeable = False
        object.__setattr__(self, "values", frozen)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RegionMap):
            return NotImplemented
        return self.geometry.is_close(other.geometry) and bool(np.array_equal(self.values, other.values))

    __hash__ = None  # type: ignore[assignment]

    @property
    def most_unusual_place(self) -> tuple[float, float, float] | None:
        """Centre of the part with the largest value, LPS in mm; None where no part lies in the body."""
        if not (self.values > 0).any():
            return None
        k, j, i = np.unravel_index(int(self.values.argmax()), self.values.shape)
        x, y, z = self.geometry.ijk_to_lps(np.array([[i, j, k]], dtype=np.float64))[0]
        return float(x), float(y), float(z)

    @property
    def largest(self) -> float:
        """The largest value; 0 where no part lies in the body."""
        return float(self.values.max())


def write_regions(regions: RegionMap, path: Path) -> None:
    """Write the map as NRRD.

    Raises:
        OutputError: The file cannot be written.
    """
    try:
        sitk.WriteImage(to_sitk(regions.values, regions.geometry), str(path), useCompression=True)
    except RuntimeError:
        message = f"The file {path} cannot be written; check the folder's permissions and the free space."
        raise OutputError(message) from None


def read_regions(path: Path) -> RegionMap:
    """Read what ``write_regions`` wrote.

    Raises:
        InputError: The file cannot be read, or holds no such map.
    """
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    damaged = f"The map of unusual regions {path.name} in {path.parent} is damaged; assess the case again."
    try:
        check_nrrd_header(path)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("NrrdImageIO")
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        sound = reader.GetDimension() == _AXES and reader.GetNumberOfComponents() == 1
        if not sound or np.prod(np.array(reader.GetSize(), dtype=np.float64)) > _MAX_CELLS:
            raise InputError(damaged)
        image = reader.Execute()
        return RegionMap(sitk.GetArrayFromImage(image).astype(np.float32), geometry_of(image))
    except (RuntimeError, InputError, OSError):
        raise InputError(damaged) from None
