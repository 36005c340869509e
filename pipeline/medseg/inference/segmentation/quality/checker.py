"""The check of a case: begun with its scan, fed with the probabilities, finished with the mask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from medseg.errors import ScanError
from medseg.inference.flag_record import FlagRecord
from medseg.inference.segmentation.mask_model import Drawing, MaskModel
from medseg.inference.segmentation.quality.confidence_checks import (
    check_confidence,
    check_disagreement,
    expected_dice,
)
from medseg.inference.segmentation.quality.confidence_meter import ConfidenceMeter
from medseg.inference.segmentation.quality.mask_checks import check_structures
from medseg.inference.segmentation.quality.members_confidence import check_members
from medseg.inference.segmentation.quality.observation import Observation
from medseg.inference.segmentation.quality.scan_checks import check_constant, check_scan
from medseg.inference.segmentation.quality.statistics import TrainingStatistics
from medseg.inference.segmentation.quality.unchecked import unchecked_of
from medseg.origin import SeriesOrigin
from medseg.preprocess.scan_facts import ScanFacts
from medseg.preprocess.segmentation.structure_facts import structure_facts
from medseg.records import Scan
from medseg.targets import VoxelTarget

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Quality:
    """What was found of one case without a reference.

    Attributes:
        flags: Reasons why a person should look at the mask, the most unusual first; none for an ordinary one.
        confidence: Dice to expect of each drawn structure, by name; None where the model is not calibrated.
    """

    flags: tuple[FlagRecord, ...]
    confidence: dict[str, float] | None


class QualityChecker:
    """Checks the scans and masks of one model.

    Args:
        target: Meaning of the masks.
        channels: Names of the image channels.
        statistics: Statistics of the training; None where the model's card has none.
        members: Statistics of each of several models whose probabilities are averaged; `statistics` are those of all.
    """

    def __init__(
        self,
        target: VoxelTarget,
        channels: tuple[str, ...],
        statistics: TrainingStatistics | None,
        *,
        members: Sequence[TrainingStatistics | None] = (),
    ) -> None:
        self.target = target
        self.channels = channels
        self.statistics = statistics
        self.calibration = statistics.confidence if statistics is not None else {}
        self.is_calibrated = bool(self.calibration) and len(members) < 2
        self.unchecked = unchecked_of(members or [statistics])

    @classmethod
    def of(cls, model: MaskModel) -> Self:
        """The checker of a loaded model."""
        return cls(model.target, model.channels, model.statistics, members=model.member_statistics)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What cannot be checked, in sentences for the person who starts the prediction."""
        return tuple(one.reason for one in self.unchecked)

    def begin(self, scan: Scan) -> CaseCheck:
        """Take what is needed of a scan, which is not kept."""
        return CaseCheck(self, scan)

    def findings(
        self, scan: ScanFacts, soft_dice: Mapping[str, float], drawing: Drawing, *, modality: str = ""
    ) -> Iterator[Observation]:
        """Everything that is looked at in one case, flagged or not.

        Args:
            scan: Facts about the scan.
            soft_dice: Soft Dice of each drawn structure.
            drawing: Mask on the scan's own grid.
            modality: (0008,0060) Modality of the scan; "" where it is not known.
        """
        usual = self.statistics
        yield from check_constant(scan, self.channels, usual.scans if usual else None)
        if drawing.members:
            yield from check_members(drawing.members, soft_dice)
        else:
            yield from check_confidence(soft_dice, self.calibration if self.is_calibrated else {})
        yield from check_disagreement(drawing.disagreement, self.calibration)
        if usual is None:
            return
        yield from check_scan(scan, usual.scans, self.channels, modality=modality)
        yield from check_structures(structure_facts(drawing.mask, self.target), scan, usual)


class CaseCheck:
    """The check of one case.

    Args:
        checker: Checker of the model.
        scan: Scan as it was read.
    """

    def __init__(self, checker: QualityChecker, scan: Scan) -> None:
        self._checker = checker
        self._facts = ScanFacts.of(scan)
        self._modality = scan.origin.modality if isinstance(scan.origin, SeriesOrigin) else ""
        self._meter = ConfidenceMeter(checker.target)

    def observe(self, values: Tensor) -> None:
        """See the probabilities `(channels, I, J, K)` of voxels that were not seen yet; an `Observer` of `draw`.

        Raises:
            ScanError: If some are NaN, of which a mask without anything would be drawn.
        """
        self._meter.observe(values)
        if not self._meter.is_finite:
            raise ScanError(
                "the network's probabilities must be finite, got NaN",
                remedy="check the scan's intensities, or train the network again",
            )

    def finish(self, drawing: Drawing) -> Quality:
        """Flags and confidence of the mask that was drawn."""
        checker = self._checker
        flagged = [finding for finding in self.findings(drawing) if finding.is_flagged]
        flags = tuple(finding.record() for finding in sorted(flagged, key=lambda finding: -finding.severity))
        confidence = expected_dice(self._meter.soft_dice(), checker.calibration) if checker.is_calibrated else None
        return Quality(flags, confidence)

    def findings(self, drawing: Drawing) -> Iterator[Observation]:
        """Everything that is looked at, flagged or not."""
        return self._checker.findings(self._facts, self._meter.soft_dice(), drawing, modality=self._modality)
