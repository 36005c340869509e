"""Compare a folder of predicted volumes with a manifest's quantities on the scans' own grids."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from medseg.cohort import SERIAL, Executor, run_cases
from medseg.errors import ScanError
from medseg.evaluation.regression.contract import QuantityContract
from medseg.evaluation.regression.measure_case import Structures, measure_quantity
from medseg.evaluation.regression.quantity_row import QuantityMetrics
from medseg.geometry import Geometry
from medseg.manifest import case_target, read_case_label, read_case_quantities
from medseg.manifest.case_scans import check_same_grid
from medseg.records import Array, Case, Failure, Manifest, Mask
from medseg.scans import read_grid, read_quantity
from medseg.targets import LabelMap

MAP_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")  # ours first, then other programs'
_SIDECAR_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class MeasuredQuantities:
    """Measured cases.

    Attributes:
        rows: Metrics per case, quantity and part.
        failures: Cases that could not be measured, with the reasons.
        without_unit: Cases by the quantity whose file says no unit.
    """

    rows: tuple[QuantityMetrics, ...]
    failures: tuple[Failure, ...]
    without_unit: dict[str, tuple[str, ...]]


def evaluate_quantity_cases(
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    maps: Path,
    contract: QuantityContract,
    executor: Executor = SERIAL,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> MeasuredQuantities:
    """Metrics of every case whose quantities and predicted volumes can be read and share a grid.

    Args:
        cases: Cases to measure.
        manifest: Dataset that names the quantities.
        root: Folder that the manifest's paths are relative to.
        maps: Folder that holds `<quantity>/<case_id>.nii.gz`.
        contract: What is measured.
        executor: Executor that measures the cases.
        on_done: Called with the case id after each case.
    """
    measure = partial(_measure_case, manifest=manifest, root=root, maps=maps, contract=contract)
    done = run_cases(cases, measure, stage="evaluate", executor=executor, on_done=on_done)
    found = done.by_id()
    without = {
        name: tuple(case_id for case_id, one in found.items() if name in one.without_unit)
        for name in manifest.quantities or {}
    }
    rows = tuple(row for one in found.values() for row in one.rows)
    return MeasuredQuantities(rows, done.failures, {name: ids for name, ids in without.items() if ids})


@dataclass(frozen=True, slots=True)
class _MeasuredCase:
    rows: tuple[QuantityMetrics, ...]
    without_unit: tuple[str, ...]


def _measure_case(
    case: Case, *, manifest: Manifest, root: Path, maps: Path, contract: QuantityContract
) -> _MeasuredCase:
    wanted = manifest.quantities or {}
    files = {name: find_map(maps, name, case.case_id) for name in wanted}
    without = []
    for name, quantity in wanted.items():
        if not _states_unit(files[name], name, quantity.unit, case_id=case.case_id):
            without.append(name)
    grid = read_grid(root / case.images[0], case_id=case.case_id).geometry
    values = read_case_quantities(case, manifest, root, grid=grid)
    structures = case_structures(case, manifest, root, grid=grid)
    rows: list[QuantityMetrics] = []
    for place, (name, quantity) in enumerate(wanted.items()):
        rows += measure_quantity(
            values[place],
            read_map(files[name], name, grid=grid, case_id=case.case_id),
            name=name,
            quantity=quantity,
            case_id=case.case_id,
            spacing_mm=grid.spacing_mm,
            structures=structures,
            contract=contract,
        )
    return _MeasuredCase(tuple(rows), tuple(without))


def read_map(path: Path, quantity: str, *, grid: Geometry, case_id: str) -> Array:
    """Read the predicted values of a quantity.

    Args:
        path: File of the values.
        quantity: Name of the quantity.
        grid: Grid of the reference.
        case_id: Id of the case.

    Returns:
        float32 of shape `(I, J, K)`, all finite.

    Raises:
        ScanError: If the file cannot be read, or a value is NaN or infinite.
        GeometryError: If it lies on another grid.
    """
    values, found = read_quantity(path, case_id=case_id)
    thing = f"predicted {quantity}"
    check_same_grid(found, grid, case_id=case_id, thing=thing, reference="reference", by="linear interpolation")
    bad = values.size - int(np.count_nonzero(np.isfinite(values)))
    if bad:
        raise ScanError(
            f"{thing} must hold finite values, got {bad} NaN or infinite voxels",
            remedy="predict this case again",
            case_id=case_id,
        )
    return values


def find_map(maps: Path, quantity: str, case_id: str) -> Path:
    """The file of a case's predicted values.

    Raises:
        ScanError: If there is none.
    """
    paths = (maps / quantity / f"{case_id}{suffix}" for suffix in MAP_SUFFIXES)
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        fact = f"predicted {quantity} must lie in {maps.name}/{quantity}, found none"
        raise ScanError(fact, remedy="run predict on this case first", case_id=case_id)
    return found


def case_structures(case: Case, manifest: Manifest, root: Path, *, grid: Geometry) -> Structures:
    """The structures of a case in which its quantities are measured; empty without a label.

    Raises:
        ScanError: If the label cannot be read, or holds a value that the manifest does not name.
        GeometryError: If it lies on another grid.
    """
    if case.label is None:
        return {}
    label, found = read_case_label(case, manifest, root)
    check_same_grid(found, grid, case_id=case.case_id, thing="label", reference="quantities")
    target = case_target(case, manifest)
    return {name: partial(_shows, target, label, name) for name in target.structures}


def _shows(target: LabelMap, label: Array, name: str) -> Mask:
    return target.shows(label, name)


def _states_unit(path: Path, quantity: str, unit: str, *, case_id: str) -> bool:
    """Whether the file beside predicted values names their unit.

    Raises:
        ScanError: If it is another than the manifest's.
    """
    stem = next(path.name.removesuffix(suffix) for suffix in MAP_SUFFIXES if path.name.endswith(suffix))
    sidecar = path.with_name(f"{stem}{_SIDECAR_SUFFIX}")
    if not sidecar.is_file():
        return False
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        fact = f"{sidecar.name} beside predicted {quantity} must be JSON, got: {error}"
        raise ScanError(fact, remedy="predict this case again", case_id=case_id) from error
    stated = content.get("unit") if isinstance(content, dict) else None
    if stated is None:
        return False
    if stated != unit:
        raise ScanError(
            f"predicted {quantity} must be in {unit}, as the manifest says, got {stated!r}",
            remedy="convert the values, or correct the unit in the manifest",
            case_id=case_id,
        )
    return True
