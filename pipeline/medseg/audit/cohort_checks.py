"""Cases that differ from their cohort in intensity, voxel size, shape or label volume."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from medseg.audit.facts import CaseFacts, ChannelFacts
from medseg.audit.finding import Finding, Severity
from medseg.audit.plain import plain
from medseg.audit.quantity_checks import check_quantity_cohort
from medseg.audit.robust import far_cases, is_group
from medseg.manifest import unannotated
from medseg.manifest.modalities import REMEDY, mixed_channels, modality_of
from medseg.records import Manifest

_AXES = ("left to right", "back to front", "feet to head")
_LOG_FLOOR = 0.1
_LINEAR_FLOOR = 0.08
_EXPECTED_SHARE = 0.95
_EXPECTED_CASES = 20
_BACKGROUND_REMEDY = "annotate some background too, such as a scribble beside each structure"


def check_cohort(cases: Sequence[CaseFacts], manifest: Manifest) -> list[Finding]:
    """All comparisons with the cohort."""
    return [
        *(Finding("modalities", "warning", None, mixed.fact, REMEDY) for mixed in mixed_channels(manifest)),
        *_check_intensities(cases, manifest),
        *_check_grids(cases),
        *_check_volumes(cases, manifest),
        *_check_labels_used(cases, manifest),
        *_check_background(cases, manifest),
        *check_quantity_cohort(cases, manifest),
    ]


def _check_intensities(cases: Sequence[CaseFacts], manifest: Manifest) -> list[Finding]:
    """Channels far from their cohort, of one modality, in spread or median; constant ones have their own check."""
    groups: dict[tuple[int, str | None], list[CaseFacts]] = defaultdict(list)
    for facts in cases:
        for index in (at for at, channel in enumerate(facts.channels) if channel.high > channel.low):
            groups[index, modality_of(facts.case, index)].append(facts)
    found = []
    for (index, _), members in groups.items():
        name = manifest.channels[index] if index < len(manifest.channels) else str(index)
        found += _check_channel(name, index, members)
    return found


def _check_channel(name: str, index: int, cases: Sequence[CaseFacts]) -> list[Finding]:
    channels = [facts.channels[index] for facts in cases]
    spreads = [max(channel.p99 - channel.p1, 1e-9) for channel in channels]
    usual_spread = float(np.median(spreads))
    middles = [channel.p50 / usual_spread for channel in channels]
    far = sorted(
        {*far_cases([math.log(s) for s in spreads], floor=_LOG_FLOOR), *far_cases(middles, floor=_LINEAR_FLOOR)}
    )
    usual = f"the usual {_span(_median(channels, 'p1'), _median(channels, 'p99'))} (1st to 99th percentile)"
    thing = f"intensities of channel {name} must be on one scale in the cohort"
    remedy = "normalise each image on its own (the planned z-score does), or record modality, site and scanner"
    if is_group(far, len(cases)):
        fact = f"{thing}, got {len(far)} of {len(cases)} cases far from {usual}"
        return [Finding("intensity", "note", None, fact, remedy, others=tuple(cases[at].case_id for at in far))]
    return [
        Finding(
            "intensity",
            "warning",
            cases[at].case_id,
            f"{thing}, got {_span(channels[at].p1, channels[at].p99)} against {usual}",
            "check whether it is another sequence or unit; convert it, or drop the case",
        )
        for at in far
    ]


def _span(low: float, high: float) -> str:
    return f"{plain(low)} to {plain(high)}"


def _median(channels: Sequence[ChannelFacts], field: str) -> float:
    return float(np.median([getattr(channel, field) for channel in channels]))


def _check_grids(cases: Sequence[CaseFacts]) -> list[Finding]:
    """Voxel sizes and numbers of voxels along the patient's axes, for each modality on its own."""
    groups: dict[str | None, list[CaseFacts]] = defaultdict(list)
    for facts in cases:
        if facts.geometry is not None and not facts.is_picture:
            groups[facts.case.modality].append(facts)
    found = []
    for members in groups.values():
        grids = [facts.geometry.reoriented("RAS") for facts in members if facts.geometry is not None]
        for axis, name in enumerate(_AXES):
            spacing = [grid.spacing_mm[axis] for grid in grids]
            shape = [float(grid.shape[axis]) for grid in grids]
            found += _check_extent("spacing", f"voxel size {name}", "mm", spacing, members, severity="warning")
            found += _check_extent("shape", f"number of voxels {name}", "voxels", shape, members, severity="note")
    return found


