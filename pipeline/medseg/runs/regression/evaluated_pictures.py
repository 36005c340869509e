"""Pictures and charts of the cases that represent predicted quantities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.cohort import CASE_ERRORS
from medseg.delivery.regression import ShownPicture, save_dvh_chart, save_volume_picture
from medseg.evaluation.regression import (
    QuantityMetrics,
    find_map,
    read_map,
    representative_volumes,
    shown,
)
from medseg.manifest import read_case_quantities
from medseg.quantity import Quantity
from medseg.records import Case, Manifest, reason_of
from medseg.scans import read_grid


def draw_evaluation(
    rows: Sequence[QuantityMetrics],
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    maps: Path,
    folder: Path,
) -> tuple[list[ShownPicture], tuple[str, ...]]:
    """Draw the worst, the median and the best case of every quantity, and the histograms of every case with a dose.

    Args:
        rows: Metrics per case, quantity and part.
        cases: Cases that were measured.
        manifest: Dataset of the cases.
        root: Folder that the manifest's paths are relative to.
        maps: Folder of the predicted values.
        folder: Folder that gets `pictures/` and `dvh/`.

    Returns:
        What a page shows, case by case: pictures, each with its chart; and a warning for each that was not drawn.
    """
    by_id = {case.case_id: case for case in cases}
    pages: list[ShownPicture] = []
    warnings: list[str] = []
    for name, quantity in (manifest.quantities or {}).items():
        charts, undrawn = _draw_charts([row for row in rows if row.quantity == name], name, quantity, folder / "dvh")
        warnings += undrawn
        for place, row in sorted(representative_volumes(rows, name).items(), key=lambda item: _ORDER[item[0]]):
            title = f"{name}, {place} case {row.case_id}, MAE {shown(row.values['mae'])} {quantity.unit}"
            path = folder / "pictures" / f"{name}_{place}_{row.case_id}.png"
            try:
                _draw_case(by_id[row.case_id], manifest, root, maps, path, name=name, title=title)
                pages.append(ShownPicture(title, path))
            except CASE_ERRORS as error:
                warnings.append(f"no picture of the {place} case: {reason_of(error)}")
            if row.case_id in charts:
                pages.append(ShownPicture(f"{name}, dose–volume histograms of case {row.case_id}", charts[row.case_id]))
    return pages, tuple(warnings)


_ORDER = {"worst": 0, "median": 1, "best": 2}


def _draw_case(case: Case, manifest: Manifest, root: Path, maps: Path, path: Path, *, name: str, title: str) -> None:
    quantities = manifest.quantities or {}
    grid = read_grid(root / case.images[0], case_id=case.case_id).geometry
    reference = read_case_quantities(case, manifest, root, grid=grid)[list(quantities).index(name)]
    predicted = read_map(find_map(maps, name, case.case_id), name, grid=grid, case_id=case.case_id)
    save_volume_picture(reference, predicted, grid, path, quantity=quantities[name], title=title)


def _draw_charts(
    rows: Sequence[QuantityMetrics], name: str, quantity: Quantity, folder: Path
) -> tuple[dict[str, Path], list[str]]:
    """Charts by case id of the cases that have histograms, and a warning for each that was not drawn."""
    charts, warnings = {}, []
    for case_id in dict.fromkeys(row.case_id for row in rows if row.dose is not None and row.voxels):
        path = folder / f"{name}_{case_id}.png"
        of_case = [row for row in rows if row.case_id == case_id]
        try:
            save_dvh_chart(of_case, path, quantity=quantity, title=f"{name} of case {case_id}")
            charts[case_id] = path
        except CASE_ERRORS as error:
            warnings.append(f"no histograms of case {case_id}: {reason_of(error)}")
    return charts, warnings
