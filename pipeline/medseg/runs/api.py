"""The few functions that a notebook or a program starts from, with plain arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medseg.configuration import parse_config, read_yaml
from medseg.inference.regression.record import is_quantity_folder
from medseg.planning import NetworkName, PresetName
from medseg.records import Split
from medseg.runs.classification.job import ClassificationJob
from medseg.runs.classification.settings import ClassificationSettings
from medseg.runs.evaluate import evaluate_dataset
from medseg.runs.machine import DeviceName
from medseg.runs.predict_inputs import predict_inputs
from medseg.runs.progress import Progress
from medseg.runs.regression.deliver import QuantityDelivery, deliver_quantities
from medseg.runs.regression.evaluate import QuantityEvaluation
from medseg.runs.regression.predict import QuantityResult
from medseg.runs.report import ReportResult, report_run
from medseg.runs.search.search import SearchResult, search_plan
from medseg.runs.search.settings import SearchSettings
from medseg.runs.search.space import SearchSpace
from medseg.runs.segmentation.adopt import AdoptResult, AdoptSettings, adopt_model
from medseg.runs.segmentation.choice import ChoiceResult, ChooseSettings, choose_model
from medseg.runs.segmentation.compare import CompareSettings, ComparisonResult, compare_evaluations
from medseg.runs.segmentation.deliver import DeliverResult, DeliverSettings, deliver_masks
from medseg.runs.segmentation.evaluate import EvaluateResult, EvaluateSettings
from medseg.runs.segmentation.job import GridKind
from medseg.runs.segmentation.package import PackageResult, PackageSettings, package_models
from medseg.runs.segmentation.predict import PredictResult, PredictSettings
from medseg.runs.segmentation.promote import PromoteSettings, Promotion, promote_model
from medseg.runs.segmentation.watch import Batch, WatchSettings, watch_folder
from medseg.runs.settings import TrainingSettings
from medseg.runs.tracking import Tracking
from medseg.runs.train import TrainResult, train_job
from medseg.runs.train_dataset import train_dataset
from medseg.targets import HeadLevel
from medseg.training.engine import Attach
from medseg.training.segmentation import SegmentationParts

AnyPath = str | Path


def train(
    dataset: AnyPath,
    *,
    out: AnyPath,
    fold: int | str = 0,
    budget: str | None = None,
    epochs: int | None = None,
    config: AnyPath | Mapping[str, Any] | None = None,
    init: AnyPath | None = None,
    parts: SegmentationParts | None = None,
    grid: GridKind = "budget",
    network: NetworkName | None = None,
    preset: PresetName | None = None,
    head: HeadLevel | None = None,
    progress: Progress | None = None,
    tracking: AnyPath | bool = True,
    **settings: Any,
) -> TrainResult:
    """Train a network of masks, or of quantities where the dataset names some; plan and model end up in `out`.

    Args:
        dataset: A `dataset.json`, a Decathlon or nnU-Net file, or the folder that holds one.
        out: Folder of the run, new or empty.
        fold: Validation fold, `all` to train on every case, or `all-folds` to train every fold in turn, each in a
            folder of its own, with the numbers over all their validation cases.
        budget: Wall clock for the whole work, such as `10m`; excludes `epochs`.
        epochs: Length in epochs; the plan's if neither is given.
        config: Settings of the plan to change, as a mapping or a YAML file.
        init: Earlier run to fine-tune: its folder, its model folder, or a file of weights in it. The network keeps its
            shape; weights are taken by the names of labels and channels, and the notes say what was taken.
        parts: Network, loss, transform, metrics and handlers of your own.
        grid: `budget` for the grid on which a wall-clock budget is expected to lose least, `scans` for the scans' own.
        network: Name of the network to plan: `unet` (medseg's own, if not given), `unet_2015` (pictures only),
            `dynunet`, `segresnet` or `swinunetr`; a network of your own goes into `parts`.
        preset: Sizes of network, patch and batch by name: `nano`, `S`, `M`, `L` or `XL`; the device decides if not
            given.
        head: What a head on the same encoder classifies beside the masks, each `slice` or the whole `study`; masks
            alone if not given.
        progress: Follows the work; nothing if not given.
        tracking: MLflow store; True for MLflow's own choice, False for none.
        settings: Further fields of `medseg.runs.settings.TrainingSettings`, such as `seed`, `device`, `resume`, or
            `update`, a finished run that learns new and corrected cases without forgetting its own.

    Returns:
        The run's folder, the summary of its validation, failed cases and warnings.

    Raises:
        PipelineError: If the dataset or a setting is wrong, no case is left, or training cannot go on.
    """
    asked = TrainingSettings(
        out=Path(out),
        fold=str(fold),
        budget=budget,
        epochs=epochs,
        initial=Path(init) if init is not None else None,
        tracking=_tracking(tracking),
        **_changes(config),
        **_with_paths(settings),
    )
    return train_dataset(
        Path(dataset), asked, parts=parts, grid=grid, network=network, preset=preset, head=head, progress=progress
    )


def search(
    dataset: AnyPath,
    *,
    out: AnyPath,
    budget: str | None = None,
    trials: int | None = None,
    space: AnyPath | Mapping[str, Any] | None = None,
    fold: int | str = 0,
    config: AnyPath | Mapping[str, Any] | None = None,
    parts: SegmentationParts | None = None,
    progress: Progress | None = None,
    tracking: AnyPath | bool = True,
    **settings: Any,
) -> SearchResult:
    """Search for settings that do better than the plan, by whole short trainings; or join a search as a worker.

    Args:
        dataset: A `dataset.json`, a Decathlon or nnU-Net file, or the folder that holds one.
        out: Folder of the search, which every worker must see; one that was begun is joined.
        budget: Wall clock of the whole search, such as `4h`.
        trials: Number of trials, the first of which is the plan as it is.
        space: What the trials may change, as a mapping or a YAML file of `medseg.runs.search.space.SearchSpace`.
        fold: Validation fold, on whose cases trials are held against each other.
        config: Settings of the plan to change in every trial, as a mapping or a YAML file.
        parts: Network, loss, transform, metrics and handlers of your own, for every trial.
        progress: Follows the work; nothing if not given.
        tracking: MLflow store; True for MLflow's own choice, False for none.
        settings: Further fields of `medseg.runs.search.settings.SearchSettings`, such as `storage` or `trial_budget`.

    Returns:
        Every trial, the best against the plan, and the plan to train with: that of the search, unless another is
        better beyond chance.

    Raises:
        PipelineError: If the dataset or a setting is wrong, or no trial could be trained.
    """
    if space is not None:
        content = dict(space) if isinstance(space, Mapping) else read_yaml(Path(space), what="space")
        settings["space"] = parse_config(SearchSpace, content, source="space")
    asked = SearchSettings(
        out=Path(out),
        budget=budget,
        trials=trials,
        fold=str(fold),
        tracking=_tracking(tracking),
        **_changes(config),
        **_with_paths(settings),
    )
    return search_plan(Path(dataset), asked, parts=parts, progress=progress)


def train_classifier(
    dataset: AnyPath,
    *,
    out: AnyPath,
    plane: str = "axial",
    fold: int | str = 0,
    budget: str | None = None,
    epochs: int | None = None,
    config: AnyPath | Mapping[str, Any] | None = None,
    attach: Sequence[Attach] = (),
    progress: Progress | None = None,
    tracking: AnyPath | bool = True,
    **settings: Any,
) -> TrainResult:
    """Train a slice classifier, whose plan, store and model end up in `out`.

    Args:
        dataset: A `dataset.json`, a Decathlon or nnU-Net file, or the folder that holds one.
        out: Folder of the run, new or empty.
        plane: Plane of the slices: axial, coronal or sagittal.
        fold: Validation fold, or `all` to train on every case.
        budget: Wall clock for the whole work, such as `10m`; excludes `epochs`.
        epochs: Length in epochs; the plan's if neither is given.
        config: Settings of the plan to change, as a mapping or a YAML file.
        attach: Functions that attach handlers of your own to the training's engines.
        progress: Follows the work; nothing if not given.
        tracking: MLflow store; True for MLflow's own choice, False for none.
        settings: Further fields of `medseg.runs.classification.settings.ClassificationSettings`.

    Raises:
        PipelineError: If the dataset or a setting is wrong, no case is left, or training cannot continue.
    """
    asked = ClassificationSettings(
        out=Path(out),
        plane=plane,
        fold=str(fold),
        budget=budget,
        epochs=epochs,
        tracking=_tracking(tracking),
        **_changes(config),
        **_with_paths(settings),
    )
    return train_job(ClassificationJob(asked, attach=attach), Path(dataset), asked, progress=progress)


def adopt(
    folder: AnyPath, *, out: AnyPath, folds: Sequence[str | int] | None = None, mirroring: bool = True, **settings: Any
) -> AdoptResult:
    """Turn a trained nnU-Net v2 model folder into a run, which draws masks like any other.

    Args:
        folder: Folder with plans.json, dataset.json and `fold_*/checkpoint_*.pth`; nothing in it is executed.
        out: Folder of the run, new or empty.
        folds: Folds whose outputs are averaged; all numbered ones if not given.
        mirroring: Whether mirrored copies are averaged along the axes that the training allows.
        settings: Further fields of `medseg.runs.segmentation.adopt.AdoptSettings`, such as `step` or `checkpoint`.

    Returns:
        The run's folder, its card, and notes.

    Raises:
        PipelineError: If the folder is incomplete, its model is not one of nnU-Net's own, or the output folder holds
            something.
    """
    names = None if folds is None else tuple(str(fold) for fold in folds)
    asked = AdoptSettings(folds=names, mirroring=mirroring, **_with_paths(settings))
    return adopt_model(Path(folder), Path(out), asked)


def predict(
    run: AnyPath | Sequence[AnyPath],
    inputs: AnyPath | Sequence[AnyPath],
    *,
    out: AnyPath,
    fold: int | None = None,
    split: Split | None = None,
    device: DeviceName = "auto",
    progress: Progress | None = None,
    **settings: Any,
) -> PredictResult | QuantityResult:
    """Write a mask, or quantities, on the scan's own grid for every case, as the model is made for.

    Args:
        run: Folder of a training, that of a training of all folds, or the address of a registered model such as
            `models:/livers@clinical`; several draw one mask together.
        inputs: A manifest or its folder, or files and folders of scans, DICOM among them.
        out: Folder of the masks: new, empty, or of an earlier prediction with the same models and choices, of which
            what is finished and unchanged is kept.
        fold: Fold of a manifest whose validation cases are wanted.
        split: Split of a manifest that is wanted.
        device: Device of the network.
        progress: Follows the work; nothing if not given.
        settings: Further fields of `medseg.runs.segmentation.predict.PredictSettings`, such as `gate`.

    Returns:
        One record per mask, or per case of quantities, failed cases and warnings.

    Raises:
        PipelineError: If a model or the inputs cannot be used, or the output folder holds something else.
    """
    asked = PredictSettings(out=Path(out), fold=fold, split=split, device=device, **_with_paths(settings))
    paths = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    runs = [run] if isinstance(run, str | Path) else list(run)
    return predict_inputs(runs, [Path(path) for path in paths], asked, progress=progress)


def watch(
    run: AnyPath | Sequence[AnyPath], inbox: AnyPath, *, out: AnyPath, once: bool = True, **settings: Any
) -> Batch:
    """Draw a mask of every study that arrives in a folder, each once.

    Args:
        run: Run or runs, as for `predict`.
        inbox: Folder in which scans arrive: files, and folders of files such as DICOM studies.
        out: Folder of the masks, as for `predict`.
        once: Whether to end once everything that is there is done; if not, it goes on for ever.
        settings: Further fields of `medseg.runs.segmentation.watch.WatchSettings`, such as `settle_s`, or of
            `medseg.runs.segmentation.predict.PredictSettings`, such as `device`.

    Returns:
        Failures that are not mended, and what is not complete.

    Raises:
        PipelineError: If a model or the inbox cannot be used, or the output folder holds something else.
    """
    own = {name: settings.pop(name) for name in ("settle_s", "every_s", "marker") if name in settings}
    predict = PredictSettings(out=Path(out), **_with_paths(settings))
    runs = [run] if isinstance(run, str | Path) else list(run)
    return watch_folder(runs, Path(inbox), WatchSettings(predict=predict, is_lasting=not once, **own))


def evaluate(
    dataset: AnyPath,
    *,
    masks: AnyPath,
    out: AnyPath,
    fold: int | None = None,
    split: Split | None = None,
    progress: Progress | None = None,
    tracking: AnyPath | bool = True,
    **settings: Any,
) -> EvaluateResult | QuantityEvaluation:
    """Measure masks, or predicted quantities where the dataset is of a regression, on the scans' own grids.

    Args:
        dataset: A `dataset.json` or the folder that holds one.
        masks: Folder that `predict` wrote, of masks or of volumes of quantities.
        out: Folder of the tables, new or empty.
        fold: Fold whose validation cases are measured.
        split: Split that is measured; all cases with a reference if neither is given.
        progress: Follows the work; nothing if not given.
        tracking: MLflow store; True for MLflow's own choice, False for none.
        settings: Further fields of `medseg.runs.segmentation.evaluate.EvaluateSettings`, such as `contract`,
            or `rater`, a folder of a second reader's labels.

    Returns:
        Metrics per case and label, or per case, quantity and structure; their summary, failed cases and warnings.

    Raises:
        PipelineError: If the dataset cannot be used, or the output folder holds something.
    """
    asked = EvaluateSettings(
        masks=Path(masks), out=Path(out), fold=fold, split=split, tracking=_tracking(tracking), **_with_paths(settings)
    )
    return evaluate_dataset(Path(dataset), asked, progress=progress)


def promote(
    evaluation: AnyPath, *, alias: str = "candidate", against: AnyPath | None = None, **settings: Any
) -> Promotion:
    """Register the model of an evaluation, and let an alias such as `clinical` name it.

    Args:
        evaluation: Folder that `evaluate` wrote, of masks that the model drew.
        alias: Name of its use.
        against: Evaluation of the model that has the alias now; needed if there is one.
        settings: Further fields of `medseg.runs.segmentation.promote.PromoteSettings`, such as `margin` or
            `tracking_uri`.

    Returns:
        The registered version, the one it replaced, and how they compare.

    Raises:
        PipelineError: If the evaluation does not show that the model is no worse than the one in use.
    """
    earlier = None if against is None else Path(against)
    return promote_model(Path(evaluation), PromoteSettings(alias=alias, against=earlier, **settings))


def deliver(
    masks: AnyPath,
    *,
    out: AnyPath,
    forms: Sequence[str] | None = None,
    sources: Sequence[AnyPath] = (),
    pseudonyms: AnyPath | None = None,
    cases: Sequence[str] = (),
    progress: Progress | None = None,
) -> DeliverResult | QuantityDelivery:
    """Write masks or quantities in the forms of viewers, archives and people, each read back by independent libraries.

    Args:
        masks: Folder that `predict` wrote.
        out: Target folder, with a folder for each case.
        forms: Names such as `nifti`, `seg-nrrd`, `seg`, `rtstruct`, `csv`, `sr` and `pdf`; those that fit each case if
            not given. Of quantities `nifti` and, for doses of DICOM series, `rtdose`.
        sources: Folders in which the scans are looked for, if they are not where the prediction read them.
        pseudonyms: Private table of the prediction, if its ids are pseudonyms.
        cases: Ids of the cases to deliver; all if not given.
        progress: Follows the work; nothing if not given.

    Returns:
        Delivered cases, those of masks with their certificates, and failures.

    Raises:
        PipelineError: If the folder of masks, a form or a case is wrong.
    """
    settings = DeliverSettings(
        out=Path(out),
        forms=tuple(forms) if forms is not None else None,
        sources=tuple(map(Path, sources)),
        pseudonyms=Path(pseudonyms) if pseudonyms is not None else None,
        cases=tuple(cases),
    )
    if is_quantity_folder(Path(masks)):
        return deliver_quantities(Path(masks), settings, progress=progress)
    return deliver_masks(Path(masks), settings, progress=progress)


def package(
    run: AnyPath | Sequence[AnyPath], *, out: AnyPath, check_on: Sequence[AnyPath] = (), **settings: Any
) -> PackageResult:
    """Package models for programs: a servable MLflow model, a MONAI bundle, and ONNX.

    Args:
        run: Run or runs, as for `predict`.
        out: Folder of the package, new or empty.
        check_on: Scans on whose masks bfloat16 and float32 are compared; noise if not given.
        settings: Further fields of `medseg.runs.segmentation.package.PackageSettings`, such as `forms` or `precision`.

    Returns:
        The package's folders, its card, and warnings.

    Raises:
        PipelineError: If a model cannot be used, a package that a form needs is missing, or the output folder holds
            something.
    """
    runs = [run] if isinstance(run, str | Path) else run
    asked = PackageSettings(out=Path(out), check_on=tuple(map(Path, check_on)), **settings)
    return package_models(list(runs), asked)


def compare(
    evaluations: Sequence[AnyPath],
    *,
    out: AnyPath,
    metric: str = "dice",
    names: Sequence[str] | None = None,
    dataset: AnyPath | None = None,
    masks: Sequence[AnyPath] = (),
    data_root: AnyPath | None = None,
    progress: Progress | None = None,
    tracking: AnyPath | bool = True,
) -> ComparisonResult:
    """Hold evaluations against the first one, case by case.

    Args:
        evaluations: Folders that `evaluate` wrote, at least two.
        out: Folder of the tables and the page, new or empty.
        metric: Metric that is drawn and by which cases are ranked.
        names: Name of each evaluation; the folders' if not given.
        dataset: Dataset of the evaluations; with it and the masks, every worst case has a picture from each of them.
        masks: Folder of the masks of each evaluation, in their order.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        progress: Follows the work; nothing if not given.
        tracking: MLflow store, in which the runs of the evaluations show the page; True for MLflow's own choice, False
            for none.

    Returns:
        Summaries, paired differences with intervals and tests, and warnings.

    Raises:
        PipelineError: If tables cannot be read, contracts differ, or there is no common case.
    """
    asked = CompareSettings(
        out=Path(out),
        metric=metric,
        names=names,
        dataset=None if dataset is None else Path(dataset),
        masks=tuple(Path(folder) for folder in masks),
        data_root=None if data_root is None else Path(data_root),
        tracking=_tracking(tracking),
    )
    return compare_evaluations([Path(folder) for folder in evaluations], asked, progress=progress)


def choose(
    dataset: AnyPath,
    folds: AnyPath | Sequence[AnyPath],
    *,
    out: AnyPath,
    progress: Progress | None = None,
    tracking: AnyPath | bool = True,
    **settings: Any,
) -> ChoiceResult:
    """Choose configuration, ensemble and postprocessing among trainings of all folds, each only if it is better.

    Args:
        dataset: Dataset of the trainings.
        folds: Trainings of all folds with the same split, the one first that stays where none is better.
        out: Folder of the chosen model and its page; of a choice that was stopped, it is continued.
        progress: Follows the work; nothing if not given.
        tracking: MLflow store; True for MLflow's own choice, False for none.
        settings: Further fields of `medseg.runs.segmentation.choice.ChooseSettings`, such as `names` or `device`.

    Returns:
        The folder of the model, its card, and everything that was tried.

    Raises:
        PipelineError: If dataset or trainings cannot be used or do not fit each other, or no case is left.
    """
    several = [folds] if isinstance(folds, str | Path) else folds
    asked = ChooseSettings(out=Path(out), tracking=_tracking(tracking), **_with_paths(settings))
    return choose_model(Path(dataset), [Path(folder) for folder in several], asked, progress=progress)


def report(
    run: AnyPath,
    *,
    out: AnyPath,
    evaluations: Sequence[AnyPath] = (),
    dataset: AnyPath | None = None,
    data_root: AnyPath | None = None,
    with_pdf: bool = False,
    tracking: AnyPath | bool = True,
) -> ReportResult:
    """Write a run as one page with its plan, curves, results and limits, and its model card.

    Args:
        run: Folder of a training.
        out: Folder of the report, new or empty.
        evaluations: Folders that `evaluate` wrote for the run's masks.
        dataset: Dataset that the run was trained on, for patients, sites, scanners, licence and source.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        with_pdf: Whether the page is written as PDF, too.
        tracking: MLflow store, in which the run shows the page; True for that of the training, False for none.

    Returns:
        The written files, what is missing, and warnings.

    Raises:
        PipelineError: If the run, an evaluation or the dataset cannot be used, or the output folder holds something.
    """
    return report_run(
        Path(run),
        Path(out),
        evaluations=[Path(folder) for folder in evaluations],
        dataset=Path(dataset) if dataset is not None else None,
        data_root=Path(data_root) if data_root is not None else None,
        with_pdf=with_pdf,
        tracking=_tracking(tracking),
    )


def _tracking(tracking: AnyPath | bool | None) -> Tracking:
    if tracking is None or isinstance(tracking, bool):
        return Tracking(is_on=bool(tracking))
    return Tracking(uri=str(tracking))


def _changes(config: AnyPath | Mapping[str, Any] | None) -> dict[str, Any]:
    if config is None:
        return {}
    if isinstance(config, Mapping):
        return {"changes": config, "changes_name": "the given settings"}
    return {"changes": read_yaml(Path(config)), "changes_name": f"settings {Path(config).name}"}


_PATHS = (
    "plan",
    "store",
    "data_root",
    "initial",
    "update",
    "gate",
    "check",
    "contract",
    "rater",
    "pseudonyms",
    "previous",
    "sample",
)


def _with_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Paths may be given as text."""
    return {key: Path(value) if key in _PATHS and isinstance(value, str) else value for key, value in settings.items()}