def _check_extent(
    check: str, thing: str, unit: str, values: list[float], cases: Sequence[CaseFacts], *, severity: Severity
) -> list[Finding]:
    far = far_cases([math.log(value) for value in values], floor=_LOG_FLOOR)
    fact = f"{thing} must be near the cohort's {np.median(values) if values else 0:.4g} {unit}"
    if is_group(far, len(values)):
        fact = f"{fact}, got {len(far)} of {len(values)} cases far from it"
        others = tuple(cases[at].case_id for at in far)
        return [Finding(check, "note", None, fact, "nothing to do if two protocols were meant", others=others)]
    remedy = "check whether the header is right and the scan of the same kind"
    return [Finding(check, severity, cases[at].case_id, f"{fact}, got {values[at]:.4g} {unit}", remedy) for at in far]


def _check_volumes(cases: Sequence[CaseFacts], manifest: Manifest) -> list[Finding]:
    """Labels much larger or smaller than in the cohort."""
    found = []
    for name in manifest.foreground:
        drawn = [facts for facts in cases if name in facts.labels]
        sizes = [facts.labels[name].ml or float(facts.labels[name].voxels) for facts in drawn]
        far = far_cases([math.log(size) for size in sizes], floor=_LOG_FLOOR)
        if is_group(far, len(drawn)):
            continue
        unit = "pixels" if drawn and drawn[0].is_picture else "ml"
        usual = plain(float(np.median(sizes))) if sizes else ""
        found += [
            Finding(
                "label_volume",
                "warning",
                drawn[at].case_id,
                f"label {name} must be near the cohort's {usual} {unit}, got {plain(sizes[at])} {unit}",
                "check whether it was drawn to its end, and under the right name",
            )
            for at in far
        ]
    return found


def _check_labels_used(cases: Sequence[CaseFacts], manifest: Manifest) -> list[Finding]:
    """Labels that no case has, and cases without a label that nearly all others have."""
    labelled = [facts for facts in cases if facts.labels]
    found = _check_regions_used(labelled, manifest)
    for name in manifest.foreground if labelled else ():
        known = [facts for facts in labelled if name not in unannotated(facts.case, manifest)]
        without = [facts.case_id for facts in known if name not in facts.labels]
        if len(without) == len(labelled):
            fact = f"label {name} must be drawn in some case, got none of {len(labelled)}"
            found.append(Finding("unused_label", "warning", None, fact, "draw it, or take it out of the manifest"))
        elif len(labelled) >= _EXPECTED_CASES and len(without) <= (1 - _EXPECTED_SHARE) * len(labelled):
            share = f"{len(labelled) - len(without)} of {len(labelled)}"
            fact = f"label {name} must be there as in {share} cases, got no voxel of it"
            remedy = "check whether it was forgotten or drawn under another name"
            found += [Finding("missing_organ", "warning", case_id, fact, remedy) for case_id in without]
    return found


def _check_background(cases: Sequence[CaseFacts], manifest: Manifest) -> list[Finding]:
    """A finding if no case with a label has annotated background, from which a network learns where nothing is."""
    labelled = [facts for facts in cases if facts.labels and facts.case.split == "training"]
    if not labelled or any(_has_background(facts) for facts in labelled):
        return []
    fact = f"background must be annotated in some case, got none in {len(labelled)}"
    return [Finding("no_background", "warning", None, fact, _BACKGROUND_REMEDY)]


def _has_background(facts: CaseFacts) -> bool:
    if facts.annotated_share is None or facts.geometry is None:
        return True
    drawn = sum(found.voxels for found in facts.labels.values())
    return round(facts.annotated_share * math.prod(facts.geometry.shape)) > drawn


def _check_regions_used(labelled: Sequence[CaseFacts], manifest: Manifest) -> list[Finding]:
    """Regions that are empty in every case, which cannot be learned."""
    names = {value: name for name, value in manifest.labels.items()}
    regions = {region: {names[value] for value in held} for region, held in (manifest.regions or {}).items()}
    return [
        Finding(
            "empty_region",
            "error",
            None,
            f"region {region} must hold a voxel in some case, got none",
            "draw it, or take it out of regions and regions_order",
        )
        for region, parts in regions.items()
        if labelled and not any(parts & facts.labels.keys() for facts in labelled)
    ]
