"""What is learned of cases that several raters have drawn."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from medseg.errors import ConfigError
from medseg.planning.plan import Plan
from medseg.records import Manifest

RaterChoice = Literal["majority", "staple", "sampled"]
_HOW = {
    "majority": "the label that most of the raters chose",
    "staple": "the most probable label by STAPLE, which weighs the raters by how they agree",
}


def plan_raters(manifest: Manifest, reasons: dict[str, str]) -> RaterChoice | None:
    """What is learned of the raters' labels: what validation and evaluation measure against.

    Args:
        manifest: Dataset.
        reasons: Reasons of the plan, to which that of the raters is added if there are any.

    Returns:
        The fusion of the manifest, `majority` if it names none; None where no case has several raters.
    """
    drawn = [case for case in manifest.select("training") if case.raters]
    if not drawn:
        return None
    choice = manifest.fusion or "majority"
    pairs = sum(case.is_fused and len(case.raters or {}) == 2 for case in drawn)
    sizes = Counter(len(case.raters or {}) for case in drawn)
    counts = ", ".join(f"{count} case(s) of {raters} raters" for raters, count in sorted(sizes.items()))
    reason = f"{counts}: {_HOW[choice]}, against which is measured, too; sampled learns from one rater in each patch"
    if pairs:
        reason += f"; of {pairs} case(s), two raters differ without a third to decide, and such voxels are not learned"
    own = sum(not case.is_fused for case in drawn)
    if own:
        reason += f"; {own} case(s) have a label beside their raters, which is learned unless raters are sampled"
    reasons["training.raters"] = reason
    return choice


def check_raters(plan: Plan, manifest: Manifest) -> None:
    """Refuse a plan that chooses among raters that no training case has.

    Raises:
        ConfigError: If it does.
    """
    if plan.training.raters is not None and not any(case.raters for case in manifest.select("training")):
        raise ConfigError(
            f"plan: training.raters must be left out where no training case has raters, got {plan.training.raters}",
            remedy="leave training.raters out, or list the raters of each case in the manifest",
        )


def as_learned(manifest: Manifest, plan: Plan) -> Manifest:
    """The manifest of which the raters' labels are fused as the plan says, for the training cases."""
    choice = plan.training.raters
    return manifest if choice in (None, "sampled") else manifest.model_copy(update={"fusion": choice})
