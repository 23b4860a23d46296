"""What is known of one case, as shown, saved and loaded again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from BottleneckOODLib.assessment.checks import Check, Light
from BottleneckOODLib.assessment.outcome import OutcomeEstimate
from BottleneckOODLib.assessment.record import RECORD_FILE, SEGMENTATION_FILE, read_record, write_record
from BottleneckOODLib.assessment.regions import REGIONS_FILE, RegionMap, read_regions, write_regions
from BottleneckOODLib.atomic_folder import written_whole
from BottleneckOODLib.errors import InputError, OutputError
from BottleneckOODLib.imaging.reading import safe_name
from BottleneckOODLib.imaging.volume import LabelVolume, Volume
from BottleneckOODLib.imaging.writing import read_label_volume, write_label_volume
from BottleneckOODLib.ood.placement import Placement
from BottleneckOODLib.reference.scoring import Neighbour, PartScore

OVERVIEW_FILE, THUMBNAIL_FILE, SCENE_FILE = "overview.png", "thumbnail.jpg", "scene.mrb"
CASE_FILES = (RECORD_FILE, SEGMENTATION_FILE, REGIONS_FILE, OVERVIEW_FILE, THUMBNAIL_FILE, SCENE_FILE)
"""Everything that ``Assessment.save`` writes."""


@dataclass(frozen=True)
class InputFacts:
    """The image, without identifiers: its file's name, modality, array shape (Z, Y, X), spacing along i, j, k in mm."""

    path_name: str
    modality: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    orientation: str


@dataclass(frozen=True)
class ModelFacts:
    """The model that segmented."""

    name: str
    version: str
    fingerprint: str
    demonstration: bool = False


@dataclass(frozen=True)
class ReferenceFacts:
    """The reference that the case was compared with."""

    name: str
    fingerprint: str
    n_cases: int


@dataclass(frozen=True)
class Memory:
    """The most memory that was held.

    Attributes:
        process_bytes: By the process from its start until the case was done, without the process that reads files; None
            where the system does not tell.
        card_bytes: By the tensors of this case on a CUDA card; None where none computed.
    """

    process_bytes: int | None
    card_bytes: int | None


