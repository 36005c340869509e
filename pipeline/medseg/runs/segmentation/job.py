"""The training of a segmentation network as a job."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from medseg import __version__
from medseg.atomic import write_json
from medseg.errors import ConfigError, ManifestError, TrainingError
from medseg.evaluation.segmentation import (
    EvaluationContract,
    bound_contract,
    ignored_note,
    ignored_share,
    ignored_text,
    scoped_metrics,
    summarise,
    write_metrics,
    write_summary,
)
from medseg.inference import ModelCost
from medseg.inference.device_name import device_name
from medseg.inference.segmentation import ModelCard, save_card
from medseg.inference.segmentation.head.card import HeadCard
from medseg.manifest import manifest_digest, manifest_target, training_target
from medseg.networks import count_parameters
from medseg.planning import (
    GridCeiling,
    NetworkName,
    Plan,
    PresetName,
    Spending,
    StepCost,
    check_mirroring,
    load_plan,
    low_ceilings,
    make_plan,
    plan_digest,
    take_fingerprint,
    take_structures,
)
from medseg.planning.body import body_rule
from medseg.planning.edit_rules import check_edits
from medseg.planning.initialised import plan_initialised
from medseg.planning.rare_labels import check_extra_patches
from medseg.planning.raters import as_learned, check_raters
from medseg.planning.sizes import DeviceKind
from medseg.planning.step_fit import MEMORY_SHARE
from medseg.planning.updated import plan_updated
from medseg.preprocess.segmentation import prepare_cases
from medseg.records import Case, CaseMetrics, Failure, Manifest
from medseg.runs.case_digests import save_digests
from medseg.runs.describe import size_text
from medseg.runs.job import Delivered, Finished, Planned, Prepared
from medseg.runs.machine import free_bytes, threads, torch_device
from medseg.runs.plan_changes import changed_plan
from medseg.runs.progress import Progress
from medseg.runs.run_folder import RunFolder
from medseg.runs.segmentation.cost import model_cost
from medseg.runs.segmentation.filled_regions import check_regions_filled
from medseg.runs.segmentation.gaps import warn_of_gaps
from medseg.runs.segmentation.head.deliver import calibrated_card, deliver_trained_head
from medseg.runs.segmentation.head.inputs import head_inputs, with_mask, with_unmasked
from medseg.runs.segmentation.head.plan import asks_for_head, check_head, complete_head, with_level
from medseg.runs.segmentation.initialise import (
    initialise_from,
    load_earlier_card,
    prepared_with,
    resumed_initialisation,
)
from medseg.runs.segmentation.overlays import save_overlays
from medseg.runs.segmentation.rater_agreement import undecided_text
from medseg.runs.segmentation.statistics import training_statistics, with_validation
from medseg.runs.segmentation.update.begin import check_update
from medseg.runs.segmentation.update.task import as_update, change_of, with_update
from medseg.runs.settings import TrainingSettings
from medseg.runs.tracking import log_masks, log_trained_model
from medseg.runs.training_cases import TrainingCases
from medseg.targets import HeadLevel
from medseg.training import parse_duration_s
from medseg.training.engine import Outcome
from medseg.training.segmentation import SegmentationInputs, SegmentationParts, steps_per_epoch
from medseg.training.segmentation.compiled import COMPILED_STEP, COMPILING_S, is_worth_compiling
from medseg.training.segmentation.head.task import MultitaskTask
from medseg.training.segmentation.masked import has_mask
from medseg.training.segmentation.parts import name_of
from medseg.training.segmentation.task import SegmentationTask
from medseg.training.validation import spread_over

GridKind = Literal["scans", "budget"]
_CEILING_CASES = 3
_PREPARING_TO_READING = 2.0
_STRUCTURES_S = 30.0
_STRUCTURES_SHARE = 0.01  # of a budget
_SHORTEST_S = 15.0  # of a budget that is worth measuring for


class SegmentationJob:
    """Masks of whole volumes, validated by Dice on the scans' own grids.

    Args:
        parts: The user's own parts of the training.
        grid: `budget` plans volumes on the grid on which a wall-clock budget is expected to lose least; `scans` on the
            grid of the scans, as it is also planned where there is no such budget.
        network: Name of the network to plan; `unet`, or what a given plan holds, if not given.
        preset: Name of the sizes of network, patch and batch; the device decides if not given. With weights of an
            earlier run, whose network is kept, it decides patch and batch alone.
        head: What a head on the same encoder classifies, each `slice` or the whole `study`; masks alone if not given.

    Raises:
        ConfigError: If there is no network or preset of that name, or a name and a network of the user's own are given.
    """

    stage = "train"
    labels_digest: str | None = None

    def __init__(
        self,
        parts: SegmentationParts | None = None,
        *,
        grid: GridKind = "budget",
        network: NetworkName | None = None,
        preset: PresetName | None = None,
        head: HeadLevel | None = None,
    ) -> None:
        self.head = head
        self.grid = grid
        self.network = network
        self.preset = preset
        self.parts = parts or SegmentationParts()
        _check_network(network, self.parts)
        _check_preset(preset)
        _check_level(head)
        self.own_parts = self.parts.names()
        self.attach = self.parts.attach
        named: dict[str, str | None] = {
            "network": network,
            "preset": preset,
            "grid": grid if grid != "budget" else None,
            "head": head,
        }
        named["own parts"] = " ".join(self.own_parts)
        self.named_choices: Mapping[str, str] = {key: value for key, value in named.items() if value}

    def with_plan(self, choices: Mapping[str, str]) -> SegmentationJob:
        """The same training for a plan that is given, which holds network and sizes.

        Args:
            choices: What differs from the default plan, by its names.
        """
        job = SegmentationJob(self.parts)
        job.named_choices = choices
        return job

    def check(self, manifest: Manifest) -> None:
        """Refuse a dataset that is not for segmentation."""
        if manifest.task != "segmentation":
            raise ManifestError(
                f"manifest {manifest.name}: task must be segmentation, got {manifest.task}",
                remedy="give a dataset of labels",
            )
        if not manifest.foreground:
            raise ManifestError(
                f"manifest {manifest.name}: a segmentation must have a label beside the background, got none",
                remedy="name the values of the label files under labels",
            )

    def plan(
        self,
        cases: TrainingCases,
        settings: TrainingSettings,
        *,
        device: DeviceKind,
        progress: Progress,
        seconds: float | None = None,
    ) -> Planned[Plan]:
        """The given plan, or one from the training scans, with the asked changes."""
        manifest = cases.manifest
        failures: tuple[Failure, ...] = ()
        earlier = load_earlier_card(settings.initial) if settings.initial is not None else None
        if settings.update is not None and earlier is not None and not settings.resume:
            check_update(cases, earlier, RunFolder(settings.update).load_record())
        if settings.plan is not None:
            if not settings.resume:
                self._check_no_preset()
            plan = load_plan(settings.plan)
            plan = plan_updated(plan) if settings.update is not None and not settings.resume else plan
            if not settings.resume:  # it may have been changed, or be for another budget
                plan = plan.model_copy(update={"expected": None, "fingerprint": None})
            self._check_plan_s_network(plan, settings)
        else:
            looked_at = with_mask(cases) if asks_for_head(settings, self.head) else cases
            plan, failures = self._new_plan(
                looked_at, settings, earlier, device=device, progress=progress, seconds=seconds
            )
        plan = complete_head(changed_plan(with_level(plan, self.head), settings), manifest)
        check_head(plan, settings, self.parts)
        if plan.head is not None:
            with_mask(cases)
        if not settings.resume:
            check_edits(plan, source=f"plan {settings.plan}" if settings.plan else settings.changes_name)
        check_mirroring(plan, manifest)
        check_extra_patches(plan, manifest)
        check_raters(plan, manifest)
        expected = (len(manifest.channels), manifest_target(manifest).channels)
        if (plan.network.in_channels, plan.network.out_channels) != expected:
            raise ManifestError(
                f"plan: network.in_channels must be {expected[0]} and network.out_channels {expected[1]}, as many as "
                "the manifest has channels and labels, the background included, or regions, got "
                f"{plan.network.in_channels} and {plan.network.out_channels}",
                remedy="plan again",
            )
        return Planned(plan, failures)

    def _new_plan(
        self,
        cases: TrainingCases,
        settings: TrainingSettings,
        earlier: ModelCard | None,
        *,
        device: DeviceKind,
        progress: Progress,
        seconds: float | None,
    ) -> tuple[Plan, tuple[Failure, ...]]:
        """A plan from the training scans, and those that could not be read."""
        manifest = cases.manifest
        start = time.monotonic()
        with progress.over_cases(len(cases.training), "plan") as on_done:
            fingerprint = take_fingerprint(
                cases.training,
                manifest,
                cases.root,
                body=body_rule(manifest.channels),
                executor=threads(settings.workers),
                on_done=on_done,
            )
        reading_s = time.monotonic() - start
        structures = take_structures(
            cases.training,
            manifest,
            cases.root,
            limit_s=_STRUCTURES_S if seconds is None else _STRUCTURES_SHARE * seconds,
            executor=threads(settings.workers),
        )
        spending = None
        is_known = self.parts.network is None  # a network of the user's own need not run without weights
        has_account = self.grid == "budget" or fingerprint.is_2d  # the option is about volumes
        if has_account and is_known and seconds is not None and seconds > _SHORTEST_S:
            left = seconds - (time.monotonic() - start - reading_s)
            spending = self._spending(cases, settings, seconds=left, reading_s=reading_s, is_2d=fingerprint.is_2d)
        plan = make_plan(
            fingerprint,
            manifest,
            device=device,
            spending=spending,
            spacing_mm=asked_spacing(settings),
            adapt=partial(plan_initialised, card=earlier) if earlier and not self.network else (lambda plan: plan),
            network=self.network or "unet",
            structures=structures,
            preset=self.preset,
            is_even=not is_known,
            epochs=settings.epochs,
        )
        return _without_misfits(plan, settings.changes), fingerprint.failures

    def _check_plan_s_network(self, plan: Plan, settings: TrainingSettings) -> None:
        """Refuse a name beside a plan that holds a network; a resumed run may be given its own name again."""
        kind = "unet" if self.network == "unet_2015" else self.network
        is_own = settings.resume and kind == plan.network.kind
        if self.network is not None and not is_own:
            raise ConfigError(
                f"network: a plan holds its network, here {plan.network.kind}, got the name {self.network} too",
                remedy="leave the name out, or the plan",
            )

    def _check_no_preset(self) -> None:
        """Refuse a preset beside a plan."""
        if self.preset is not None:
            raise ConfigError(
                f"preset must not be given beside a plan, which holds its sizes, got {self.preset}",
                remedy="leave the preset out",
            )

    def _spending(
        self, cases: TrainingCases, settings: TrainingSettings, *, seconds: float, reading_s: float, is_2d: bool
    ) -> Spending:
        """What is left of the budget after the cases are prepared, which takes longer than reading them did."""
        share = (len(cases.training) + len(cases.validation)) / len(cases.training)
        device = torch_device(settings.device)
        is_compiled = not is_2d and self.is_compiled(settings)
        cost = self.step_cost(device, settings.store, is_compiled=is_compiled)
        before_s = reading_s * (1 + _PREPARING_TO_READING * share) + COMPILING_S * is_compiled
        return Spending(
            seconds=max(1.0, seconds - before_s),
            budget_s=parse_duration_s(str(settings.budget)),
            device=device_name(device),
            free_bytes=free_bytes(device),
            measure=lambda network, training, limit_s: cost.measure(network, training, limit_s=limit_s),
            estimate=cost.estimate,
            ceiling=GridCeiling(spread_cases(cases.training), cases.manifest, cases.root).dice,
        )

    def is_compiled(self, settings: TrainingSettings, plan: Plan | None = None, steps_per_epoch: int = 0) -> bool:
        """Whether the network is compiled first: on a GPU, medseg's own of volumes, with which alone that was measured.

        Args:
            settings: Device and length of the training.
            plan: Plan of the training; if not given, one of volumes will be made for a wall-clock budget.
            steps_per_epoch: Steps of an epoch by that plan.
        """
        if plan is not None and plan.network.spatial_dims == 2:
            return False
        kind = plan.network.kind if plan is not None else self.network or "unet"
        epochs = settings.epochs or (plan.training.epochs if plan is not None else 0)
        is_worth = is_worth_compiling(
            torch_device(settings.device),
            seconds=parse_duration_s(settings.budget) if settings.budget else None,
            steps=epochs * steps_per_epoch,
        )
        return is_worth and self.parts.network is None and kind in ("unet", "unet_2015")

    def step_cost(self, device: torch.device, store: Path, *, is_compiled: bool = False) -> StepCost:
        """Prices of this training's steps, kept in the store."""
        name = name_of(self.parts.network) if self.parts.network else ""
        most = math.inf if device.type == "cuda" else MEMORY_SHARE * free_bytes(device)
        share = COMPILED_STEP if is_compiled else 1.0
        return StepCost(device, folder=store, build=self.parts.build, name=name, most_bytes=most, share=share)

    def prepare(
        self, cases: TrainingCases, plan: Plan, settings: TrainingSettings, *, progress: Progress
    ) -> Prepared[SegmentationTask]:
        """Preprocessed cases in the store, and the weights to begin with."""
        initialisation = (
            initialise_from(settings.initial, cases, plan, self.parts)
            if settings.initial is not None
            else resumed_initialisation(RunFolder(settings.out))
        )
        cases = cases if plan.head is None else with_unmasked(cases)
        with progress.over_cases(len(cases.training) + len(cases.validation), "prepare") as on_done:
            training, validation = (
                prepare_cases(
                    group,
                    manifest,
                    cases.root,
                    config=plan.preprocess,
                    store=settings.store,
                    executor=threads(settings.workers),
                    on_done=on_done,
                )
                for group, manifest in (
                    (cases.training, as_learned(cases.manifest, plan)),
                    (cases.validation, cases.manifest),
                )
            )
        failures = (*training.failures, *validation.failures)
        if not training.cases:
            raise TrainingError(
                f"manifest {cases.manifest.name}: no training case could be prepared; {failures[0].reason}"
            )
        target = training_target(cases.manifest)
        taught, learned = training.cases, None
        if plan.head is not None:
            learned, unknown = head_inputs(training.cases, validation.cases, cases, plan, target)
            taught = tuple(case for case in training.cases if case.case_id in learned.listed)
            failures = (*failures, *unknown)
        warn_of_gaps(training.cases, validation.cases, cases.manifest)
        check_regions_filled((*training.cases, *validation.cases), cases.manifest)
        inputs = SegmentationInputs(
            training=taught,
            validation=validation.cases,
            target=target,
            network=plan.network,
            config=plan.training,
            inference=plan.inference,
            device=torch_device(settings.device),
            folder=settings.out,
            parts=self.parts,
            initialisation=initialisation,
            is_compiled=plan.head is None
            and self.is_compiled(settings, plan, steps_per_epoch(len(training.cases), plan.training)),
        )
        inputs = as_update(inputs, cases, plan, settings, progress=progress)
        task = SegmentationTask(inputs) if learned is None else MultitaskTask(inputs, learned)
        prepared = with_update(prepared_with(task, cases, failures), RunFolder(settings.out))
        warning = low_ceilings(plan)
        return replace(prepared, warnings=(*prepared.warnings, warning)) if warning else prepared

    def count_parameters(self, plan: Plan) -> int:
        """Trainable parameters of the network."""
        return count_parameters(self.parts.build(plan.network))

    def readable(self, plan: Plan) -> dict[str, Any]:
        """Grid, patch, network and optimisation."""
        training, start = plan.training, plan.training.coarse_start
        return {
            "spacing_mm": size_text(spacing) if (spacing := plan.preprocess.spacing_mm) else "that of each scan",
            "patch": size_text(training.patch_size),
            "coarse_start": f"{start.share:.0%} on voxels {size_text(start.factor)}" if start else "none",
            "batch_size": training.batch_size,
            "network": name_of(self.parts.network) if self.parts.network else plan.network.kind,
            "learning_rate": f"{training.learning_rate:g}",
            "optimiser": training.optimiser,
            "seed": training.seed,
            **({"head": f"{plan.head.level}, {plan.head.rule}"} if plan.head else {}),
        }

    def save_card(
        self,
        folder: RunFolder,
        cases: TrainingCases,
        plan: Plan,
        task: SegmentationTask,
        *,
        is_resumed: bool,
        run_id: str | None,
        cost: ModelCost | None = None,
        rows: Sequence[CaseMetrics] = (),
        head: HeadCard | None = None,
    ) -> None:
        """Write `model/model.json`, `cases.json`, and `initialisation.json` after an earlier run."""
        statistics = training_statistics(cases, plan, task)
        if statistics is not None and rows:
            statistics = with_validation(statistics, cases, task, rows)
        card = ModelCard(
            medseg_version=__version__,
            dataset=f"{cases.manifest.name} {cases.manifest.version}",
            channels=cases.manifest.channels,
            labels=cases.manifest.labels,
            regions=cases.manifest.regions,
            regions_order=cases.manifest.regions_order,
            network=plan.network,
            preprocess=plan.preprocess,
            inference=plan.inference,
            trained_on=tuple(case.case_id for case in task.inputs.training),
            manifest_digest=manifest_digest(cases.manifest),
            plan_digest=plan_digest(plan),
            own_network=name_of(self.parts.network) if self.parts.network else None,
            initialised_from=begins.record.earlier if (begins := task.inputs.initialisation) else None,
            mlflow_run_id=run_id,
            cost=cost,
            training_statistics=statistics,
            head=head or (task.card() if isinstance(task, MultitaskTask) else None),
        )
        save_card(card, folder.model)
        if not folder.cases.is_file():
            save_digests((*task.inputs.training, *task.inputs.validation), folder.cases)
        if begins is not None:
            write_json(folder.initialisation, begins.record.model_dump(mode="json"))

    def deliver(self, done: Finished[Plan, SegmentationTask]) -> Delivered:
        """Validation tables, overlays of the worst, median and best case, and the MLflow model."""
        cost = model_cost(self.parts.build(done.plan.network), done.plan, done.outcome, done.task.inputs.device)
        rows = list(done.outcome.last.rows) if done.outcome.last else []
        change = change_of(done)
        head = calibrated_card(done.task) if isinstance(done.task, MultitaskTask) else None
        self.save_card(
            done.folder,
            done.cases,
            done.plan,
            done.task,
            is_resumed=True,
            run_id=done.run_id,
            cost=cost,
            rows=rows,
            head=head,
        )
        summary = summarise(rows, patients={case.case_id: case.patient_id for case in done.cases.validation})
        files = [done.folder.validation.with_suffix(".json")]
        write_summary(
            summary,
            files[0],
            contract=bound_contract(EvaluationContract(metrics=("dice", "iou")), done.cases.manifest),
            failures=done.failures,
            notes={
                "best_mean_dice_of_any_validation": done.outcome.best_score,
                "best_mean_dice_is_over_cases": _compared(done),
                "validation_cases": len(done.task.validation_cases),
                "not_measured": sorted(
                    {case.case_id for case in done.task.validation_cases} - {row.case_id for row in rows}
                ),
                **ignored_note(rows),
                **({"update": change.content} if change else {}),
            },
        )
        if rows:
            files.append(done.folder.validation.with_suffix(".csv"))
            write_metrics(rows, files[1])
        pictures, warnings = save_overlays(
            rows,
            done.cases.validation,
            done.cases.manifest,
            done.cases.root,
            folder=done.folder.overlays,
            mask_of=lambda case_id, scan: done.task.masks[case_id],
        )
        of_head = deliver_trained_head(done, done.task, head) if isinstance(done.task, MultitaskTask) and head else ()
        if done.run is not None:
            log_masks(done.run, rows, files=files, pictures=pictures, table="validation_cases.json")
            done.run.log_metrics(change.values if change else {}, step=done.outcome.steps)
            if ignored_note(rows):
                done.run.log_metrics({"ignored_share": ignored_share(rows)}, step=done.outcome.steps)
            if self.parts.network is None:
                log_trained_model(
                    done.run,
                    done.folder.model,
                    done.cases.manifest,
                    name=done.name,
                    step=done.outcome.steps,
                    values=scoped_metrics(summary, "val"),
                )
            else:
                warning = "no MLflow model was logged, because loading it would need your own network"
                warnings = (*warnings, warning)
        unmeasured = _unmeasured(done.outcome, len(done.task.validation_cases))
        learned, lost = (change.notes, change.warnings) if change else ((), ())
        return Delivered(summary, (*unmeasured, *lost, *warnings), (*_left_out(rows, done.cases), *of_head, *learned))


