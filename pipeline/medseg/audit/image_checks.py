"""Checks of the image of one case on its own."""

from __future__ import annotations

from medseg.audit.facts import ChannelFacts
from medseg.audit.finding import Finding
from medseg.audit.plain import plain
from medseg.manifest.modalities import modality_of
from medseg.records import Case, Manifest

AIR_HU = -200.0
HOT = 20.0
_CLIP = "clip it in the file, or in the plan by the normalisation ct with clip_hu"


def check_channels(case: Case, channels: tuple[ChannelFacts, ...], manifest: Manifest) -> list[Finding]:
    """Number of channels, constant ones, CT that is not in Hounsfield units, hot voxels."""
    found = []
    if len(channels) != len(manifest.channels):
        fact = f"image must have the manifest's {len(manifest.channels)} channels, got {len(channels)}"
        found.append(Finding("channels", "error", case.case_id, fact, "fix the image or channel_names"))
    for index, facts in enumerate(channels):
        name = manifest.channels[index] if index < len(manifest.channels) else str(index)
        if facts.low == facts.high:
            fact = f"channel {name} must show something, got the same value {facts.low:g} everywhere"
            found.append(Finding("constant", "error", case.case_id, fact, "export it again or drop the case"))
            continue
        if modality_of(case, index) == "CT" or name.upper() == "CT":
            found += _check_hounsfield(case, name, facts)
        found += _check_hot(case, name, facts)
    return found


def _check_hounsfield(case: Case, name: str, facts: ChannelFacts) -> list[Finding]:
    if facts.low <= AIR_HU:
        return []
    is_stored = facts.low >= 0 and facts.high > 1000
    guess = "looks like stored values without rescale intercept" if is_stored else "looks windowed, scaled or cropped"
    remedy = "export it again with rescale slope and intercept applied, or ignore this if no air is in view"
    fact = f"channel {name} must be in Hounsfield units with air below {AIR_HU:g}"
    got = f"got {plain(facts.low)} to {plain(facts.high)} ({guess})"
    return [Finding("hounsfield", "warning", case.case_id, f"{fact}, {got}", remedy)]


def _check_hot(case: Case, name: str, facts: ChannelFacts) -> list[Finding]:
    """A voxel as far above the 99.9th percentile as `HOT` times that is above the median."""
    if facts.high - facts.p50 <= HOT * max(facts.p999 - facts.p50, 1e-9):
        return []
    fact = f"channel {name} must hold no hot voxels, got {plain(facts.high)} where 99.9 % are below {plain(facts.p999)}"
    return [Finding("hot_voxels", "note", case.case_id, fact, _CLIP)]
