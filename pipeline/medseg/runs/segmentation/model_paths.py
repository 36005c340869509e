"""The models that a user means: runs, trainings of all folds, and addresses of registered models."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import CheckpointError, ConfigError
from medseg.inference.card import CLASSIFIER_NAME, QUANTITY_CARD, model_folder
from medseg.inference.segmentation.card import CARD_NAME
from medseg.networks.weights import weights_digest
from medseg.runs.run_folder import RunFolder
from medseg.runs.segmentation.chosen_model import chosen_folders, is_chosen, load_chosen_card

_REGISTERED = "models:/"


@dataclass(frozen=True, slots=True)
class FoundModels:
    """Models on the disk.

    Attributes:
        folders: Folder of each model, or of its run.
        warnings: What is missing, in sentences.
    """

    folders: tuple[Path, ...]
    warnings: tuple[str, ...]


def is_model(place: Path | str) -> bool:
    """Whether a path or address means models: a registered or chosen model, a run, a model folder, or all folds."""
    if str(place).startswith(_REGISTERED):
        return True
    folder = Path(place)
    has_card = (model_folder(folder) / CARD_NAME).is_file() or predicts_quantities(folder)
    return has_card or RunFolder(folder).folds.is_file() or is_chosen(folder)


def unusable_run(place: Path | str) -> str:
    """What a run is that draws no masks, in words; "" for models and for everything that is no run.

    Its pictures are never meant as scans.
    """
    if is_model(place):
        return ""
    if is_classifier(Path(place)):
        return "a slice classifier, which draws no masks"
    return "a training without a model" if RunFolder(Path(place)).record.is_file() else ""


def is_classifier(folder: Path) -> bool:
    """Whether a folder is a run of a slice classifier, or its model folder."""
    return (model_folder(folder) / CLASSIFIER_NAME).is_file()


def predicts_quantities(folder: Path) -> bool:
    """Whether a folder is a run of a regression, or its model folder."""
    return (model_folder(folder) / QUANTITY_CARD).is_file()


def check_single_network(folder: Path) -> None:
    """Refuse a folder of several networks where one is asked for.

    Raises:
        CheckpointError: If it is a training of all folds, or a chosen model.
    """
    if RunFolder(folder).folds.is_file():
        found, example = "a training of all folds", "fold_0"
    elif is_chosen(folder):
        card = load_chosen_card(folder)
        found, example = f"a chosen model of {len(card.members)}", card.members[0].folder
    else:
        return
    raise CheckpointError(
        f"{folder}: must be the folder of one network, got {found}", remedy=f"give one of them, such as {example}"
    )


@contextmanager
def found_models(places: Sequence[Path | str], *, tracking_uri: str | None = None) -> Iterator[FoundModels]:
    """Find models; a training of all folds stands for the model of each fold, a chosen model for its networks.

    Args:
        places: Runs, model folders, trainings of all folds, chosen models, and addresses such as
            `models:/livers@clinical`.
        tracking_uri: MLflow store of registered models; its own choice if not given.

    Yields:
        The models; copies of registered ones are gone afterwards.

    Raises:
        ConfigError: If none is given, one is given twice, or one is a slice classifier.
        CheckpointError: If no fold of a training of all folds has a model, or a chosen model is not whole.
        TrackingError: If the store cannot be used, or does not hold a model.
    """
    if not places:
        raise ConfigError("a model must be given, got none", remedy="give the folder of a run of medseg train")
    folders: list[Path] = []
    warnings: list[str] = []
    with ExitStack() as copies:
        for place in places:
            if str(place).startswith(_REGISTERED):
                scratch = Path(copies.enter_context(tempfile.TemporaryDirectory()))
                folders.append(_fetched(str(place), scratch, tracking_uri))
            elif RunFolder(Path(place)).folds.is_file():
                with_model, without = _folds_of(Path(place))
                folders += with_model
                warnings += [f"{place}: {name} has no model and takes no part" for name in without]
            elif is_chosen(Path(place)):
                folders += chosen_folders(Path(place))
            else:
                folders.append(Path(place))
        _check(folders)
        yield FoundModels(tuple(folders), tuple(warnings))


def _check(folders: Sequence[Path]) -> None:
    """Refuse slice classifiers, models of quantities, and a model that would count twice."""
    for folder in folders:
        if predicts_quantities(folder):
            raise ConfigError(
                f"model {folder}: must draw masks, got a model of quantities",
                remedy="give a run of medseg train on labels; predict takes models of quantities by themselves",
            )
        if is_classifier(folder):
            raise ConfigError(
                f"model {folder}: must draw masks, got a slice classifier",
                remedy="give a run of medseg train; a classifier may gate it or check its masks",
            )
    cards = [_read(model_folder(folder) / CARD_NAME) for folder in folders]
    alike = [_weights(folder) for folder, card in zip(folders, cards, strict=True) if cards.count(card) > 1]
    for weights in alike:
        if weights and alike.count(weights) > 1:
            raise ConfigError(
                f"the models must differ, got one {alike.count(weights)} times",
                remedy="give each model once: one that agrees with itself proves nothing",
            )


def _weights(folder: Path) -> list[str]:
    return [weights_digest(path) for path in sorted(model_folder(folder).glob("*.safetensors"))]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # the loader knows the reason


def _fetched(address: str, scratch: Path, tracking_uri: str | None) -> Path:
    from medseg.tracking import fetch_model

    folder = fetch_model(address, scratch, tracking_uri=tracking_uri)
    if is_classifier(folder):
        raise ConfigError(
            f"{address}: must be a segmentation model, got a slice classifier",
            remedy="give the address of a model of medseg train",
        )
    return folder


def _folds_of(folder: Path) -> tuple[list[Path], list[str]]:
    """Runs of a training of all folds that have a model, and the names of those that have none."""
    folds = sorted(folder.glob("fold_*"), key=lambda path: (len(path.name), path.name))
    with_model = [path for path in folds if is_model(path) and any(model_folder(path).glob("*.safetensors"))]
    if not with_model:
        raise CheckpointError(
            f"folds {folder}: a fold must have a model, got none", remedy="resume the training of the folds"
        )
    return with_model, [path.name for path in folds if path not in with_model]
