"""What is usual of each structure: the ranges from which later masks are flagged."""

from __future__ import annotations

from medseg.delivery.report import Block, Row, Table
from medseg.inference.segmentation import ModelCard
from medseg.inference.segmentation.quality import ConfidenceCalibration, TrainingStatistics
from medseg.inference.segmentation.quality.statistics import StructureStatistics
from medseg.runs.report.source import ReportSource

_UNKNOWN = "too few cases"


def usual_structures(source: ReportSource) -> list[Block]:
    """A row per structure; nothing for a model without statistics of its training."""
    statistics = source.card.training_statistics if isinstance(source.card, ModelCard) else None
    if statistics is None:
        return []
    unit = "pixels" if statistics.scans.is_flat else "ml"
    columns = ("Structure", f"Size in {unit}, 5 % to 95 %", f"Not flagged, {unit}", "At the border", "Expected Dice")
    rows = [Row((name, *_cells(one, statistics.confidence.get(name)))) for name, one in statistics.structures.items()]
    return [Table("What is usual, and what a later mask is flagged by", columns, rows, note=_note(statistics))]


def _cells(one: StructureStatistics, fitted: ConfidenceCalibration | None) -> tuple[str, str, str, str]:
    size = one.size
    return (
        _UNKNOWN if size is None else size.text(),
        _UNKNOWN if size is None else f"{size.limits[0]:.3g} to {size.limits[1]:.3g}",
        f"{one.touching} of {one.present}",
        "not calibrated"
        if fitted is None
        else f"{fitted.p5:.2f} to {fitted.p95:.2f}, flagged below {fitted.limit:.2f}",
    )


def _note(statistics: TrainingStatistics) -> str:
    flagged = (
        f"; {statistics.validation_flagged} of {statistics.validation_cases} validation masks have a flag"
        if statistics.validation_cases
        else ""
    )
    return f"Labels of {statistics.cases} training cases; the expected Dice is that of the validation masks{flagged}."
