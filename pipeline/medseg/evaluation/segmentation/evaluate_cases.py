"""Compare a folder of masks with a manifest's labels on the scans' own grids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from medseg.cohort import SERIAL, Executor, run_cases
from medseg.errors import ScanError
from medseg.evaluation.segmentation.case_metrics import case_metrics
from medseg.evaluation.segmentation.contract import EvaluationContract
from medseg.evaluation.segmentation.ignored import without_ignored
from medseg.evaluation.segmentation.measure_case import check_new_names, with_own_metrics
from medseg.evaluation.segmentation.metric import Metric
from medseg.evaluation.segmentation.object_metrics import OBJECT_METRICS
from medseg.geometry import Geometry
from medseg.manifest import case_target, unannotated
from medseg.manifest.case_scans import check_named, check_same_grid, read_case_label, read_case_objects
from medseg.records import Case, CaseMetrics, Failure, Labelmap, Manifest, Mask
from medseg.scans import read_label
from medseg.targets.value_counts import holds

OTHER_MANIFEST = "evaluate with the manifest that the model was trained on"
_OTHER_NUMBERS = "number the structures of the second reading as the manifest does"
Drawer = Literal["model", "reader"]
MASK_SUFFIXES = (".nii.gz", ".png", ".nii", ".nrrd", ".mha", ".tif", ".tiff")  # ours first, then other programs'


def evaluate_cases(
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    masks: Path,
    contract: EvaluationContract | None = None,
    metrics: Mapping[str, Metric] | None = None,
    drawn_by: Drawer = "model",
    executor: Executor = SERIAL,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> tuple[list[CaseMetrics], list[Failure]]:
    """Metrics of every case with a mask and a label that can be read and share a grid.

    Args:
        cases: Cases to evaluate.
        manifest: Manifest of the cases.
        root: Data root.
        masks: Folder with a mask `<case_id>.nii.gz`, `.png` or of another format of labels for each case.
        contract: What is measured, and how; the default contract if not given.
        metrics: Metrics of the user's own by name.
        drawn_by: Who drew the masks; errors call them masks, or second readings of a reader.
        executor: Runner of the work on the cases.
        on_done: Called with the case id after each case.

    Returns:
        Metrics per case and structure, and the cases that failed.

    Raises:
        ConfigError: If the contract does not fit the manifest, or a metric has the name of another.
    """
    bound = bound_contract(contract or EvaluationContract(), manifest)
    known = [name for structure in bound.structures for name in bound.values_of(structure)]
    check_new_names([*known, *(OBJECT_METRICS if bound.objects else ())], metrics or {})
    common: dict[str, Any] = {
        "manifest": manifest,
        "root": root,
        "masks": masks,
        "contract": bound,
        "metrics": metrics or {},
    }
    evaluate = partial(_evaluate_case, **common, drawn_by=drawn_by)
    done = run_cases(cases, evaluate, stage="evaluate", executor=executor, on_done=on_done)
    return [row for rows in done.results for row in rows], list(done.failures)


def bound_contract(contract: EvaluationContract, manifest: Manifest, *, source: str = "contract") -> EvaluationContract:
    """The contract with the manifest's labels; numbered objects of a manifest are counted without being asked for.

    Where a manifest has regions, they alone are measured, unless the contract has labels or regions of its own.

    Args:
        contract: Contract as it was given.
        manifest: Dataset of the cases.
        source: Name of the contract's file, for messages.

    Raises:
        ConfigError: If it names labels, or values of labels, that the manifest does not have.
    """
    if manifest.instances and not contract.objects:
        contract = contract.model_copy(update={"objects": tuple(manifest.foreground)})
    if manifest.regions and contract.labels is None and not contract.regions:
        names = {value: name for name, value in manifest.labels.items()}
        regions = {name: tuple(names[value] for value in values) for name, values in manifest.regions.items()}
        contract = contract.model_copy(update={"regions": regions, "measured": "regions"})
    return contract.bound_to(manifest.foreground, source=source)


def _evaluate_case(
    case: Case,
    manifest: Manifest,
    root: Path,
    masks: Path,
    contract: EvaluationContract,
    metrics: Mapping[str, Metric],
    drawn_by: Drawer,
) -> list[CaseMetrics]:
    path = find_mask(masks, case.case_id)
    label, label_grid = read_case_label(case, manifest, root)
    mask, mask_grid = read_label(path, case_id=case.case_id)
    thing = "mask" if drawn_by == "model" else "second reading"
    remedy = OTHER_MANIFEST if drawn_by == "model" else _OTHER_NUMBERS
    check_same_grid(mask_grid, label_grid, case_id=case.case_id, thing=thing, reference="label")
    check_named(mask, manifest, path, case_id=case.case_id, thing=thing, remedy=remedy)
    target = case_target(case, manifest)
    ignored = target.ignored(label)
    if ignored is not None and drawn_by == "reader":
        ignored |= mask == target.ignore  # what either reader has left out
    objects = read_case_objects(case, manifest, root)
    maps = LabelPair(label, mask, label_grid, ignored)
    return measure_maps(maps, case, manifest, contract=contract, metrics=metrics, objects=objects)


class LabelPair(NamedTuple):
    """Two label maps of a case on one grid.

    Attributes:
        label: The one that is taken for the reference.
        mask: The other.
        grid: Grid of both.
        ignored: Voxels that do not count, `(I, J, K)`; None where all count.
    """

    label: Labelmap
    mask: Labelmap
    grid: Geometry
    ignored: Mask | None


def measure_maps(
    maps: LabelPair,
    case: Case,
    manifest: Manifest,
    *,
    contract: EvaluationContract,
    metrics: Mapping[str, Metric],
    objects: Labelmap | None = None,
) -> list[CaseMetrics]:
    """Metrics of every structure that the case annotates.

    Args:
        maps: The label maps.
        case: Case of both.
        manifest: Manifest of the case.
        contract: Contract with the manifest's labels, from `bound_contract`.
        metrics: Metrics of the user's own by name.
        objects: Numbered objects of the reference, where the manifest has instances.
    """
    label, mask, grid, ignored = maps
    if ignored is not None:
        label, mask = (np.where(ignored, array.dtype.type(0), array) for array in (label, mask))
    rows = case_metrics(label, mask, grid, contract, case_id=case.case_id, objects=objects)
    if ignored is not None:
        rows = [without_ignored(row, ignored) for row in rows]
    rows = _of_annotated(rows, case, manifest, contract)
    if not metrics:
        return rows

    def with_own(row: CaseMetrics) -> CaseMetrics:
        values = contract.structures[row.label]
        return with_own_metrics(row, holds(label, values), holds(mask, values), grid.spacing_mm, metrics)

    return [with_own(row) for row in rows]


def _of_annotated(
    rows: list[CaseMetrics], case: Case, manifest: Manifest, contract: EvaluationContract
) -> list[CaseMetrics]:
    """The rows without those of structures that the annotated ones do not decide.

    A value may stand in the label for another one of the same annotated structures, such as for a core inside of the
    whole: what holds the one and not the other was not annotated.
    """
    others = unannotated(case, manifest)
    if not others:
        return rows
    parts = manifest.regions or {name: (value,) for name, value in manifest.foreground.items()}
    known = [set(values) for name, values in parts.items() if name not in others]
    found = {value: tuple(value in values for values in known) for value in manifest.labels.values()}
    exact = contract.structures

    def is_known(values: Sequence[int]) -> bool:
        inside = {found[value] for value in values}
        return all((value in values) == (found[value] in inside) for value in found)

    return [row for row in rows if is_known(exact[row.label])]


def find_mask(masks: Path, case_id: str) -> Path:
    """The mask of a case.

    Raises:
        ScanError: If there is none.
    """
    if (path := existing_mask(masks, case_id)) is not None:
        return path
    fact = f"a mask must lie in {masks.name}, found none"
    raise ScanError(fact, remedy="run predict on this case first", case_id=case_id)


def existing_mask(masks: Path, case_id: str) -> Path | None:
    """The mask of a case; None if there is none."""
    paths = (masks / f"{case_id}{suffix}" for suffix in MASK_SUFFIXES)
    return next((path for path in paths if path.is_file()), None)
