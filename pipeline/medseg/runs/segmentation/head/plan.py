"""The head in a plan."""

from __future__ import annotations

from medseg.errors import ConfigError
from medseg.planning import Plan
from medseg.preprocess.segmentation.head_truth import structures_of
from medseg.records import Manifest
from medseg.runs.settings import TrainingSettings
from medseg.targets import HeadLevel
from medseg.training.ranks import is_alone
from medseg.training.segmentation import SegmentationParts
from medseg.training.segmentation.head.config import HeadConfig

_BY_COMMAND = "set by the asked head"


def asks_for_head(settings: TrainingSettings, level: HeadLevel | None) -> bool:
    """Whether a training has a head by its settings; a given plan may have one, too."""
    return level is not None or bool(settings.changes.get("head"))


def with_level(plan: Plan, level: HeadLevel | None) -> Plan:
    """The plan with a head of a level, if one is asked for and it has none.

    Raises:
        ConfigError: If it has one of the other level.
    """
    if level is None:
        return plan
    if plan.head is None:
        reasons = plan.reasons | {"head.level": _BY_COMMAND}
        return plan.model_copy(update={"head": HeadConfig(level=level), "reasons": reasons})
    if plan.head.level != level:
        raise ConfigError(
            f"head must be that of the plan, {plan.head.level}, got {level}", remedy="ask for none, or plan again"
        )
    return plan


def complete_head(plan: Plan, manifest: Manifest) -> Plan:
    """The plan with the classes of its head, and a network that has an output for each.

    Raises:
        ConfigError: If there are no classes, or the plan's network can have no head.
    """
    network = plan.network
    if plan.head is None:
        if not getattr(network, "head_classes", 0):
            return plan
        return plan.model_copy(update={"network": network.model_copy(update={"head_classes": 0})})  # an earlier run's
    if network.kind != "unet":
        raise ConfigError(
            f"head: the network must be medseg's own unet, got {network.kind}", remedy="name no network, or no head"
        )
    head, reasons = plan.head, plan.reasons
    if not head.classes:
        named = manifest.study_classes if head.level == "study" else structures_of(manifest)
        if not named:
            raise ConfigError(
                "head of studies must have classes, got a manifest without study_classes",
                remedy="name study_classes in the manifest, with study_labels of its cases",
            )
        head = HeadConfig.model_validate(head.model_dump() | {"classes": named})
        reasons = reasons | {"head.classes": "all that the manifest names"}
    network = network.model_copy(update={"head_classes": len(head.classes)})
    return plan.model_copy(update={"head": head, "network": network, "reasons": reasons})


def check_head(plan: Plan, settings: TrainingSettings, parts: SegmentationParts) -> None:
    """Refuse what a training with a head cannot do.

    Raises:
        ConfigError: If it is asked for.
    """
    if plan.head is None:
        return
    if settings.update is not None:
        raise ConfigError(
            "head: a run with a head cannot be updated yet", remedy="train again on all cases, or fine-tune the run"
        )
    own = [name for name, part in (("network", parts.network), ("transform", parts.transform)) if part is not None]
    if own:
        raise ConfigError(
            f"head: network and transform must be medseg's own, got your own {own[0]}",
            remedy="leave it out, or train without a head",
        )
    if not is_alone():
        raise ConfigError(
            "head: a training with a head must have a single process, got several", remedy="start one process"
        )
