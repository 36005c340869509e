"""What a model's card says of its training scans and of its own confidence, without any of them being in it."""

from __future__ import annotations

from pydantic import Field

from medseg.configuration import Config
from medseg.inference.segmentation.quality.calibration import ConfidenceCalibration
from medseg.inference.segmentation.quality.spread import Spread


class StructureStatistics(Config):
    """One structure in the labels of the training cases.

    Attributes:
        present: Number of cases that have it.
        size: Its volume in millilitres, or area in pixels for pictures, over the cases that have it; None where they
            are too few.
        touching: Number of cases in which it touches the border of the scan.
        parts_median: Median number of its parts.
        main_share: Share of its voxels in its largest part; None where there are too few cases.
    """

    present: int = Field(ge=0)
    size: Spread | None = None
    touching: int = Field(0, ge=0)
    parts_median: float | None = None
    main_share: Spread | None = None


class ScanStatistics(Config):
    """Grids and intensities of the training scans; a part is None where there are too few of them.

    Attributes:
        is_flat: Whether all have a single slice, as pictures do; sizes are in pixels then.
        spacing_mm: Voxel size along R, A and S; empty for pictures, whose networks see pixels.
        extent: Field of view along the same axes in millimetres, or pixels.
        tilt_deg: Largest angle between an axis of the grid and the nearest patient axis.
        channels: For each channel the numbers of `ChannelFacts` by name.
        modalities: (0008,0060) Modality of the scans, where it is known.
    """

    is_flat: bool
    spacing_mm: tuple[Spread, ...] = ()
    extent: tuple[Spread, ...] = ()
    tilt_deg: Spread | None = None
    channels: tuple[dict[str, Spread], ...] = ()
    modalities: tuple[str, ...] = ()


class TrainingStatistics(Config):
    """Statistics of the training cases of a model, and of its masks of the validation cases.

    Nothing in it is about a single case where there are more than a few: quantiles and limits stand for the values.

    Attributes:
        cases: Number of training cases.
        scans: Grids and intensities.
        structures: Structures by name, the background left out.
        confidence: Calibration of the network's confidence by structure, on the validation cases; empty without any.
        validation_cases: Number of validation masks that were checked with all of this; 0 without a validation.
        validation_flagged: Number of them that had a flag.
    """

    cases: int = Field(ge=1)
    scans: ScanStatistics
    structures: dict[str, StructureStatistics]
    confidence: dict[str, ConfidenceCalibration] = Field(default_factory=dict)
    validation_cases: int = Field(0, ge=0)
    validation_flagged: int = Field(0, ge=0)
