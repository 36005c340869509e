"""Whether a scan is like those that a model was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medseg.geometry import significant
from medseg.inference.segmentation.quality.channel_numbers import NUMBERS
from medseg.inference.segmentation.quality.collect_statistics import extent_of
from medseg.inference.segmentation.quality.observation import CERTAIN, Observation, worst_of
from medseg.inference.segmentation.quality.spread import Spread
from medseg.inference.segmentation.quality.statistics import ScanStatistics
from medseg.preprocess.scan_facts import ChannelFacts, ScanFacts

_AXES = ("left to right", "back to front", "feet to head")
_FLAT_AXES = ("across", "down", "in depth")


def check_scan(scan: ScanFacts, usual: ScanStatistics, names: Sequence[str], *, modality: str) -> Iterator[Observation]:
    """Voxel size, field of view, angle, intensities and modality; of several axes or numbers the most unusual one.

    Args:
        scan: Facts about the scan.
        usual: Statistics of the training scans.
        names: Names of the channels.
        modality: (0008,0060) Modality; "" where it is not known.
    """
    yield from worst_of(_voxel_sizes(scan, usual))
    yield from worst_of(_extents(scan, usual))
    yield from _tilt(scan, usual)
    for name, facts, spreads in zip(names, scan.channels, usual.channels, strict=False):
        if facts.fill < 1:
            yield from worst_of(_intensities(name, facts, spreads))
    if modality and usual.modalities:
        reason = f"the scan is {modality}; the training scans are {', '.join(usual.modalities)}"
        is_usual = modality in usual.modalities
        yield Observation("modality", None, None, 0.0 if is_usual else CERTAIN, reason)


def check_constant(scan: ScanFacts, names: Sequence[str], usual: ScanStatistics | None) -> Iterator[Observation]:
    """Channels that hold one value everywhere, unless training scans do too."""
    for index, (name, facts) in enumerate(zip(names, scan.channels, strict=False)):
        spread = usual.channels[index].get("fill") if usual is not None and index < len(usual.channels) else None
        if facts.fill == 1 and (spread is None or not spread.has(1.0)):
            reason = f"channel {name} holds one value, {_short(facts.p50)}, everywhere"
            yield Observation("intensity", None, facts.p50, CERTAIN, reason)


def _voxel_sizes(scan: ScanFacts, usual: ScanStatistics) -> Iterator[Observation]:
    for axis, mm, spread in zip(_AXES, scan.spacing_mm, usual.spacing_mm, strict=False):
        reason = f"voxels measure {_short(mm)} mm {axis}; those of the training scans {spread.text(' mm')}"
        yield Observation("grid", None, mm, spread.severity(mm), reason)


def _extents(scan: ScanFacts, usual: ScanStatistics) -> Iterator[Observation]:
    """Field of view; a single slice stands out by it, too."""
    axes, unit = (_FLAT_AXES, " pixel(s)") if usual.is_flat else (_AXES, " mm")
    sizes = extent_of(scan, is_flat=usual.is_flat)
    for axis, voxels, size, spread in zip(axes, scan.shape, sizes, usual.extent, strict=False):
        measured = f"{_short(size)}{unit}" if usual.is_flat else f"{voxels} voxel(s) or {_short(size)}{unit}"
        reason = f"the scan has {measured} {axis}; the training scans have {spread.text(unit)}"
        yield Observation("grid", None, size, spread.severity(size), reason)


def _tilt(scan: ScanFacts, usual: ScanStatistics) -> Iterator[Observation]:
    spread = usual.tilt_deg
    if spread is not None:
        reason = (
            f"the scan's axes are turned by {_short(scan.tilt_deg)}° against the patient's; those of the training "
            f"scans by {spread.text('°')}"
        )
        severity = spread.severity(scan.tilt_deg) if scan.tilt_deg > spread.median else 0.0
        yield Observation("orientation", None, scan.tilt_deg, severity, reason)


def _intensities(name: str, facts: ChannelFacts, spreads: dict[str, Spread]) -> Iterator[Observation]:
    for number in NUMBERS:
        if (spread := spreads.get(number.name)) is not None:
            value = number.of(facts)
            reason = f"channel {name}: {number.words} is {_short(value)}; in the training scans it is {spread.text()}"
            yield Observation("intensity", None, value, spread.severity(value), reason)


def _short(value: float) -> str:
    return f"{significant(value, 3):g}"
