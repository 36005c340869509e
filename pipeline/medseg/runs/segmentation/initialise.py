"""Fine-tuning: a training that begins with the model of an earlier run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from torch import Tensor

from medseg.configuration import parse_config
from medseg.errors import CheckpointError, ConfigError
from medseg.inference.segmentation import ModelCard, load_card
from medseg.inference.segmentation.initialised_from import InitialisedFrom
from medseg.manifest import manifest_target
from medseg.networks.name_match import match_names
from medseg.networks.named_axes import named_axes
from medseg.networks.segmentation import build_network
from medseg.networks.segmentation.multitask import HEAD_TENSORS
from medseg.networks.transfer import Transfer, take_weights
from medseg.networks.weights import read_weights, weights_digest
from medseg.planning import Plan
from medseg.records import Failure, Manifest
from medseg.runs.initial_weights import weights_file
from medseg.runs.job import Prepared
from medseg.runs.run_folder import RunFolder
from medseg.runs.seen import seen_in_training
from medseg.runs.segmentation.model_paths import check_single_network
from medseg.runs.training_cases import TrainingCases
from medseg.targets import LabelMap, Regions
from medseg.training.segmentation import SegmentationParts
from medseg.training.segmentation.initialisation import Initialisation, InitialisationRecord
from medseg.training.segmentation.task import SegmentationTask


def load_earlier_card(initial: Path) -> ModelCard:
    """The card of an earlier run, of its model folder, or of a file of weights in it.

    Raises:
        CheckpointError: If it is missing or broken, or holds several networks.
    """
    if not initial.exists():
        raise CheckpointError(f"init: {initial} must be there, got nothing", remedy="give the folder of an earlier run")
    check_single_network(initial)
    return load_card(initial if initial.is_dir() else initial.parent)


def initialise_from(initial: Path, cases: TrainingCases, plan: Plan, parts: SegmentationParts) -> Initialisation:
    """What a training takes from an earlier run.

    Args:
        initial: Folder of the earlier run, its model folder, or a file of weights in it.
        cases: Cases of the training.
        plan: Plan of the training.
        parts: The user's own parts.

    Raises:
        CheckpointError: If the earlier model is missing or damaged, or nothing of it fits.
    """
    card, path = load_earlier_card(initial), weights_file(initial)
    weights = read_weights(path)
    fill = _filling(card, cases.manifest, plan, parts, weights)
    transfer = fill(parts.build(plan.network))
    if not transfer.has_kernels:
        raise _nothing_fits(card, parts)
    earlier = InitialisedFrom(
        dataset=card.dataset,
        manifest_digest=card.manifest_digest,
        weights=path.stem,
        weights_digest=weights_digest(path),
        mlflow_run_id=_mlflow_run(path.parent),
        taken_share=transfer.share,
        trained_on=card.trained_on,
        seen_here=cases_seen(card, cases.manifest),
        initialised_from=card.initialised_from,
    )
    validation = {case.case_id for case in cases.validation}
    record = InitialisationRecord.of(
        transfer,
        earlier,
        are_names_matched=parts.network is None,
        validation_cases_seen=tuple(seen_in_training(earlier.seen_here, cases.manifest, validation)),
    )
    return Initialisation(record, fill)


def resumed_initialisation(folder: RunFolder) -> Initialisation | None:
    """The record of what a resumed run began with; None if it began with fresh weights.

    Raises:
        CheckpointError: If the record is damaged.
    """
    path = folder.initialisation
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Initialisation(parse_config(InitialisationRecord, content, source=path.name))
    except (OSError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"run {folder.path}: {path.name} must be readable to resume, got: {error}", remedy="start a new run"
        ) from error


def cases_seen(card: ModelCard, manifest: Manifest) -> tuple[str, ...]:
    """Ids of a dataset's cases that an earlier model, or one that it began with, was trained on.

    Cases are known by their ids where the dataset has the same name, whatever its version.
    """
    seen: dict[str, None] = {}
    link: ModelCard | InitialisedFrom | None = card
    while link is not None:
        if f"{link.dataset} ".startswith(f"{manifest.name} "):
            seen |= dict.fromkeys(link.trained_on)
        link = link.initialised_from
    return tuple(seen)


def prepared_with(
    task: SegmentationTask, cases: TrainingCases, failures: tuple[Failure, ...]
) -> Prepared[SegmentationTask]:
    """The task, with what is to be said of the weights that it begins with."""
    if task.inputs.initialisation is None:
        return Prepared(task, failures)
    record = task.inputs.initialisation.record
    tags = {"medseg.init_weights_digest": record.earlier.weights_digest, "medseg.init_dataset": record.earlier.dataset}
    if record.earlier.mlflow_run_id:
        tags["medseg.init_run_id"] = record.earlier.mlflow_run_id
    facts = {
        "taken_share": round(record.earlier.taken_share, 4),
        "new_labels": ", ".join(record.labels.new),
        "new_channels": ", ".join(record.channels.new),
        "validation_cases_seen": len(record.validation_cases_seen),
    }
    return Prepared(
        task,
        failures,
        warnings=_warnings(record, cases),
        notes=(str(record),),
        parameters={"init": facts},
        tags=tags,
    )


def _filling(
    card: ModelCard, manifest: Manifest, plan: Plan, parts: SegmentationParts, weights: Mapping[str, Tensor]
) -> partial[Transfer]:
    """The function that puts the weights of an earlier run into a network of the plan.

    A head is taken if it has the same classes in the same order; another one says nothing of them.
    """
    channels = match_names(manifest.channels, card.channels, faces_alone=True)
    labels = match_names(_label_names(manifest_target(manifest)), _label_names(card.target))
    if card.head is not None and plan.head is not None and plan.head.target != card.head.target:
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith(HEAD_TENSORS)}
    is_same = channels.is_same and labels.is_same
    axes = {} if is_same or parts.network is not None else named_axes(build_network, plan.network)
    return partial(take_weights, weights=weights, channels=channels, labels=labels, axes=axes)


def _label_names(target: LabelMap) -> list[str]:
    """Name of each of the network's channels."""
    if isinstance(target, Regions):
        return list(target.structures)
    return [name for name, _ in sorted(target.labels.items(), key=lambda item: item[1])]


def _nothing_fits(card: ModelCard, parts: SegmentationParts) -> CheckpointError:
    fact = f"init: weights of the run on {card.dataset} must fit the network somewhere, got none that do"
    if card.own_network and parts.network is None:
        return CheckpointError(
            f"{fact}; it was trained with the network {card.own_network}", remedy="give that network, or leave init out"
        )
    return CheckpointError(
        fact, remedy="leave the network's shape to the earlier run instead of a plan or settings, or leave init out"
    )


def _mlflow_run(model: Path) -> str | None:
    """MLflow run of the training that a model folder belongs to, if its record lies beside it."""
    try:
        return RunFolder(model.parent).load_record().mlflow_run_id
    except CheckpointError:
        return None


def _warnings(record: InitialisationRecord, cases: TrainingCases) -> tuple[str, ...]:
    """What a person must know before believing the validation."""
    seen = len(record.validation_cases_seen)
    warning = (
        f"the earlier run was trained on patients of {seen} of the {len(cases.validation)} validation cases: this "
        "validation flatters the model; take the fold that the earlier run was validated on, or cases that neither "
        "run was trained on"
    )
    return (warning,) if seen else ()
