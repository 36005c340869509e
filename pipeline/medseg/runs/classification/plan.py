"""The plan of a slice classifier's training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from medseg.errors import ConfigError, ManifestError
from medseg.inference.segmentation import load_card
from medseg.networks import NetworkConfig
from medseg.networks.classification import ClassifierConfig, encoder_classifier
from medseg.plane import PLANES
from medseg.planning import SliceChoices, SlicePlan, load_plan_of, make_slice_plan, override_plan, take_fingerprint
from medseg.planning.sizes import DeviceKind
from medseg.preprocess.classification import SliceConfig
from medseg.preprocess.classification.table import TargetTable
from medseg.records import Failure
from medseg.runs.classification.settings import ClassificationSettings
from medseg.runs.job import Planned
from medseg.runs.machine import threads
from medseg.runs.plan_changes import changed_plan
from medseg.runs.progress import Progress
from medseg.runs.training_cases import TrainingCases
from medseg.targets import BACKGROUND


def plan_classifier(
    cases: TrainingCases,
    table: TargetTable | None,
    settings: ClassificationSettings,
    *,
    device: DeviceKind,
    progress: Progress,
) -> Planned[SlicePlan]:
    """The given plan, or one from the training cases, with the asked changes.

    Args:
        cases: Cases of the fold.
        table: CSV file of classes, if the labels are one.
        settings: Choices.
        device: Kind of device that will train.
        progress: Follows the work.

    Raises:
        ConfigError: If choices exclude each other.
        ManifestError: If the plan does not fit the dataset or the table.
    """
    failures: tuple[Failure, ...] = ()
    if settings.plan is not None:
        plan = load_plan_of(SlicePlan, settings.plan)
    else:
        choices = _choices(settings, cases, table)
        manifest = cases.manifest.model_copy(update={"allow_empty_labels": True})
        with progress.over_cases(len(cases.training), "plan") as on_done:
            fingerprint = take_fingerprint(
                cases.training,
                manifest,
                cases.root,
                with_labels=choices.targets.source == "label",
                executor=threads(settings.workers),
                on_done=on_done,
            )
        failures = fingerprint.failures
        plan = make_slice_plan(fingerprint, manifest, choices, device=device)
        if settings.initial is not None:
            plan = _initial_plan(plan, settings.initial)
    if table is not None and table.classes != plan.targets.classes:
        raise ManifestError(
            f"classes: the CSV file must have the plan's {', '.join(plan.targets.classes)} in that order, got "
            f"{', '.join(table.classes)}",
            remedy="reorder its columns, or plan again",
        )
    plan = changed_plan(plan, settings)
    if len(plan.slices.normalisation) != len(cases.manifest.channels):
        raise ManifestError(
            f"plan: slices must have the manifest's {len(cases.manifest.channels)} image channels, got "
            f"{len(plan.slices.normalisation)}",
            remedy="plan again",
        )
    return Planned(plan, failures)


def _choices(settings: ClassificationSettings, cases: TrainingCases, table: TargetTable | None) -> SliceChoices:
    source = "csv" if table else settings.labels
    kind = settings.kind or (table.kind if table else "multilabel")
    pooling = settings.pooling or ("max" if table and not table.has_slices else "none")
    if table and not table.has_slices and pooling == "none":
        raise ConfigError(
            "labels: the CSV file has no column slice, so that studies are labelled", remedy="choose a pooling"
        )
    if table and (kind != table.kind or settings.classes):
        raise ConfigError("kind and classes are those of the CSV file", remedy="leave them out")
    if settings.min_area_mm2 and source != "label":
        raise ConfigError("the smallest area is of label volumes", remedy="leave it out")
    if kind == "multiclass" and pooling != "none" and not table:
        raise ConfigError("kind multiclass is of slices, and a study shows several labels", remedy="choose multilabel")
    if kind == "multiclass" and source == "label" and cases.manifest.regions:
        raise ConfigError("kind multiclass is of labels, and regions overlap", remedy="choose multilabel")
    return SliceChoices.model_validate(
        {
            "plane": settings.plane,
            "context": settings.context,
            "architecture": settings.architecture,
            "pooling": pooling,
            "targets": {
                "source": source,
                "kind": kind,
                "classes": table.classes if table else _classes(settings, cases, kind),
                "min_area_mm2": settings.min_area_mm2,
            },
        }
    )


def _classes(settings: ClassificationSettings, cases: TrainingCases, kind: str) -> tuple[str, ...]:
    known = tuple(cases.manifest.regions or cases.manifest.foreground)
    asked = known
    if settings.classes:
        is_one = settings.classes in known  # a name may have a comma
        asked = (settings.classes,) if is_one else tuple(name.strip() for name in settings.classes.split(","))
    unknown = sorted(set(asked) - set(known))
    if unknown or len(set(asked)) < len(asked):
        raise ConfigError(f"classes must be different ones of {', '.join(known)}, got {settings.classes}")
    return (BACKGROUND, *asked) if kind == "multiclass" else asked


def _initial_plan(plan: SlicePlan, path: Path) -> SlicePlan:
    """The shape that weights from elsewhere fit: the published one, or the encoder of a segmentation run."""
    if path.is_dir():
        return _encoder_plan(plan, path)
    width = ClassifierConfig.model_fields["width"].default
    return override_plan(plan, {"network": {"width": width}}, source=f"initial weights of {path.name}")


def _encoder_plan(plan: SlicePlan, run: Path) -> SlicePlan:
    """The encoder of a segmentation run as the classifier, on pictures in the pixels that it knows."""
    card = load_card(run)
    if not isinstance(card.network, NetworkConfig) or card.own_network:
        raise ConfigError(
            f"initial weights of {run.name}: must be of medseg's own UNet, whose encoder becomes the classifier, got "
            f"{card.own_network or card.network.kind}",
            remedy="give a run of medseg train with the network unet",
        )
    slices = 2 * plan.slices.context + 1
    network = encoder_classifier(
        card.network,
        out_channels=plan.targets.channels,
        slices=slices,
        pooling=plan.network.pooling,
        slice_axis=PLANES[plan.slices.plane].axis,
    )
    changes: dict[str, Any] = {"network": network.model_dump(mode="json")}
    changes["slices"] = {"normalisation": [one.model_dump(mode="json") for one in card.preprocess.normalisation]}
    if card.preprocess.spacing_mm is not None:
        along = PLANES[plan.slices.plane].axis
        in_plane = [mm for axis, mm in enumerate(card.preprocess.spacing_mm) if axis != along]
        changes["slices"] |= _respaced(plan.slices, max(in_plane))
    return override_plan(plan, changes, source=f"initial weights of {run.name}")


def _respaced(slices: SliceConfig, pixel_mm: float) -> dict[str, Any]:
    """The same extent in other pixels, in multiples of 16."""
    sides = [side * slices.pixel_mm / pixel_mm for side in slices.size]
    return {"pixel_mm": pixel_mm, "size": [max(32, math.ceil(side / 16 - 1e-6) * 16) for side in sides]}
