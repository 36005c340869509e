"""The statistics of a model's training cases, from the facts that were taken when they were prepared."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from medseg.inference.segmentation.quality.channel_numbers import ChannelNumber, numbers_for
from medseg.inference.segmentation.quality.spread import Spread
from medseg.inference.segmentation.quality.statistics import (
    ScanStatistics,
    StructureStatistics,
    TrainingStatistics,
)
from medseg.preprocess import ChannelNormalisation
from medseg.preprocess.scan_facts import ChannelFacts, ScanFacts
from medseg.preprocess.segmentation.case_facts import CaseFacts

_SIZE_MARGIN = 0.25
_TILT_MARGIN_DEG = 5.0
_SHARE_MARGIN = 0.1
_AXES = 3


def collect_statistics(
    cases: Sequence[CaseFacts],
    structures: Sequence[str],
    *,
    normalisation: Sequence[ChannelNormalisation],
    modalities: Sequence[str] = (),
    unknown: Sequence[Collection[str]] = (),
) -> TrainingStatistics | None:
    """Statistics of training cases; None without any case.

    Args:
        cases: Facts of the training cases, not of the validation's.
        structures: Names of the structures, the background left out.
        normalisation: How the network is given each channel.
        modalities: Modality of each case, where it is known.
        unknown: Structures of each case that are not annotated, or not to their end; none if not given. A structure
            that no case annotates has no statistics, and is flagged for nothing.
    """
    if not cases:
        return None
    left_out = unknown or [()] * len(cases)
    annotated = {
        name: [case for case, names in zip(cases, left_out, strict=True) if name not in names] for name in structures
    }
    scans = [case.scan for case in cases]
    return TrainingStatistics(
        cases=len(cases),
        scans=_scans(scans, normalisation, modalities=tuple(sorted(set(modalities)))),
        structures={name: _structure(name, own, numbers=len(structures)) for name, own in annotated.items() if own},
    )


def extent_of(scan: ScanFacts, *, is_flat: bool) -> tuple[float, float, float]:
    """Field of view along the axes of the scan's facts, in pixels or in millimetres."""
    i, j, k = (float(size) for size in scan.shape) if is_flat else scan.extent_mm
    return i, j, k


def size_of(voxels: int, scan: ScanFacts, *, is_flat: bool) -> float:
    """Volume in millilitres, or area in pixels."""
    return float(voxels) if is_flat else voxels * scan.voxel_ml


def _scans(
    scans: Sequence[ScanFacts], normalisation: Sequence[ChannelNormalisation], *, modalities: tuple[str, ...]
) -> ScanStatistics:
    is_flat = all(scan.is_flat for scan in scans)
    spacings = [] if is_flat else [scan.spacing_mm for scan in scans]
    extents = [extent_of(scan, is_flat=is_flat) for scan in scans]
    tilts = [] if is_flat else [scan.tilt_deg for scan in scans]
    return ScanStatistics(
        is_flat=is_flat,
        spacing_mm=_by_axis(spacings),
        extent=_by_axis(extents),
        tilt_deg=Spread.of(tilts, scale="linear", margin=_TILT_MARGIN_DEG),
        channels=tuple(
            _channel([scan.channels[index] for scan in scans], numbers_for(kind), channels=len(normalisation))
            for index, kind in enumerate(normalisation)
        ),
        modalities=modalities,
    )


def _by_axis(sizes: Sequence[tuple[float, float, float]]) -> tuple[Spread, ...]:
    """Spread along each axis; nothing where there are too few cases."""
    columns = np.array(sizes, np.float64).reshape(-1, _AXES).T
    found = [Spread.of(list(column), scale="log", margin=_SIZE_MARGIN, numbers=_AXES) for column in columns]
    return tuple(spread for spread in found if spread is not None)


def _channel(facts: Sequence[ChannelFacts], numbers: Sequence[ChannelNumber], *, channels: int) -> dict[str, Spread]:
    spreads = {}
    for number in numbers:
        values = [number.of(one) for one in facts]
        spread = Spread.of(values, scale=number.scale, margin=number.margin, numbers=channels * len(numbers))
        if spread is not None:
            spreads[number.name] = spread
    return spreads


def _structure(name: str, cases: Sequence[CaseFacts], *, numbers: int) -> StructureStatistics:
    is_flat = all(case.scan.is_flat for case in cases)
    there = [(case.structures[name], case.scan) for case in cases if name in case.structures]
    sizes = [size_of(facts.voxels, scan, is_flat=is_flat) for facts, scan in there]
    shares = [facts.main_share for facts, _ in there]
    return StructureStatistics(
        present=len(there),
        size=Spread.of(sizes, scale="log", margin=_SIZE_MARGIN, numbers=numbers),
        touching=sum(facts.touches_border for facts, _ in there),
        parts_median=float(np.median([facts.parts for facts, _ in there])) if there else None,
        main_share=Spread.of(shares, scale="linear", margin=_SHARE_MARGIN, numbers=numbers),
    )
