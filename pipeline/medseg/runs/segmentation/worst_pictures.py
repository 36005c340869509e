"""Pictures of a comparison's worst cases that its evaluations do not hold."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path

from medseg.cohort import run_cases
from medseg.delivery.comparison import ComparedEvaluation, Comparison, worst_cases
from medseg.delivery.segmentation import save_overlay
from medseg.errors import ConfigError, EvaluationError
from medseg.evaluation.segmentation import StoredEvaluation, find_mask
from medseg.inference import load_record
from medseg.manifest import load_manifest, manifest_digest, manifest_target, read_case
from medseg.manifest.case_scans import check_same_grid
from medseg.records import Case, Manifest
from medseg.runs.progress import Progress
from medseg.scans import read_label

_LONGEST_NAME = 50  # characters of a folder's name, of up to four bytes each where disks take 255


@dataclass(frozen=True, slots=True)
class PictureSource:
    """Scans and masks from which missing pictures are drawn.

    Attributes:
        manifest: Dataset of the evaluations.
        root: Folder that its paths are relative to.
        masks: Folder of the masks of each evaluation, in their order.
    """

    manifest: Manifest
    root: Path
    masks: tuple[Path, ...]

    @classmethod
    def of(
        cls, dataset: Path | None, masks: Sequence[Path], *, data_root: Path | None, stored: Sequence[StoredEvaluation]
    ) -> PictureSource | None:
        """Check what is given before the work begins; None if nothing is.

        Args:
            dataset: A `dataset.json` or the folder that holds one.
            masks: Folder of the masks of each evaluation.
            data_root: Folder that the manifest's paths are relative to; its own folder if not given.
            stored: The evaluations.

        Raises:
            ConfigError: If only one of dataset and masks is given, or the masks are not one folder for each evaluation.
            EvaluationError: If the dataset is another than that of the evaluations, or masks are of another model than
                the evaluation of their place.
            ManifestError: If the dataset cannot be read.
        """
        if dataset is None and not masks:
            return None
        if dataset is None or len(masks) != len(stored):
            given = f"{'no' if dataset is None else 'the'} dataset and {len(masks)} folders of masks"
            fact = f"compare: pictures need the dataset and a folder of masks for each of {len(stored)} evaluations"
            remedy = "give both, the masks in the order of the evaluations, or neither"
            raise ConfigError(f"{fact}, got {given}", remedy=remedy)
        for one, folder in zip(stored, masks, strict=True):
            _check_model(one, folder)
        manifest, root = load_manifest(dataset, data_root=data_root)
        for one in stored:
            _check_dataset(one, manifest)
        return cls(manifest, root, tuple(masks))


def draw_missing(
    found: Comparison, source: PictureSource, *, folder: Path, progress: Progress
) -> tuple[Comparison, list[str]]:
    """Draw every evaluation's picture of the page's worst cases that it does not hold.

    Args:
        found: The comparison.
        source: Scans and masks.
        folder: Folder of the pictures, which gets one for each evaluation.
        progress: Follows the work.

    Returns:
        The comparison with the new pictures, and a warning for each case that could not be drawn.
    """
    by_id = {case.case_id: case for case in source.manifest.cases}
    worst = worst_cases(found)
    warnings = [
        f"case {case_id}: no picture, as the dataset does not have it" for case_id in worst if case_id not in by_id
    ]
    notes = _other_labels(found, source)
    warnings += notes
    missing = [
        [by_id[case_id] for case_id in worst if case_id in by_id and case_id not in one.pictures]
        for one in found.evaluations
    ]
    evaluations = []
    with progress.over_cases(sum(map(len, missing)), "draw") as on_done:
        for one, cases, masks, name in zip(
            found.evaluations, missing, source.masks, _folder_names(found.evaluations), strict=True
        ):

            def draw(case: Case, *, one: ComparedEvaluation = one, masks: Path = masks, name: str = name) -> Path:
                return _draw(case, source, masks, folder / name / f"{case.case_id}.png", title=one.name)

            done = run_cases(cases, draw, stage="draw", on_done=on_done)
            warnings += [f"{one.name}: no picture, {failure.reason}" for failure in done.failures]
            evaluations.append(replace(one, pictures={**one.pictures, **done.by_id()}))
    return replace(found, evaluations=tuple(evaluations), is_drawn=True, picture_notes=tuple(notes)), warnings


def _draw(case: Case, source: PictureSource, masks: Path, path: Path, *, title: str) -> Path:
    scan, label = read_case(case, source.manifest, source.root)
    mask, grid = read_label(find_mask(masks, case.case_id), case_id=case.case_id)
    check_same_grid(grid, scan.geometry, case_id=case.case_id, thing="mask", reference="image")
    target = manifest_target(source.manifest)
    save_overlay(scan, label, mask, path, target=target, title=f"case {case.case_id}, {title}")
    return path


def _check_model(one: StoredEvaluation, masks: Path) -> None:
    """Refuse masks that another model drew than the one that was evaluated, where both say theirs."""
    record, models = load_record(masks), one.notes.get("models") or [one.notes.get("model") or {}]
    drawn = [model.weights_digest for model in record.models] if record else []
    evaluated = [model.get("weights_digest") for model in models]
    if all([*drawn, *evaluated]) and drawn and drawn != evaluated:
        fact = f"compare: masks of evaluation {one.name} must be of the model that it measured, got those of another"
        raise EvaluationError(fact, remedy="give the folders of masks in the order of the evaluations")


def _check_dataset(one: StoredEvaluation, manifest: Manifest) -> None:
    """Refuse another dataset than the one that was evaluated, where the evaluation says its name."""
    evaluated = one.notes.get("dataset", {}).get("name")
    if evaluated not in (None, manifest.name):
        fact = f"compare: dataset must be that of evaluation {one.name}, {evaluated}, got {manifest.name}"
        raise EvaluationError(fact, remedy="give the dataset that was evaluated, or leave dataset and masks out")


def _other_labels(found: Comparison, source: PictureSource) -> list[str]:
    """A warning if the labels that are drawn may not be those that were measured."""
    digest = manifest_digest(source.manifest)
    others = [one.name for one in found.evaluations if one.stored.notes.get("dataset", {}).get("digest") != digest]
    if not others:
        return []
    return [f"pictures show the labels of another version of the dataset than {', '.join(others)} measured"]


def _folder_names(evaluations: Sequence[ComparedEvaluation]) -> list[str]:
    """A short folder name for each evaluation, of letters, digits, `.`, `-` and `_`; no two differ in case alone."""
    taken, names = set[str](), []
    for one in evaluations:
        plain = re.sub(r"[^\w.-]+", "_", one.name)[:_LONGEST_NAME].strip("._") or "evaluation"
        numbered = (f"{plain}_{number}" for number in count(2))
        name = next(name for name in chain([plain], numbered) if _on_disk(name) not in taken)
        taken.add(_on_disk(name))
        names.append(name)
    return names


def _on_disk(name: str) -> str:
    """The name as a disk sees it that tells neither case nor forms of one letter apart."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
