"""The folder of a chosen model: copies of its networks, whose cards have its postprocessing."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from medseg.atomic import replacing_folder
from medseg.inference.card import model_folder
from medseg.inference.record import SOFTWARE
from medseg.inference.segmentation import load_card, save_card
from medseg.inference.segmentation.case_stages import utc_now
from medseg.inference.segmentation.postprocess import Postprocessing
from medseg.manifest import manifest_digest
from medseg.networks.weights import weights_digest
from medseg.records import Manifest
from medseg.runs.run_folder import RunFolder
from medseg.runs.segmentation.choice.candidates import Candidate
from medseg.runs.segmentation.chosen_model import ChosenCard, ChosenMember

_MEMBERS = "models"


def copy_members(
    folder: Path,
    name: str,
    parts: Sequence[Candidate],
    *,
    manifest: Manifest,
    rules: Postprocessing | None,
    rule: str,
) -> ChosenCard:
    """Copy the networks of one or two trainings, and give the card that is to stand above them.

    Args:
        folder: Target folder.
        name: Name of what was chosen.
        parts: Trainings whose networks draw together.
        manifest: Dataset of the choice.
        rules: Postprocessing of the model.
        rule: Rule of the choice, in words.
    """
    with replacing_folder(folder) as (temporary, move):
        members = [
            _copied(run, temporary, training=part.name, fold=fold, rules=rules)
            for part in parts
            for fold, run in sorted(part.runs.items())
        ]
        move(folder / _MEMBERS)
    return ChosenCard(
        software=SOFTWARE,
        date=utc_now(),
        name=name,
        dataset=f"{manifest.name} {manifest.version}",
        manifest_digest=manifest_digest(manifest),
        members=tuple(members),
        postprocessing=rules,
        rule=rule,
    )


def _copied(run: Path, folder: Path, *, training: str, fold: int, rules: Postprocessing | None) -> ChosenMember:
    name = f"{training}_fold_{fold}"
    target = folder / name
    (target / "model").mkdir(parents=True)
    shutil.copyfile(model_folder(run) / "last.safetensors", target / "model" / "last.safetensors")
    card = load_card(run)
    save_card(card.model_copy(update={"postprocessing": rules}), target / "model")
    plan = RunFolder(run).plan
    if plan.is_file():
        shutil.copyfile(plan, RunFolder(target).plan)
    return ChosenMember(
        folder=f"{_MEMBERS}/{name}",
        training=training,
        fold=fold,
        weights_digest=weights_digest(target / "model" / "last.safetensors"),
        plan_digest=card.plan_digest,
        mlflow_run_id=card.mlflow_run_id,
    )
