"""Rules of postprocessing as tries, each structure's apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from medseg.cohort import run_cases
from medseg.evaluation.segmentation import Scores, find_mask, judge_tries, measure_case
from medseg.evaluation.segmentation.beyond_chance import JudgedTry
from medseg.inference.segmentation.postprocess import Postprocessing, StructureRule, postprocess
from medseg.manifest import case_target, unannotated
from medseg.manifest.case_scans import read_case_label
from medseg.records import Case, Failure, Manifest
from medseg.runs.progress import Progress
from medseg.runs.segmentation.choice.part_table import (
    StructureParts,
    cross_fitted_volumes,
    parts_of_case,
    smallest_volume,
)
from medseg.scans import read_label


@dataclass(frozen=True, slots=True)
class RuleTry:
    """A rule for one structure.

    Attributes:
        rule: The rule as the model would take it; None if no volume helps, so that there is nothing to take.
        by_fold: Rule for the cases of each fold, which was made without them.
        before: Dice of the structure in each case as it is.
        after: Dice with the rule.
    """

    structure: str
    kind: str
    rule: StructureRule | None
    by_fold: Mapping[int, StructureRule | None]
    before: Scores
    after: Scores

    @property
    def name(self) -> str:
        """Structure and rule in words."""
        return f"{self.structure}: {self.rule or 'remove small parts'}"


def read_parts(
    cases: Sequence[Case], manifest: Manifest, root: Path, *, masks: Path, progress: Progress
) -> tuple[list[StructureParts], tuple[Failure, ...]]:
    """Parts and holes of every structure in the masks of all cases, and the cases that cannot be read."""
    with progress.over_cases(len(cases), "parts") as on_done:
        work = partial(parts_of_case, manifest=manifest, root=root, masks=masks)
        done = run_cases(cases, work, stage="measure", on_done=on_done)
    return [part for parts in done.results for part in parts], done.failures


def rule_tries(tables: Sequence[StructureParts], folds: Mapping[str, int]) -> list[RuleTry]:
    """Largest part, smallest volume and holes of each structure.

    Args:
        tables: Parts of every structure in all cases.
        folds: Fold of each case.
    """
    tries = []
    for structure in dict.fromkeys(one.structure for one in tables):
        own = [one for one in tables if one.structure == structure]
        before = {one.case_id: one.as_it_is() for one in own}
        numbers = sorted({folds[one.case_id] for one in own})
        volumes, whole = cross_fitted_volumes(own, folds), smallest_volume(own)
        largest = StructureRule(structure=structure, keep_largest=True)
        filled = StructureRule(structure=structure, fill_holes=True)
        small = {fold: _small(structure, volume) for fold, volume in volumes.items()}
        tries += [
            RuleTry(
                structure,
                "largest part",
                largest,
                dict.fromkeys(numbers, largest),
                before,
                {one.case_id: one.with_largest() for one in own},
            ),
            RuleTry(
                structure,
                "smallest volume",
                _small(structure, whole),
                small,
                before,
                {one.case_id: one.without_small(volumes[folds[one.case_id]]) for one in own},
            ),
            RuleTry(
                structure,
                "holes",
                filled,
                dict.fromkeys(numbers, filled),
                before,
                {one.case_id: one.without_holes() for one in own},
            ),
        ]
    return tries


def taken_rules(tries: Sequence[RuleTry], judged: Sequence[JudgedTry]) -> list[RuleTry]:
    """Rules that are better beyond chance; of largest part and smallest volume the better, the first of equals."""
    gain = {one.name: one.difference.difference for one in judged if one.is_better}
    better = [one for one in tries if one.name in gain and one.rule is not None]
    taken = []
    for structure in dict.fromkeys(one.structure for one in better):
        own = [one for one in better if one.structure == structure]
        removing = [one for one in own if one.kind != "holes"]
        taken += [max(removing, key=lambda one: gain[one.name])] if removing else []
        taken += [one for one in own if one.kind == "holes"]
    return taken


def joined(rules: Sequence[StructureRule | None]) -> Postprocessing | None:
    """Rules of all structures, those of one in one; None without any."""
    by_structure: dict[str, StructureRule] = {}
    for rule in rules:
        if rule is None:
            continue
        earlier = by_structure.get(rule.structure)
        both = {
            **(earlier.model_dump(exclude_defaults=True) if earlier else {}),
            **rule.model_dump(exclude_defaults=True),
        }
        by_structure[rule.structure] = StructureRule.model_validate(both)
    return Postprocessing(structures=tuple(by_structure.values())) if by_structure else None


def dice_with(
    case: Case, *, manifest: Manifest, root: Path, masks: Path, rules: Mapping[int, Postprocessing | None]
) -> dict[str, float]:
    """Dice of every structure of a case after the rules of its fold, carried out as a prediction does.

    Args:
        case: Case with a label and a fold.
        manifest: Dataset of the case.
        root: Data root.
        masks: Folder of the masks.
        rules: Rules for the cases of each fold.
    """
    target = case_target(case, manifest)
    label, grid = read_case_label(case, manifest, root)
    mask, _ = read_label(find_mask(masks, case.case_id), case_id=case.case_id)
    own = rules[case.fold] if case.fold is not None else None
    if own is not None:
        mask, _ = postprocess(mask, own, target=target, voxel_ml=grid.voxel_ml)
    rows = measure_case(
        label,
        mask,
        target=target,
        case_id=case.case_id,
        spacing_mm=grid.spacing_mm,
        unannotated=unannotated(case, manifest),
    )
    return {row.label: 1.0 if row.label_voxels == row.mask_voxels == 0 else row.values["dice"] for row in rows}


def judge_rules(tries: Sequence[RuleTry], patients: Mapping[str, str]) -> list[JudgedTry]:
    """Hold every rule against the mask as it is."""
    return judge_tries({one.name: (one.before, one.after) for one in tries}, patients=patients)


def _small(structure: str, volume: float | None) -> StructureRule | None:
    return StructureRule(structure=structure, smallest_ml=volume) if volume is not None else None
