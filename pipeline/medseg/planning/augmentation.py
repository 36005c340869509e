"""How much a training changes its patches: more where it sees each scan very often."""

from __future__ import annotations

from medseg.planning.plan import Plan

MANY_VIEWS = 150.0
_STRONGER: dict[str, object] = {
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
