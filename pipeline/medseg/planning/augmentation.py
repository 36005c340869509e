"""How much a training changes its patches: more where it sees each scan very often."""

from __future__ import annotations

from typing import Any, Literal

from medseg.planning.plan import Plan
from medseg.training import AugmentConfig

Strength = Literal["weaker", "planned", "stronger"]
MANY_VIEWS = 150.0
_STRONGER: dict[str, Any] = {
    "affine_share": 0.8,
    "rotation_degrees": 30.0,
    "scale": 0.3,
    "gamma_share": 0.4,
    "contrast": (0.65, 1.5),
    "blur_share": 0.2,
    "low_resolution_share": 0.25,
}


def with_augmentation(plan: Plan, views: float) -> Plan:
    """The plan, with stronger changes where a training on volumes would else learn its scans by heart.

    With usual changes the validation of a training on hippocampi was best when each scan had been seen about a hundred
    times, and got worse from there; with stronger ones it went on rising (`benchmarks/README.md`). Of pictures, which
    are turned by any angle anyway, nothing was measured.

    Args:
        plan: Plan with the usual changes.
        views: How often each part of a scan will be seen.
    """
    if plan.network.spatial_dims == 2 or views < MANY_VIEWS:
        return plan
    augment = plan.training.augment.model_copy(update=_STRONGER)
    why = (
        f"stronger changes than usual, because each scan is seen {views:.0f} times: from about {MANY_VIEWS:g} times on "
        "a network learns by heart what is changed less (benchmarks/README.md)"
    )
    return plan.model_copy(
        update={
            "training": plan.training.model_copy(update={"augment": augment}),
            "reasons": plan.reasons | {"training.augment": why},
        }
    )


def with_strength(augment: AugmentConfig, strength: Strength) -> AugmentConfig:
    """Changes of patches that are weaker or stronger than planned.

    Args:
        augment: Changes as planned.
        strength: `weaker` changes half as many patches; `stronger` changes at least as many, and at least as much, as a
            training that sees each scan very often.
    """
    if strength == "planned":
        return augment
    if strength == "weaker":
        shares = {name: getattr(augment, name) / 2 for name in AugmentConfig.model_fields if name.endswith("_share")}
        return augment.model_copy(update=shares)
    changes: dict[str, Any] = {}
    for name, value in _STRONGER.items():
        planned = getattr(augment, name)
        if isinstance(value, tuple):
            changes[name] = (min(value[0], planned[0]), max(value[1], planned[1]))
        else:
            changes[name] = max(value, planned)
    return augment.model_copy(update=changes)
