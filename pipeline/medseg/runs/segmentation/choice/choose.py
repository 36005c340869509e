"""The choice of configuration, ensemble and postprocessing among trainings of all folds, by cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from medseg.atomic import check_writable
from medseg.cohort import run_cases
from medseg.delivery.choice import ChoicePage, Scored, Step, TriedChoice, save_choice_page
from medseg.errors import EvaluationError
from medseg.evaluation.segmentation import (
    RULE,
    EvaluationContract,
    JudgedTry,
    Scores,
    Summary,
    best_of,
    bound_contract,
    evaluate_cases,
    judge_tries,
    summarise,
)
from medseg.inference.segmentation.postprocess import Postprocessing
from medseg.manifest import assign_folds, load_manifest, require_no_quantities
from medseg.records import Case, CaseMetrics, Failure, Manifest
from medseg.runs.machine import DeviceName
from medseg.runs.progress import Progress, Silence
from medseg.runs.run_folder import check_empty
from medseg.runs.segmentation.choice.candidates import Candidate, read_candidates
from medseg.runs.segmentation.choice.choice_run import log_choice, start_choice_run
from medseg.runs.segmentation.choice.chosen_folder import copy_members
from medseg.runs.segmentation.choice.postprocessing_tries import (
    RuleTry,
    dice_with,
    joined,
    judge_rules,
    read_parts,
    rule_tries,
    taken_rules,
)
from medseg.runs.segmentation.chosen_model import CHOSEN_NAME, ChosenCard, save_chosen_card
from medseg.runs.segmentation.out_of_fold import OUT_OF_FOLD, draw_out_of_fold
from medseg.runs.tracking import Tracking, recorded, unsent
from medseg.runs.train import merge_failures
from medseg.tracking import TrackedRun

if TYPE_CHECKING:
    from medseg.training.segmentation.parts import BuildNetwork

TRIES = "tries"
"""Folder of the masks of ensembles in the folder of a choice."""
_TOGETHER = "all taken rules together"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseSettings:
    """Choices of a choice.

    Attributes:
        out: Folder of the chosen model and the page: new, empty, or of a choice that was stopped, which goes on.
        names: Name of each training; the folders' if not given.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        device: Device of the networks.
        network: Builds the untrained network, for trainings with a network of your own.
        tracking: MLflow store.
    """

    out: Path
    names: Sequence[str] | None = None
    data_root: Path | None = None
    device: DeviceName = "auto"
    network: BuildNetwork | None = None
    tracking: Tracking = field(default_factory=Tracking)


@dataclass(frozen=True, slots=True)
class ChoiceResult:
    """A choice that was made.

    Attributes:
        folder: Folder of the chosen model, `index.html`, `choice.json` and `tries.csv`.
        card: Card of the chosen model.
        page: Everything that was tried.
        failures: Cases that could not be drawn or measured.
        warnings: Sentences for the person who asked for the choice.
    """

    folder: Path
    card: ChosenCard
    page: ChoicePage
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]


def choose_model(
    dataset: Path, folders: Sequence[Path], settings: ChooseSettings, *, progress: Progress | None = None
) -> ChoiceResult:
    """Choose configuration, ensemble of two and postprocessing, each only where cross-validation shows that it helps.

    Every number is of masks that networks have drawn which had not seen the patient. The first training stays unless
    another is better; one configuration draws alone unless two that average their probabilities are better; and a
    mask stays as it is decided unless a rule for a structure is better. The smallest volume of a part is judged on
    the cases of each fold with a volume that was chosen on the other folds.

    Args:
        dataset: Dataset of the trainings, with the labels.
        folders: Trainings of all folds with the same split, the simplest first.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If dataset or trainings cannot be used or do not fit each other, or no case is left.
    """
    _check_out(settings.out)
    manifest, root = load_manifest(dataset, data_root=settings.data_root)
    require_no_quantities(manifest, "a choice of models")
    manifest = assign_folds(manifest)
    candidates = read_candidates(folders, settings.names, manifest)
    run = start_choice_run(settings.tracking, manifest, candidates, out=settings.out)
    with recorded(run):
        result = _Choice(dataset, manifest, root, settings, progress or Silence(), run).make(candidates)
        if run is not None:
            log_choice(run, manifest, result.page, result.card, folder=result.folder)
    return replace(result, warnings=(*result.warnings, *unsent(run, settings.out)))


def _check_out(folder: Path) -> None:
    """Refuse an output folder that holds something else than what an earlier choice left that was stopped.

    Raises:
        ConfigError: If it does.
        DeliveryError: If it cannot be written.
    """
    if (folder / TRIES).is_dir() and not (folder / CHOSEN_NAME).exists():
        check_writable(folder, option="out")
    else:
        check_empty(folder)


@dataclass(slots=True)
class _Measured:
    """Masks out of fold of one configuration, or of two that draw together.

    Attributes:
        name: Name of the configuration, or of both.
        parts: Configurations.
        masks: Folder of the masks.
        rows: Dice per case and structure.
    """

    name: str
    parts: tuple[Candidate, ...]
    masks: Path
    rows: Sequence[CaseMetrics]

    def scores(self, cases: Sequence[Case]) -> Scores:
        """Mean Dice over structures of each case."""
        values: dict[str, list[float]] = {}
        for row in self.rows:
            values.setdefault(row.case_id, []).append(row.values["dice"])
        return {case.case_id: sum(values[case.case_id]) / len(values[case.case_id]) for case in cases}


@dataclass(slots=True)
class _Choice:
    """One choice, step after step."""

    dataset: Path
    manifest: Manifest
    root: Path
    settings: ChooseSettings
    progress: Progress
    run: TrackedRun | None
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def patients(self) -> dict[str, str]:
        """Patient of each case."""
        return {case.case_id: case.patient_id for case in self.manifest.cases}

    def make(self, candidates: Sequence[Candidate]) -> ChoiceResult:
        """Draw, measure, decide and write; the card comes last, without which the folder is no model."""
        folder = self.settings.out
        single = [self._measure(one.folder / OUT_OF_FOLD, [one]) for one in candidates]
        double = [
            self._measure(folder / TRIES / f"{one.name}+{other.name}", [one, other])
            for one, other in combinations(candidates, 2)
        ]
        cases = self._common([*single, *double])
        chosen, steps = self._models(single, double, cases)
        rules, more, rows = self._rules(chosen, cases)
        page = ChoicePage(
            dataset=f"{self.manifest.name} {self.manifest.version}",
            cases=len(cases),
            patients=len({case.patient_id for case in cases}),
            configurations=tuple(Scored(one.name, self._summary(one.rows, cases)) for one in (*single, *double)),
            steps=(*steps, *more),
            chosen=chosen.name,
            rules=tuple(f"{rule.structure}: {rule}" for rule in rules.structures) if rules else (),
            result=self._summary(rows, cases),
            left_out=tuple(sorted({case.case_id for case in self._labelled()} - {case.case_id for case in cases})),
            rule=RULE,
        )
        card = copy_members(folder, chosen.name, chosen.parts, manifest=self.manifest, rules=rules, rule=RULE)
        card = card.model_copy(update={"mlflow_run_id": self.run.run_id if self.run else None})
        save_choice_page(page, folder, card=card.model_dump(mode="json"))
        save_chosen_card(card, folder)
        failures, warnings = merge_failures(self.failures), tuple(dict.fromkeys(self.warnings))
        return ChoiceResult(folder, card, page, failures, warnings)

    def _labelled(self) -> list[Case]:
        return [case for case in self.manifest.select("training") if case.has_reference and case.fold is not None]

    def _measure(self, masks: Path, parts: Sequence[Candidate]) -> _Measured:
        """Draw what is not drawn yet, and measure it."""
        name = " + ".join(one.name for one in parts)
        drawn = draw_out_of_fold(
            [one.folder for one in parts],
            self.dataset,
            out=masks,
            data_root=self.settings.data_root,
            device=self.settings.device,
            network=self.settings.network,
            progress=self.progress,
        )
        cases = self._labelled()
        contract = EvaluationContract(metrics=("dice",), both_empty="perfect")
        with self.progress.over_cases(len(cases), f"{name}: evaluate") as on_done:
            rows, failed = evaluate_cases(
                cases,
                self.manifest,
                self.root,
                masks=masks,
                contract=bound_contract(contract, self.manifest).model_copy(update={"objects": ()}),
                on_done=on_done,
            )
        self.failures += [*drawn.failures, *failed]
        self.warnings += drawn.warnings
        return _Measured(name, tuple(parts), masks, rows)

    def _common(self, measured: Sequence[_Measured]) -> list[Case]:
        """Cases that every configuration has."""
        ids = set.intersection(*({row.case_id for row in one.rows} for one in measured))
        cases = [case for case in self._labelled() if case.case_id in ids]
        if not cases:
            reason = self.failures[0].reason if self.failures else "the dataset has no labelled case"
            raise EvaluationError(
                f"choose: a case must be measured with every training, got none; {reason}",
                remedy="predict and evaluate one training alone, to see what is wrong with it",
            )
        return cases

    def _models(
        self, single: Sequence[_Measured], double: Sequence[_Measured], cases: Sequence[Case]
    ) -> tuple[_Measured, tuple[Step, ...]]:
        """One configuration, then whether two draw together."""
        one, first = self._better(single[0], single[1:], cases, "Configuration")
        two, second = self._better(one, double, cases, "Ensemble of two")
        return two, (first, second)

    def _better(
        self, stays: _Measured, others: Sequence[_Measured], cases: Sequence[Case], title: str
    ) -> tuple[_Measured, Step]:
        """The best of those that are better than what stays otherwise."""
        before = stays.scores(cases)
        judged = judge_tries({one.name: (before, one.scores(cases)) for one in others}, patients=self.patients)
        best = best_of(judged)
        tries = tuple(TriedChoice(one.name, one.difference, is_taken=one is best) for one in judged)
        taken = next((one for one in others if best is not None and one.name == best.name), stays)
        return taken, Step(title, f"the mean Dice over structures of a case, against {stays.name}", stays.name, tries)

    def _rules(
        self, chosen: _Measured, cases: Sequence[Case]
    ) -> tuple[Postprocessing | None, tuple[Step, ...], Sequence[CaseMetrics]]:
        """Rules for the masks, and the numbers with them."""
        tables, failed = read_parts(cases, self.manifest, self.root, masks=chosen.masks, progress=self.progress)
        self.failures += failed
        folds = {case.case_id: case.fold for case in cases if case.fold is not None}
        tries = rule_tries(tables, folds)
        judged = judge_rules(tries, self.patients)
        taken = taken_rules(tries, judged)
        what = f"the Dice of the structure, against the masks of {chosen.name} as they are"
        together, rows = self._together(chosen, taken, cases) if taken else (None, chosen.rows)
        is_kept = together is not None and together.is_better
        names = {one.name for one in taken} if is_kept else set()
        steps = [Step("Postprocessing", what, "no postprocessing", _tried(judged, names))]
        if together is not None:
            entry = TriedChoice(together.name, together.difference, is_taken=is_kept)
            where = f"the mean Dice over structures of a case, against the masks of {chosen.name} as they are"
            steps.append(Step("Postprocessing together", where, "no postprocessing", (entry,)))
        rules = joined([one.rule for one in taken]) if is_kept else None
        return rules, tuple(steps), rows if is_kept else chosen.rows

    def _together(
        self, chosen: _Measured, taken: Sequence[RuleTry], cases: Sequence[Case]
    ) -> tuple[JudgedTry, Sequence[CaseMetrics]]:
        """All taken rules carried out on every case, those of its fold."""
        folds = sorted({case.fold for case in cases if case.fold is not None})
        rules: Mapping[int, Postprocessing | None] = {
            fold: joined([one.by_fold.get(fold) for one in taken]) for fold in folds
        }
        work = partial(dice_with, manifest=self.manifest, root=self.root, masks=chosen.masks, rules=rules)
        with self.progress.over_cases(len(cases), "postprocess") as on_done:
            done = run_cases(cases, work, stage="measure", on_done=on_done)
        self.failures += done.failures
        after = {case_id: sum(values.values()) / len(values) for case_id, values in done.by_id().items()}
        judged = judge_tries({_TOGETHER: (chosen.scores(cases), after)}, patients=self.patients)
        rows = [
            CaseMetrics(case_id, structure, {"dice": value}, label_voxels=0, mask_voxels=0)
            for case_id, values in done.by_id().items()
            for structure, value in values.items()
        ]
        return judged[0], rows

    def _summary(self, rows: Sequence[CaseMetrics], cases: Sequence[Case]) -> Summary:
        wanted = {case.case_id for case in cases}
        return summarise([row for row in rows if row.case_id in wanted], patients=self.patients)


def _tried(judged: Sequence[JudgedTry], taken: set[str]) -> tuple[TriedChoice, ...]:
    return tuple(TriedChoice(one.name, one.difference, is_taken=one.name in taken) for one in judged)
