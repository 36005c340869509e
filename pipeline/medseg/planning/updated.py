"""The plan of a training that updates a run: its own, with a schedule for weights that are good already."""

from __future__ import annotations

from medseg.planning.plan import Plan

FRESH_SHARE = 0.5
WARMUP = 0.1
RATE = 0.25
"""Peak rate as a share of the run's own."""


def plan_updated(plan: Plan) -> Plan:
    """The plan of a finished run for its update.

    Grid, intensities, network and patches stay, so that masks can be compared. There is no coarse start, which would
    undo boundaries that are learned. The plan of an earlier update stays as it is.

    Args:
        plan: Plan of the run.
    """
    training, reasons = plan.training, dict(plan.reasons)
    if training.fresh_share is not None:
        return plan
    reasons.pop("training.coarse_start", None)
    reasons["training.fresh_share"] = (
        "half of the patches are of new and corrected cases, the others of those that the run knows, so that it does "
        "not forget them"
    )
    reasons["training.learning_rate"] = (
        f"{RATE:g} of the run's {training.learning_rate:g}, because its weights are good already"
    )
    reasons["training.warmup"] = "full steps of an optimiser that starts afresh would undo what is learned"
    changes = {
        "coarse_start": None,
        "fresh_share": FRESH_SHARE,
        "learning_rate": RATE * training.learning_rate,
        "warmup": max(WARMUP, training.warmup),
    }
    return plan.model_copy(update={"training": training.model_copy(update=changes), "reasons": reasons})