@dataclass(frozen=True)
class MapPoint:
    """One training case on the map.

    Attributes:
        x: Map coordinate.
        y: Map coordinate.
        dice: Its outcome, when known.
        case_id: Its name in the reference; empty in records that were made before names were kept.
        facts: Facts of its acquisition, no identifiers.
    """

    x: float
    y: float
    dice: float | None
    case_id: str = ""
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Assessment:
    """The result of one run on one case.

    Attributes:
        case_id: Name of the case.
        created: When, ISO 8601 with time zone.
        program_version: Version of this library.
        input: Facts of the image.
        model: The model.
        reference: The reference.
        light: ``"green"``, ``"amber"``, ``"red"`` or ``"grey"``.
        sentence: The one sentence beside the light.
        detector: Detector of the bottleneck features.
        score: Combined score, 1 at the 95% quantile of the training cases; None when grey.
        p_value: Calibrated p-value of the light; None when grey.
        percentile: Share of the training cases that are less unusual, in percent; None when grey.
        parts: Each feature space on its own.
        checks: The questions and their answers.
        neighbours: The nearest training cases.
        placement: Position on the map; None when grey.
        volume_ml: Volume of the mask, in ml.
        n_components: Connected parts of the mask.
        timings_s: Seconds of each step.
        device: What computed.
        warnings: What a user should know.
        map_points: The training cases on the map.
        outcome: What the outcomes of the training cases say about the score; None where they say nothing.
        n_calibrating: Training cases that the p-value is held against; None in records made before it was kept.
        disagreement: 1 - mean Dice of the masks over pairs of members of the pass, by what they are: ``"mirroring"`` of
            windows, ``"folds"`` of an nnU-Net. Measured, and no part of the light; empty where a model has no members.
        peak_memory: The most memory that was held; None in records made before it was kept.
        segmentation: The mask, in the image's own geometry; None when there is none.
        regions: Where the case is unusual; None where the reference keeps no tokens. The light never depends on it.
        volume: The image; never saved, None after loading.
    """

    case_id: str
    created: str
    program_version: str
    input: InputFacts
    model: ModelFacts
    reference: ReferenceFacts
    light: Light
    sentence: str
    detector: str
    score: float | None
    p_value: float | None
    percentile: float | None
    parts: Mapping[str, PartScore]
    checks: tuple[Check, ...]
    neighbours: tuple[Neighbour, ...]
    placement: Placement | None
    volume_ml: float
    n_components: int
    timings_s: Mapping[str, float]
    device: str
    warnings: tuple[str, ...] = ()
    map_points: tuple[MapPoint, ...] = ()
    outcome: OutcomeEstimate | None = None
    n_calibrating: int | None = None
    disagreement: Mapping[str, float] = field(default_factory=dict)
    peak_memory: Memory | None = None
    segmentation: LabelVolume | None = None
    regions: RegionMap | None = None
    volume: Volume | None = field(default=None, compare=False, repr=False)

    def save(
        self,
        folder: str | Path,
        *,
        overwrite: bool = False,
        picture: bool = True,
        scene_writer: Callable[[Assessment, Path], None] | None = None,
    ) -> Path:
        """Write ``folder/<case_id>/`` whole or not at all: record, segmentation, pictures, and a scene on request.

        Args:
            folder: Where the case's folder goes.
            overwrite: Replace the case's folder; the old one goes only after the new one stands.
            picture: Whether overview and thumbnail are drawn.
            scene_writer: Writes the MRML scene, such as ``scene.bundle.write_scene``.

        Returns:
            The case's folder.

        Raises:
            OutputError: The case's folder exists and ``overwrite`` is not set, or it cannot be written.
        """
        if safe_name(self.case_id) != self.case_id:
            message = f"The case name {self.case_id!r} cannot be that of a folder; use {safe_name(self.case_id)!r}."
            raise OutputError(message)
        target = Path(folder) / self.case_id
        with written_whole(target, overwrite=overwrite, known=CASE_FILES) as temporary:
            if self.segmentation is not None:
                write_label_volume(self.segmentation, temporary / SEGMENTATION_FILE)
            if self.regions is not None:
                write_regions(self.regions, temporary / REGIONS_FILE)
            write_record(self, temporary / RECORD_FILE)
            if picture:
                from BottleneckOODLib.assessment.figures import write_overview  # noqa: PLC0415 - imports matplotlib

                write_overview(self, temporary / OVERVIEW_FILE)
                if self.volume is not None:
                    from BottleneckOODLib.assessment.thumbnail import thumbnail_jpeg  # noqa: PLC0415 - as above

                    (temporary / THUMBNAIL_FILE).write_bytes(thumbnail_jpeg(self.volume, self.segmentation))
            if scene_writer is not None:
                scene_writer(self, temporary / SCENE_FILE)
        return target

    @staticmethod
    def load(folder: str | Path, read_labels: Callable[[Path], LabelVolume] = read_label_volume) -> Assessment:
        """Read a case's folder again; the mask by ``read_labels``, such as ``imaging.reading_process``'s.

        Raises:
            InputError: A file is missing, damaged, or of a newer format.
        """
        path = Path(folder)
        assessment, mask_file = read_record(path / RECORD_FILE)
        if (path / REGIONS_FILE).is_file():
            assessment = replace(assessment, regions=read_regions(path / REGIONS_FILE))
        if mask_file is None:
            return assessment
        if not (path / mask_file).is_file():
            message = f"The mask {mask_file} is missing from {path}; assess the case again."
            raise InputError(message)
        segmentation = read_labels(path / mask_file)
        if segmentation.geometry.shape != assessment.input.shape:
            message = f"The mask {mask_file} in {path} has another size than its image; assess the case again."
            raise InputError(message)
        return replace(assessment, segmentation=segmentation)
