"""Additional patches for labels that few cases hold."""

from __future__ import annotations

import math

from medseg.errors import ConfigError
from medseg.planning.plan import Plan
from medseg.planning.profile import DatasetProfile
from medseg.records import Manifest

RARE_SHARE = 0.2  # of the cases; a label that fewer hold is rare
_MOST_SHARE = 0.25  # of an epoch's other patches
_SHOWN = 4


def plan_extra_patches(
    profile: DatasetProfile | None, *, patches_per_case: int, foreground_share: float, reasons: dict[str, str]
) -> dict[str, int]:
    """Patches per epoch that each rare label gets in addition, so that it comes as often as one that is just not rare.

    Args:
        profile: Profile of the training cases.
        patches_per_case: Patches that every case gives per epoch.
        foreground_share: Share of them that are centred on a label of the case.
        reasons: Reasons of the plan, to which that of these patches is added if there are any.

    Returns:
        Patches by the label's name; none where there is a single label, or no rare one.
    """
    if profile is None or len(profile.labels) < 2:
        return {}
    held = {name: label.cases for name, label in profile.labels.items()}
    rare = {name: cases for name, cases in held.items() if 0 < cases < RARE_SHARE * profile.cases}
    if not rare:
        return {}
    labels_per_case = max(1.0, sum(held.values()) / profile.cases)
    centred = patches_per_case * foreground_share / labels_per_case  # patches on a label per case that holds it
    extra = {name: math.ceil(centred * (RARE_SHARE * profile.cases - n) - 1e-9) for name, n in rare.items()}
    extra = _within(extra, max(1, int(_MOST_SHARE * profile.cases * patches_per_case)))
    rare = {name: rare[name] for name in extra}
    shown = ", ".join(f"{name} ({rare[name]})" for name in list(rare)[:_SHOWN])
    more = f" and {len(rare) - _SHOWN} more" if len(rare) > _SHOWN else ""
    reasons["training.extra_patches"] = (
        f"of {profile.cases} training cases less than {RARE_SHARE:.0%} hold {shown}{more}; so many patches per epoch "
        "are centred on each in addition to those that every case gives, because it would hardly be seen otherwise"
    )
    return extra


def _within(wanted: dict[str, int], most: int) -> dict[str, int]:
    """Shares of at most so many patches by largest remainder; labels that get none are left out."""
    scale = min(1.0, most / sum(wanted.values()))
    shares = {name: math.floor(scale * count) for name, count in wanted.items()}
    left = min(most, sum(wanted.values())) - sum(shares.values())
    for name in sorted(wanted, key=lambda name: shares[name] - scale * wanted[name])[:left]:
        shares[name] += 1
    return {name: count for name, count in shares.items() if count}


def check_extra_patches(plan: Plan, manifest: Manifest) -> None:
    """Refuse a plan that asks for patches on a label that the manifest does not have.

    Raises:
        ConfigError: If it does.
    """
    known = manifest.regions or manifest.foreground
    unknown = [name for name in plan.training.extra_patches if name not in known]
    if unknown:
        raise ConfigError(
            f"plan: training.extra_patches must name labels among {', '.join(known)}, got {unknown[0]}",
            remedy="correct the name, or leave it out",
        )