def _compared(done: Finished[Plan, SegmentationTask]) -> int:
    """Number of cases with a mask that every validation measured."""
    compared = spread_over(done.task.validation_cases, done.outcome.compared_cases)
    return sum(has_mask(case, done.task.inputs.target) for case in compared)


def _left_out(rows: Sequence[CaseMetrics], cases: TrainingCases) -> tuple[str, ...]:
    """What to say of voxels that no number counts."""
    fused = any(case.is_fused for case in cases.validation)
    return (*undecided_text(cases.validation, rows), *ignored_text(rows, is_fused=fused))


def _check_network(name: NetworkName | None, parts: SegmentationParts) -> None:
    """Hold the name of a network to the known ones, and to stand alone."""
    if name is None:
        return
    names = get_args(NetworkName)
    if name not in names:
        raise ConfigError(
            f"network must be one of {', '.join(names)}, got {name!r}",
            remedy="choose one, or give a network of your own as SegmentationParts(network=...)",
        )
    if parts.network is not None:
        raise ConfigError(f"network: the name {name} and a network of your own exclude each other", remedy="give one")


def _check_preset(name: PresetName | None) -> None:
    """Hold the name of a preset to the known ones."""
    names = get_args(PresetName)
    if name is not None and name not in names:
        raise ConfigError(f"preset must be one of {', '.join(names)}, got {name!r}", remedy="choose one of them")


