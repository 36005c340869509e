"""Whether the structures of a mask are like those of the labels that a model was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medseg.geometry import significant
from medseg.inference.segmentation.quality.collect_statistics import size_of
from medseg.inference.segmentation.quality.observation import Observation
from medseg.inference.segmentation.quality.statistics import StructureStatistics, TrainingStatistics
from medseg.preprocess.scan_facts import ScanFacts
from medseg.preprocess.segmentation.structure_facts import StructureFacts

RARE = 0.05
_FLAGGED = 2.0


def check_structures(
    found: Mapping[str, StructureFacts], scan: ScanFacts, usual: TrainingStatistics
) -> Iterator[Observation]:
    """Volume, contact with the border and parts of every structure that the training knows.

    Args:
        found: Facts about the structures of the mask.
        scan: Facts about the scan.
        usual: Statistics of the training.
    """
    for name, expected in usual.structures.items():
        facts = found.get(name)
        if facts is None:
            yield from _check_absent(name, expected, usual.cases)
            continue
        yield from _check_size(name, size_of(facts.voxels, scan, is_flat=usual.scans.is_flat), expected, usual)
        yield from _check_border(name, facts, expected)
        yield from _check_parts(name, facts, expected)


def _check_absent(name: str, expected: StructureStatistics, cases: int) -> Iterator[Observation]:
    """A structure that is not drawn is unusual where all training cases have it."""
    is_unusual = expected.present == cases
    reason = f"{name} is not in the mask; {expected.present} of {cases} training cases have it"
    yield Observation("volume", name, 0.0, _FLAGGED if is_unusual else expected.present / cases, reason)


def _check_size(
    name: str, size: float, expected: StructureStatistics, usual: TrainingStatistics
) -> Iterator[Observation]:
    spread = expected.size
    unit = " pixels" if usual.scans.is_flat else " ml"
    if spread is not None:
        reason = (
            f"{name} has {_short(size)}{unit}; in the training labels it has {spread.text(unit)} and beyond "
            f"{_short(spread.limits[0])} to {_short(spread.limits[1])}{unit} it is flagged"
        )
        yield Observation("volume", name, size, spread.severity(size), reason)
    elif expected.present == 0:
        reason = f"{name} has {_short(size)}{unit}, and no training case has it"
        yield Observation("volume", name, size, _FLAGGED, reason)


def _check_border(name: str, facts: StructureFacts, expected: StructureStatistics) -> Iterator[Observation]:
    """Contact is unusual where Laplace's rule of succession gives it at most five cases in a hundred."""
    share = (expected.touching + 1) / (expected.present + 2)
    severity = 0.0
    if facts.touches_border:
        severity = _FLAGGED if share <= RARE else 1 - share
    reason = (
        f"{name} reaches the border of the scan, so that a part may be missing; in {expected.touching} of "
        f"{expected.present} training cases it does"
    )
    yield Observation("border", name, float(facts.touches_border), severity, reason)


def _check_parts(name: str, facts: StructureFacts, expected: StructureStatistics) -> Iterator[Observation]:
    """The share outside of the largest part is unusual where it is too large, never where it is too small."""
    spread = expected.main_share
    if spread is not None:
        limit = spread.limits[0]
        severity = (1 - facts.main_share) / max(1 - limit, 1e-9)
        reason = (
            f"{name} is in {facts.parts} parts, the largest of {_percent(facts.main_share)} of its volume; in the "
            f"training labels {_whole_or_share(spread.p5)}"
        )
        yield Observation("parts", name, facts.main_share, severity, reason)


def _whole_or_share(share: float) -> str:
    return "it is in one part" if share == 1 else f"the largest part nearly always has {_percent(share)} or more"


def _percent(share: float) -> str:
    return f"{share:.0%}"


def _short(value: float) -> str:
    return f"{significant(value, 3):g}"
