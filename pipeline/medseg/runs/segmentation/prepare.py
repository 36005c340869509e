"""Cases prepared for a training before it begins, so that it finds them in the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medseg.atomic import check_writable
from medseg.manifest import load_manifest, require_no_quantities, select_cases
from medseg.planning import load_plan
from medseg.planning.raters import as_learned
from medseg.preprocess.segmentation.prepare import fill_store
from medseg.records import Failure
from medseg.runs.cluster import case_executor
from medseg.runs.machine import threads
from medseg.runs.progress import Progress, Silence


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareSettings:
    """Choices of a preparation.

    Attributes:
        plan: File of the plan that the training will be given.
        store: Folder of prepared cases.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        workers: Threads that read scans, or processes on a cluster.
        cluster: Cluster that prepares the cases: `local`, `auto`, or host and port of its head; this process if not
            given.
    """

    plan: Path
    store: Path = Path("medseg_store")
    data_root: Path | None = None
    workers: int | None = None
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class PrepareResult:
    """Prepared cases.

    Attributes:
        store: Folder that holds them.
        case_ids: Ids of the cases.
        failures: Cases that could not be prepared, with the reasons.
    """

    store: Path
    case_ids: tuple[str, ...]
    failures: tuple[Failure, ...]


def prepare_dataset(dataset: Path, settings: PrepareSettings, *, progress: Progress | None = None) -> PrepareResult:
    """Prepare every training case with a label, of all folds, as a training by the same plan would.

    Args:
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the dataset, the plan or the cluster cannot be used.
    """
    manifest, root = load_manifest(dataset, data_root=settings.data_root)
    require_no_quantities(manifest, "cases prepared beforehand")
    plan = load_plan(settings.plan)
    cases = select_cases(manifest, split="training", is_labelled=True)
    store, here, workers = check_writable(settings.store, option="store"), threads(settings.workers), settings.workers
    with (
        case_executor(settings.cluster, here=here, out=store, folders=[root], workers=workers) as executor,
        (progress or Silence()).over_cases(len(cases), "prepare") as on_done,
    ):
        done = fill_store(
            cases,
            as_learned(manifest, plan),
            root,
            config=plan.preprocess,
            store=store,
            executor=executor,
            on_done=on_done,
        )
    return PrepareResult(store, done.case_ids, done.failures)
