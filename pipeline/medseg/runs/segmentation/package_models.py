"""The models of a package: what they are, and their cards and weights in one folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import ConfigError
from medseg.inference.card import model_folder
from medseg.inference.nnunet import AdoptedCard, AdoptedModel, is_adopted
from medseg.inference.nnunet.card import save_adopted_card
from medseg.inference.precision_record import PrecisionCheck
from medseg.inference.record import SOFTWARE
from medseg.inference.segmentation.card import ModelCard, save_card
from medseg.inference.segmentation.case_stages import utc_now
from medseg.inference.segmentation.ensemble import Ensemble
from medseg.inference.segmentation.head.refuse import refuse_head
from medseg.inference.segmentation.load_model import load_models
from medseg.inference.segmentation.package_card import PackageCard, PackagedModel, save_package_card
from medseg.inference.segmentation.predictor import Predictor
from medseg.runs.machine import DeviceName, torch_device

PLAN_NAME = "plan.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One model of a package.

    Attributes:
        name: Name of its folder in the package.
        source: Its folder on the disk.
        weights: Name of its weights.
        model: The loaded model.
        card: Its card, as the package is to hold it.
        check: Comparison of bfloat16 and float32; None where nothing showed a label.
        notes: Sentences on it.
    """

    name: str
    source: Path
    weights: str
    model: Predictor | AdoptedModel
    card: ModelCard | AdoptedCard
    check: PrecisionCheck | None = None
    notes: tuple[str, ...] = ()


def read_members(folders: Sequence[Path], weights: str, device: DeviceName) -> list[Member]:
    """Load models, which must fit each other.

    Raises:
        CheckpointError: If one cannot be used.
        ConfigError: If they have different channels or labels, or a head.
    """
    loaded = load_models(folders, weights=weights, device=torch_device(device))
    models = loaded.members if isinstance(loaded, Ensemble) else [loaded]
    members = []
    for number, (folder, model) in enumerate(zip(folders, models, strict=True), start=1):
        if not isinstance(model, Predictor | AdoptedModel):
            raise TypeError(f"a model must be trained or adopted, got {type(model).__name__}")
        refuse_head(model.head, "a package")
        members.append(
            Member(
                name=f"model_{number}",
                source=model_folder(folder),
                weights=weights,
                model=model,
                card=model.card,
                check=model.card.precision_check,
            )
        )
    return members


def check_forms(members: Sequence[Member], forms: Sequence[str]) -> None:
    """Refuse a package that would hold nothing: a bundle is made of models alone that medseg trained.

    Raises:
        ConfigError: If all models are adopted ones, and no other form is asked for.
    """
    if set(forms) == {"bundle"} and all(isinstance(member.model, AdoptedModel) for member in members):
        raise ConfigError(
            "form bundle: must be of a model that medseg trained, got adopted ones alone",
            remedy="take the form mlflow or onnx",
        )


def write_members(members: Sequence[Member], folder: Path, *, warnings: Sequence[str]) -> PackageCard:
    """Write cards, weights and plans, a folder for each model, and the card above them.

    Args:
        members: Models.
        folder: Target folder, new.
        warnings: Sentences on what is missing.
    """
    notes = [*warnings, *(note for member in members for note in member.notes)]
    for member in members:
        _write_member(member, folder / member.name)
        if not (folder / member.name / PLAN_NAME).is_file() and isinstance(member.card, ModelCard):
            notes.append(f"{member.name}: its plan is not beside it and not in the package")
    first = members[0].model
    if first.postprocessing is not None:
        notes.append(
            f"after it is decided the mask is changed ({first.postprocessing}), in the forms mlflow and bundle; bare "
            "networks leave that to the caller"
        )
    card = PackageCard(
        software=SOFTWARE,
        date=utc_now(),
        channels=first.channels,
        labels=first.labels,
        models=tuple(map(_described, members)),
        notes=tuple(notes),
    )
    save_package_card(card, folder)
    return card


def _described(member: Member) -> PackagedModel:
    (identity,) = member.model.identities
    return PackagedModel(
        folder=member.name,
        dataset=identity.dataset,
        weights=member.weights,
        weights_digest=identity.weights_digest or "",
        precision_check=member.check,
    )


def _write_member(member: Member, folder: Path) -> None:
    """An adopted model whole; of a trained one the weights that are wanted."""
    if is_adopted(member.source):
        shutil.copytree(member.source, folder)
    else:
        folder.mkdir(parents=True)
        shutil.copyfile(member.source / f"{member.weights}.safetensors", folder / f"{member.weights}.safetensors")
    if isinstance(member.card, ModelCard):
        save_card(member.card, folder)
    else:
        save_adopted_card(member.card, folder)
    plan = member.source.parent / PLAN_NAME
    if plan.is_file():
        shutil.copyfile(plan, folder / PLAN_NAME)
