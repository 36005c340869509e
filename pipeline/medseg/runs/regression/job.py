"""The training of a network of quantities as a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, get_args

from medseg import __version__
from medseg.errors import ConfigError, ManifestError, TrainingError
from medseg.evaluation.regression import (
    QuantityContract,
    QuantityMetrics,
    quantity_columns,
    scoped_quantity_metrics,
    summarise_quantities,
    unknown_note,
    unknown_text,
    write_quantity_metrics,
    write_quantity_summary,
)
from medseg.inference import ModelCost
from medseg.inference.regression import QuantityCard, save_quantity_card
from medseg.manifest import is_regression, manifest_digest
from medseg.networks import count_parameters
from medseg.networks.segmentation import build_network
from medseg.planning import (
    NetworkName,
    PresetName,
    RegressionPlan,
    check_quantity_plan,
    load_plan_of,
    make_regression_plan,
    plan_digest,
    take_quantity_fingerprint,
)
from medseg.planning.sizes import DeviceKind
from medseg.preprocess.regression import StoredValues, prepare_values
from medseg.records import Failure, Manifest
from medseg.runs.describe import size_text
from medseg.runs.job import Delivered, Finished, Planned, Prepared
from medseg.runs.machine import threads, torch_device
from medseg.runs.plan_changes import changed_plan
from medseg.runs.progress import Progress
from medseg.runs.run_folder import RunFolder
from medseg.runs.segmentation.cost import model_cost
from medseg.runs.segmentation.job import asked_spacing
from medseg.runs.settings import TrainingSettings
from medseg.runs.training_cases import TrainingCases
from medseg.training.engine import Attach
from medseg.training.regression import RegressionInputs, RegressionTask
from medseg.training.regression.task import SCORE


class RegressionJob:
    """Quantities of whole volumes, validated by their mean absolute error on the scans' own grids.

    Args:
        network: Name of the network to plan; `unet`, or what a given plan holds, if not given.
        preset: Name of the sizes of network, patch and batch; the device decides if not given.
        attach: Functions that attach handlers to the training's engines.

    Raises:
        ConfigError: If there is no network or preset of that name.
    """

    stage = "train"
    labels_digest: str | None = None

    def __init__(
        self,
        *,
        network: NetworkName | None = None,
        preset: PresetName | None = None,
        attach: Sequence[Attach] = (),
    ) -> None:
        for what, name, names in (("network", network, NetworkName), ("preset", preset, PresetName)):
            if name is not None and name not in get_args(names):
                raise ConfigError(f"{what} must be one of {', '.join(get_args(names))}, got {name!r}")
        self.network = network
        self.preset = preset
        self.own_parts: tuple[str, ...] = ()
        self.attach = attach
        named = {"network": network, "preset": preset}
        self.named_choices: Mapping[str, str] = {key: value for key, value in named.items() if value}

    def check(self, manifest: Manifest) -> None:
        """Refuse a dataset that is not of a regression."""
        if not is_regression(manifest):
            raise ManifestError(f"manifest {manifest.name}: task must be regression, got {manifest.task}")

    def plan(
        self,
        cases: TrainingCases,
        settings: TrainingSettings,
        *,
        device: DeviceKind,
        progress: Progress,
        seconds: float | None = None,
    ) -> Planned[RegressionPlan]:
        """The given plan, or one from the training scans, with the asked changes."""
        _check_supported(settings)
        failures: tuple[Failure, ...] = ()
        if settings.plan is not None:
            if not settings.resume and (self.network or self.preset):
                raise ConfigError(
                    "network and preset must not be given beside a plan, which holds both",
                    remedy="leave them out, or the plan",
                )
            plan = load_plan_of(RegressionPlan, settings.plan)
        else:
            plan, failures = self._new_plan(cases, settings, device=device, progress=progress)
        plan = changed_plan(plan, settings)
        check_quantity_plan(plan, cases.manifest)
        return Planned(plan, failures)

    def _new_plan(
        self, cases: TrainingCases, settings: TrainingSettings, *, device: DeviceKind, progress: Progress
    ) -> tuple[RegressionPlan, tuple[Failure, ...]]:
        with progress.over_cases(len(cases.training), "plan") as on_done:
            fingerprint = take_quantity_fingerprint(
                cases.training,
                cases.manifest,
                cases.root,
                executor=threads(settings.workers),
                on_done=on_done,
            )
        plan = make_regression_plan(
            fingerprint,
            cases.manifest,
            device=device,
            spacing_mm=asked_spacing(settings),
            network=self.network or "unet",
            preset=self.preset,
        )
        return plan, fingerprint.scans.failures

    def prepare(
        self, cases: TrainingCases, plan: RegressionPlan, settings: TrainingSettings, *, progress: Progress
    ) -> Prepared[RegressionTask]:
        """Preprocessed cases in the store."""
        with progress.over_cases(len(cases.training) + len(cases.validation), "prepare") as on_done:
            training, validation = (
                prepare_values(
                    group,
                    cases.manifest,
                    cases.root,
                    config=plan.preprocess,
                    store=settings.store,
                    executor=threads(settings.workers),
                    on_done=on_done,
                )
                for group in (cases.training, cases.validation)
            )
        failures = (*training.failures, *validation.failures)
        if not training.cases:
            raise TrainingError(
                f"manifest {cases.manifest.name}: no training case could be prepared; {failures[0].reason}"
            )
        inputs = RegressionInputs(
            training=training.cases,
            validation=validation.cases,
            target=plan.targets,
            network=plan.network,
            config=plan.training,
            inference=plan.inference,
            device=torch_device(settings.device),
            folder=settings.out,
        )
        return Prepared(RegressionTask(inputs), failures, notes=_unknown_notes(training.cases, plan))

    def count_parameters(self, plan: RegressionPlan) -> int:
        """Trainable parameters of the network."""
        return count_parameters(build_network(plan.network))

    def readable(self, plan: RegressionPlan) -> dict[str, Any]:
        """Quantities, grid, patch, network and optimisation."""
        training = plan.training
        return {
            "quantities": ", ".join(f"{name} in {unit}" for name, unit in plan.targets.units.items()),
            "spacing_mm": size_text(spacing) if (spacing := plan.preprocess.spacing_mm) else "that of each scan",
            "patch": size_text(training.patch_size),
            "batch_size": training.batch_size,
            "network": plan.network.kind,
            "loss": training.loss,
            "learning_rate": f"{training.learning_rate:g}",
            "optimiser": training.optimiser,
            "seed": training.seed,
        }

    def save_card(
        self,
        folder: RunFolder,
        cases: TrainingCases,
        plan: RegressionPlan,
        task: RegressionTask,
        *,
        is_resumed: bool,
        run_id: str | None,
        cost: ModelCost | None = None,
    ) -> None:
        """Write `model/quantities.json`."""
        card = QuantityCard(
            medseg_version=__version__,
            dataset=f"{cases.manifest.name} {cases.manifest.version}",
            channels=cases.manifest.channels,
            targets=plan.targets,
            network=plan.network,
            preprocess=plan.preprocess,
            inference=plan.inference,
            trained_on=tuple(case.case_id for case in task.inputs.training),
            manifest_digest=manifest_digest(cases.manifest),
            plan_digest=plan_digest(plan),
            mlflow_run_id=run_id,
            cost=cost,
        )
        save_quantity_card(card, folder.model)

    def deliver(self, done: Finished[RegressionPlan, RegressionTask]) -> Delivered:
        """Validation tables, and their numbers in MLflow."""
        cost = model_cost(build_network(done.plan.network), done.plan, done.outcome, done.task.inputs.device)
        self.save_card(done.folder, done.cases, done.plan, done.task, is_resumed=True, run_id=done.run_id, cost=cost)
        rows: list[QuantityMetrics] = list(done.outcome.last.rows) if done.outcome.last else []
        summary = summarise_quantities(rows, patients={c.case_id: c.patient_id for c in done.cases.validation})
        measured = {row.case_id for row in rows}
        files = [done.folder.validation.with_suffix(".json")]
        write_quantity_summary(
            summary,
            files[0],
            contract=QuantityContract(),
            quantities=done.plan.targets.quantities,
            failures=done.failures,
            notes={
                "score": SCORE,
                "best_score_of_any_validation": done.outcome.best_score,
                "best_score_is_over_cases": done.outcome.compared_cases,
                "validation_cases": len(done.task.validation_cases),
                "not_measured": sorted({case.case_id for case in done.task.validation_cases} - measured),
                **unknown_note(rows),
            },
        )
        if rows:
            files.append(done.folder.validation.with_suffix(".csv"))
            write_quantity_metrics(rows, files[1])
        if done.run is not None:
            for file in files:
                done.run.log_file(file)
            if rows:
                done.run.log_table(quantity_columns(rows), "validation_cases.json")
                done.run.log_metrics(scoped_quantity_metrics(summary, "val"), step=done.outcome.steps)
        warnings = ("no MLflow model was logged: models of quantities have no form for it",) if done.run else ()
        more = len(done.task.validation_cases) - done.outcome.validated_cases
        unmeasured = (
            f"the validation is of {done.outcome.validated_cases} of {len(done.task.validation_cases)} cases, because "
            "the budget has no time for more; predict and evaluate measure all of them"
        )
        if rows and more > 0:
            warnings = (unmeasured, *warnings)
        return Delivered(summary, warnings, unknown_text(rows))


def _unknown_notes(cases: Sequence[StoredValues], plan: RegressionPlan) -> tuple[str, ...]:
    """What is not known in the training cases, for each quantity of which that is so."""
    shares = {name: [case.unknown[place] for case in cases] for place, name in enumerate(plan.targets.names)}
    return tuple(
        f"{fmean(of_one):.1%} of the voxels of {name} in {sum(share > 0 for share in of_one)} training case(s) are not "
        "known, and were not learned from"
        for name, of_one in shares.items()
        if any(of_one)
    )


def _check_supported(settings: TrainingSettings) -> None:
    """Refuse what only a training on labels can do.

    Raises:
        ConfigError: If it is asked for.
    """
    for name, value in (("update", settings.update), ("initial", settings.initial)):
        if value is not None:
            asked = "begin with the weights of another run" if name == "initial" else "update an earlier run"
            raise ConfigError(
                f"{name}: a training of quantities must begin with fresh weights, it cannot {asked}, got {value}",
                remedy="leave it out",
            )
