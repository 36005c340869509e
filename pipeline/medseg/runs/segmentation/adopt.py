"""A trained nnU-Net model as a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from medseg import __version__
from medseg.errors import CheckpointError
from medseg.inference.nnunet.card import EARLIER, AdoptedCard, AdoptedFold, save_adopted_card
from medseg.inference.nnunet.model import load_adopted
from medseg.inference.nnunet.precision_check import check_on_noise
from medseg.inference.nnunet.source_card import SourceModel
from medseg.inference.nnunet.source_folder import SourceFolder
from medseg.inference.precision_record import PrecisionCheck
from medseg.inference.segmentation.precision_check import check_on_scans
from medseg.networks.precision import PrecisionKind, uses_bf16
from medseg.networks.segmentation import build_network
from medseg.networks.segmentation.nnunet_checkpoint import NnunetCheckpoint, load_renamed, read_checkpoint
from medseg.networks.weights import save_weights, weights_digest
from medseg.runs.run_folder import RunFolder, check_empty
from medseg.scans import read_scan

_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptSettings:
    """Choices of an adoption.

    Attributes:
        folds: Folds whose logits are averaged; all that the folder has if not given.
        checkpoint: Name of the checkpoints' files.
        mirroring: Whether mirrored copies are averaged along the axes that the training allows.
        step: Largest distance of neighbouring windows, as a share of their size.
        previous: Model folder of the earlier stage of a cascade; the one beside the folder if not given.
        precision: Number format; `auto` takes bfloat16 where it decides as float32 does.
        sample: Scan on which `auto` compares both; noise if not given.
        accept_trainer: Whether a trainer class that is not nnU-Net's own counts as one that changes the training alone.
    """

    folds: tuple[str, ...] | None = None
    checkpoint: str = "checkpoint_final.pth"
    mirroring: bool = True
    step: float = 0.5
    previous: Path | None = None
    precision: PrecisionKind = "auto"
    sample: Path | None = None
    accept_trainer: bool = False


@dataclass(frozen=True, slots=True)
class AdoptResult:
    """An adopted model.

    Attributes:
        folder: Folder of the run.
        card: Card of the model.
        notes: Sentences for the person who adopted it.
    """

    folder: Path
    card: AdoptedCard
    notes: tuple[str, ...]


def adopt_model(source: Path, out: Path, settings: AdoptSettings) -> AdoptResult:
    """Turn a trained nnU-Net v2 model folder into a run, which draws masks like any other.

    The card is written last, so that what an interrupted adoption leaves is no run.

    Args:
        source: Folder with plans.json, dataset.json and `fold_*/checkpoint_*.pth`.
        out: Folder of the run, new or empty.
        settings: Choices.

    Raises:
        CheckpointError: If the folder is incomplete, or its model is not one of nnU-Net's own.
        ConfigError: If the output folder holds something.
    """
    folder = SourceFolder.read(source)
    checkpoints = folder.folds(settings.checkpoint, wanted=settings.folds)
    model = _source_model(folder, checkpoints, settings)
    check_empty(out)
    card = _adopt_into(RunFolder(out).model, model, checkpoints, settings)
    return AdoptResult(out, card, tuple(_notes(card)))


def _source_model(folder: SourceFolder, checkpoints: Mapping[str, Path], settings: AdoptSettings) -> SourceModel:
    first = read_checkpoint(next(iter(checkpoints.values())))
    return SourceModel.of(folder, first, accepts_trainer=settings.accept_trainer)


def _adopt_into(
    target: Path, model: SourceModel, checkpoints: Mapping[str, Path], settings: AdoptSettings
) -> AdoptedCard:
    if model.earlier_stage is not None:
        _adopt_earlier(target / EARLIER, model, settings)
    folds = [_save_fold(target, model, name, path) for name, path in checkpoints.items()]
    card = model.card(
        folds,
        version=__version__,
        checkpoint=settings.checkpoint,
        step=settings.step,
        is_mirrored=settings.mirroring,
    )
    if settings.precision != "auto":
        card = card.model_copy(update={"precision": settings.precision})
    save_adopted_card(card, target)
    if settings.precision == "auto" and uses_bf16(_CPU):
        card = _with_precision(card, target, settings.sample)
        save_adopted_card(card, target)
    return card


def _adopt_earlier(target: Path, model: SourceModel, settings: AdoptSettings) -> None:
    """Adopt the earlier stage of a cascade beside the later one's weights."""
    place = settings.previous or model.folder.earlier_stage(model.checkpoint.configuration, str(model.earlier_stage))
    if not place.is_dir():
        raise CheckpointError(
            f"model folder {model.folder.path}: must have the model of its earlier stage {model.earlier_stage} beside "
            f"it, found no {place.name}",
            remedy="copy that folder too, or say where it is",
        )
    folder = SourceFolder.read(place)
    checkpoints = folder.folds(settings.checkpoint, wanted=settings.folds)
    own = replace(settings, previous=None)
    _adopt_into(target, _source_model(folder, checkpoints, own), checkpoints, own)


def _save_fold(target: Path, model: SourceModel, name: str, path: Path) -> AdoptedFold:
    """Write the weights of a fold under our names."""
    checkpoint: NnunetCheckpoint = read_checkpoint(path)
    if checkpoint.configuration != model.checkpoint.configuration:
        raise CheckpointError(
            f"checkpoint {path}: must be of the configuration {model.checkpoint.configuration} as that of the other "
            f"folds, got {checkpoint.configuration}",
            remedy="adopt the folds of one configuration",
        )
    network = build_network(model.network)
    load_renamed(network, checkpoint.weights, source=path)
    fold = AdoptedFold(name=name, weights_digest="", trained_on=model.folder.trained_on(name))
    save_weights(network.state_dict(), target / fold.file)
    return fold.model_copy(update={"weights_digest": weights_digest(target / fold.file)})


def _with_precision(card: AdoptedCard, target: Path, sample: Path | None) -> AdoptedCard:
    """The card with bfloat16 allowed if that decides as float32 does."""
    model = load_adopted(target, device=_CPU)
    check: PrecisionCheck | None
    if sample is None:
        check = check_on_noise(model)
    else:
        scan = read_scan((sample,), case_id=sample.name, channels=len(card.channels))
        check = check_on_scans(model, [scan], subject=sample.name)
    agrees = check is not None and check.agrees
    return card.model_copy(update={"precision": "auto" if agrees else "fp32", "precision_check": check})


def _notes(card: AdoptedCard) -> list[str]:
    """What the adopter should know."""
    folds = ", ".join(fold.name for fold in card.folds)
    mirrored = f"mirrored along {len(card.mirror_axes)} axes" if card.mirror_axes else "not mirrored"
    notes = [f"{card.configuration} of {card.dataset}, {card.trainer}, folds {folds}, {mirrored}"]
    check = card.precision_check
    if check is not None:
        kept = "so the device's own is used" if card.precision == "auto" else "so float32 is used"
        notes.append(f"bfloat16 and float32 agree with a Dice of {check.agreement:.4f} on {check.subject}, {kept}")
    elif card.precision == "fp32":
        notes.append("float32 is used: nothing showed that bfloat16 decides alike")
    if not card.trained_on:
        notes.append("the cases that it was trained on are not known, so no mask can be marked as one of them")
    return notes