def _check_level(level: HeadLevel | None) -> None:
    """Hold the level of a head to the known ones."""
    levels = get_args(HeadLevel)
    if level is not None and level not in levels:
        raise ConfigError(f"head must be one of {', '.join(levels)}, got {level!r}", remedy="choose slice or study")


def _unmeasured(outcome: Outcome, cases: int) -> tuple[str, ...]:
    """What to say of validation cases for which the budget had no time."""
    if outcome.last is None or outcome.validated_cases == cases:
        return ()
    what = f"the validation is of {outcome.validated_cases} of {cases} cases"
    return (f"{what}, because the budget has no time for more; predict and evaluate measure all of them",)


def spread_cases(cases: Sequence[Case]) -> Sequence[Case]:
    """The cases in another order: first some from all over the list, to measure what a grid costs their labels."""
    gap = max(1, len(cases) // _CEILING_CASES)
    first = cases[::gap]
    return [*first, *(case for case in cases if not any(case is other for other in first))]


def asked_spacing(settings: TrainingSettings) -> tuple[float, float, float] | None:
    """Voxel size that the user sets; what is wrong with it is said where the changes are made."""
    section = settings.changes.get("preprocess")
    asked = section.get("spacing_mm") if isinstance(section, Mapping) else None
    if not isinstance(asked, list | tuple) or len(asked) != len("ijk"):
        return None
    if not all(isinstance(mm, int | float) and mm > 0 for mm in asked):
        return None
    i, j, k = (float(mm) for mm in asked)
    return i, j, k


def _without_misfits(plan: Plan, changes: Mapping[str, Any]) -> Plan:
    """The plan without a coarse start that was made for another patch or network than the user sets."""
    sets_network = bool(changes.get("network"))
    training = changes.get("training")
    sets_patch = isinstance(training, Mapping) and "patch_size" in training
    if not (sets_network or sets_patch) or plan.training.coarse_start is None:
        return plan
    reason = "none, because it would have to be made for the patch and the network that are set"
    return plan.model_copy(
        update={
            "training": plan.training.model_copy(update={"coarse_start": None}),
            "reasons": plan.reasons | {"training.coarse_start": reason},
        }
    )
