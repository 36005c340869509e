"""Labels that a plan's grid is too coarse for."""

from __future__ import annotations

import math

from medseg.planning.plan import Plan

LOWEST_GOOD_CEILING = 0.9
_SHOWN = 3


def low_ceilings(plan: Plan) -> str | None:
    """A sentence about labels that lose much on the network's grid, with what helps; None if there are none.

    Args:
        plan: Plan, with what it is expected to give.
    """
    expected, spacing = plan.expected, plan.preprocess.spacing_mm
    if expected is None or spacing is None:
        return None
    low = sorted((dice, name) for name, dice in expected.ceiling.items() if dice < LOWEST_GOOD_CEILING)
    if not low:
        return None
    shown = ", ".join(f"{name} {dice:.3f}" for dice, name in low[:_SHOWN])
    more = f" and {len(low) - _SHOWN} more labels" if len(low) > _SHOWN else ""
    grid = "×".join(f"{mm:.3g}" for mm in spacing)
    finer = next(
        (o.budget for o in expected.outlook if o.spacing_mm and math.prod(o.spacing_mm) < math.prod(spacing)), ""
    )
    longer = f"a budget of {finer} would pay for a finer grid, and " if finer else ""
    return (
        f"on a grid of {grid} mm even a network without errors would reach a Dice below {LOWEST_GOOD_CEILING:g} for "
        f"{shown}{more}; {longer}a smaller preprocess.spacing_mm sets one"
    )


def with_low_ceilings(plan: Plan) -> Plan:
    """The plan, with that sentence among the reasons for its grid."""
    warning = low_ceilings(plan)
    if warning is None:
        return plan
    reason = plan.reasons.get("preprocess.spacing_mm", "")
    return plan.model_copy(
        update={"reasons": plan.reasons | {"preprocess.spacing_mm": f"{reason}; warning: {warning}".removeprefix("; ")}}
    )
