"""Masks of the training cases of a dataset, each drawn by the networks that have not seen its patient."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from medseg.inference import CaseInput, load_record
from medseg.inference.card import card_digest, model_folder
from medseg.inference.inputs import read_input
from medseg.inference.mask_folder import file_sha256
from medseg.inference.segmentation.card import CARD_NAME
from medseg.inference.segmentation.mask_model import MaskModel
from medseg.networks.weights import weights_digest
from medseg.records import Case
from medseg.runs.machine import DeviceName
from medseg.runs.progress import Named, Progress, Silence
from medseg.runs.segmentation.model_paths import found_models
from medseg.runs.segmentation.predict import PredictResult, PredictSettings, predict_run

if TYPE_CHECKING:
    from medseg.training.segmentation.parts import BuildNetwork

OUT_OF_FOLD = "out_of_fold"
"""Folder of these masks in the folder of all folds."""
_TIMED_CASES = 3


def draw_out_of_fold(
    runs: Sequence[Path],
    dataset: Path,
    *,
    out: Path,
    data_root: Path | None = None,
    device: DeviceName = "auto",
    network: BuildNetwork | None = None,
    progress: Progress | None = None,
) -> PredictResult:
    """Draw the masks of all training cases, or those that an earlier call with the same networks has not finished.

    Masks of other networks, as before the folds were trained on, are removed. If a person has changed a mask, which
    would flatter the networks, the folder is set aside under another name, and a warning says so.

    Args:
        runs: Trainings of all folds; of several, the networks that have not seen a case draw it together.
        dataset: Dataset of the trainings.
        out: Folder of the masks.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        device: Device of the networks.
        network: Builds the untrained network, for trainings with a network of the user's own.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If models or dataset cannot be used, or the folder holds something else.
    """
    warnings = _make_room(runs, out)
    settings = PredictSettings(
        out=out, split="training", out_of_fold=True, data_root=data_root, device=device, network=network
    )
    drawn = predict_run(list(runs), [dataset], settings, progress=Named(progress or Silence(), "out of fold"))
    return replace(drawn, warnings=(*warnings, *drawn.warnings))


def seconds_per_case(model: MaskModel, cases: Sequence[Case], root: Path) -> float:
    """Mean time that a mask takes, tried on a few cases.

    Args:
        model: Loaded model.
        cases: Cases to draw.
        root: Data root.
    """
    taken = []
    for case in cases[:_TIMED_CASES]:
        start = time.monotonic()
        files = tuple(root / name for name in case.images)
        scan = read_input(CaseInput(case.case_id, files), channels=model.channels)
        model.prepare(scan).draw()
        taken.append(time.monotonic() - start)
    return sum(taken) / len(taken) if taken else 0.0


def _make_room(runs: Sequence[Path], out: Path) -> tuple[str, ...]:
    """Take masks of other networks and of people out of the way; where they are now, in a sentence."""
    record = load_record(out) if out.is_dir() else None
    if record is None or record.settings is None:
        return ()
    with found_models(runs) as found:
        weights = tuple(weights_digest(model_folder(folder) / "last.safetensors") for folder in found.folders)
        cards = card_digest(found.folders, CARD_NAME)
    is_same = record.settings.weights == weights and record.settings.choices.get(CARD_NAME) == cards
    masks = {case.mask: case.mask_sha256 for case in record.cases if (out / case.mask).is_file()}
    if all(file_sha256(out / name) == digest for name, digest in masks.items()):
        if not is_same:
            shutil.rmtree(out)
        return ()
    names = (f"{out.name}_earlier{'' if number == 1 else f'_{number}'}" for number in count(1))
    aside = next(out.with_name(name) for name in names if not out.with_name(name).exists())
    out.rename(aside)
    return (f"masks in {out} had been changed since they were drawn: they are kept in {aside.name}, and drawn again",)
