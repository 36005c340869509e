"""The plan of a trial: that of the search, changed as the trial asks, under the planner's own rules."""

from __future__ import annotations

from typing import Any, Protocol

from medseg.errors import ConfigError
from medseg.planning import NetworkName, Plan, PresetName, override_plan
from medseg.planning.augmentation import with_strength
from medseg.planning.edit_rules import check_edits
from medseg.runs.search.space import Choice

_CHANNELS = 4  # of which widths are multiples


class Replan(Protocol):
    """Plans from the scans again."""

    def __call__(
        self,
        *,
        network: NetworkName | None,
        preset: PresetName | None,
        spacing_mm: tuple[float, float, float] | None,
    ) -> Plan:
        """A plan with another network, other sizes or on another grid."""


def trial_plan(plan: Plan, choice: Choice, *, replan: Replan, name: str) -> Plan:
    """The plan of a trial.

    Args:
        plan: Plan of the search.
        choice: Values of the trial; none for the plan itself.
        replan: Plans from the scans where grid or network is another.
        name: Name of the trial, for reasons and messages.

    Raises:
        ConfigError: If there is no such plan, with the rule that it breaks.
    """
    if not choice:
        return plan
    plan = _planned_anew(plan, choice, replan)
    changes = _changes(plan, choice)
    changed = override_plan(plan, changes, source=name) if changes else plan
    check_edits(changed, source=name)
    return changed


def _planned_anew(plan: Plan, choice: Choice, replan: Replan) -> Plan:
    """The plan, or another one from the scans where the trial asks for another grid or network."""
    factor = choice.get("spacing_factor", 1.0)
    network = choice.get("network")
    network = None if network == plan.network.kind else network
    preset = choice.get("preset")
    if factor == 1.0 and network is None and preset is None:
        return plan
    spacing = plan.preprocess.spacing_mm
    if spacing is None and factor != 1.0:
        raise ConfigError("spacing_factor must be on the voxels of the plan, got a plan that keeps those of each scan")
    i, j, k = (round(mm * factor, 4) for mm in spacing) if spacing else (1.0, 1.0, 1.0)
    return replan(network=network, preset=preset, spacing_mm=(i, j, k) if spacing else None)


def _changes(plan: Plan, choice: Choice) -> dict[str, Any]:
    """Sections and keys to change, as in a YAML file of settings."""
    old, training = plan.training, dict[str, Any]()
    for name in ("foreground_share", "dice_weight"):
        if name in choice:
            training[name] = choice[name]
    for name in ("learning_rate", "weight_decay"):
        if f"{name}_factor" in choice:
            training[name] = float(f"{getattr(old, name) * choice[f'{name}_factor']:.6g}")
    training["batch_size"] = max(1, round(old.batch_size * choice.get("batch_factor", 1.0)))
    training["augment"] = with_strength(old.augment, choice.get("augmentation", "planned")).model_dump(mode="json")
    changes: dict[str, Any] = {"training": training}
    if (factor := choice.get("patch_factor", 1.0)) != 1.0:
        training["patch_size"] = _patch(plan, factor)
        changes["inference"] = {"patch_size": training["patch_size"]}
    factor, channels = choice.get("width_factor", 1.0), getattr(plan.network, "channels", None)
    if factor != 1.0 and channels is not None:
        widths = [max(_CHANNELS, _CHANNELS * round(width * factor / _CHANNELS)) for width in channels]
        changes["network"] = {"channels": widths}
    if ("patch_size" in training or "network" in changes) and old.coarse_start is not None:
        training["coarse_start"] = None  # it is made for one patch and network
    return changes


def _patch(plan: Plan, factor: float) -> list[int]:
    """Sides of the patch, as multiples of what the network takes; pictures stay one voxel deep."""
    axes = plan.network.spatial_dims
    steps = (*plan.network.patch_multiple, 1)[:3]
    sizes = plan.training.patch_size
    scaled = [max(step, step * round(size * factor / step)) for size, step in zip(sizes, steps, strict=True)]
    return [*scaled[:axes], *sizes[axes:]]
