"""Remedies of the errors of output folders of masks, and of the models that a prediction is given."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from medseg.atomic import write_json
from medseg.inference import CaseInput
from medseg.inference.folder_lock import locked_folder
from medseg.inference.mask_folder_check import check_mask_folder
from medseg.inference.segmentation import Predictor, predict_cases
from medseg.runs.segmentation.model_paths import found_models

from tests.inference.classification.knowing import CPU
from tests.remedies.attempts import tries
from tests.remedies.inference import model_run, write_image

Again = Iterator[Callable[[], object]]


def models(*places: Path) -> tuple[Path, ...]:
    """Folders of models."""
    with found_models(places) as found:
        return found.folders


@tries("inference/folder_lock.py", "wait for its end, or choose another folder")
def _folder_in_use(place: Path) -> Again:
    inputs = [CaseInput("a", (write_image(place / "a.nii.gz"),))]
    predictor = Predictor.load(model_run(place / "run"), device=CPU)
    predict_cases(predictor, inputs, place / "masks")
    with locked_folder(place / "masks"):
        yield lambda: predict_cases(predictor, inputs, place / "masks")
        yield lambda: predict_cases(predictor, inputs, place / "other")
    yield lambda: predict_cases(predictor, inputs, place / "masks")


@tries("inference/mask_folder_check.py", "choose another")
def _folder_of_something_else(place: Path) -> Again:
    (place / "masks").mkdir()
    (place / "masks" / "mine.txt").touch()
    yield lambda: check_mask_folder(place / "masks")
    yield lambda: check_mask_folder(place / "other")


@tries("inference/mask_folder_check.py", "choose another")
def _masks_of_an_earlier_version(place: Path) -> Again:
    inputs = [CaseInput("a", (write_image(place / "a.nii.gz"),))]
    predictor = Predictor.load(model_run(place / "run"), device=CPU)
    predict_cases(predictor, inputs, place / "masks")
    record = place / "masks" / "predictions.json"
    write_json(record, {**json.loads(record.read_text(encoding="utf-8")), "settings": None})
    yield lambda: predict_cases(predictor, inputs, place / "masks")
    yield lambda: predict_cases(predictor, inputs, place / "other")


@tries("inference/mask_folder_check.py", "choose another folder, or give model and choices as before")
def _masks_of_another_choice(place: Path) -> Again:
    inputs = [CaseInput("a", (write_image(place / "a.nii.gz"),))]
    predictor = Predictor.load(model_run(place / "run"), device=CPU)
    predict_cases(predictor, inputs, place / "masks", choices={"sensitivity": 0.9})
    yield lambda: predict_cases(predictor, inputs, place / "masks", choices={"sensitivity": 0.8})
    yield lambda: predict_cases(predictor, inputs, place / "other", choices={"sensitivity": 0.8})
    yield lambda: predict_cases(predictor, inputs, place / "masks", choices={"sensitivity": 0.9})


@tries("runs/segmentation/model_paths.py", "give the folder of a run of medseg train")
def _no_model(place: Path) -> Again:
    yield lambda: models()
    yield lambda: models(model_run(place / "run"))


@tries("runs/segmentation/model_paths.py", "resume the training of the folds")
def _folds_without_a_model(place: Path) -> Again:
    (place / "folds" / "fold_0").mkdir(parents=True)
    write_json(place / "folds" / "folds.json", {})
    yield lambda: models(place / "folds")
    model_run(place / "folds" / "fold_0")  # as the training makes it
    yield lambda: models(place / "folds")


@tries("runs/segmentation/model_paths.py", "give a run of medseg train; a classifier may gate it or check its masks")
def _classifier_for_a_model(place: Path) -> Again:
    write_json(place / "classifier" / "model" / "classifier.json", {})
    yield lambda: models(place / "classifier")
    yield lambda: models(model_run(place / "run"))


@tries("runs/segmentation/model_paths.py", "give each model once: one that agrees with itself proves nothing")
def _model_twice(place: Path) -> Again:
    run = model_run(place / "run")
    yield lambda: models(run, run / "model")
    yield lambda: models(run)
