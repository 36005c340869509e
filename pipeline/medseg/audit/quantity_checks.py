"""Checks of the quantities of one case, and of a cohort's quantities among each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from medseg.audit.facts import CaseFacts, QuantityFacts
from medseg.audit.finding import Finding
from medseg.audit.intensity_facts import measure_sample, thinned
from medseg.audit.plain import plain
from medseg.audit.robust import far_cases, is_group
from medseg.geometry import Geometry
from medseg.manifest import is_regression
from medseg.quantity import Quantity
from medseg.records import Array, Case, Manifest

_DOSES = ("gy", "cgy")
_FLOOR = 0.1


def check_quantities_given(case: Case, manifest: Manifest) -> list[Finding]:
    """A finding if a training case of a regression lacks a quantity."""
    missing = [name for name in manifest.quantities or {} if name not in (case.quantities or {})]
    if not missing or case.split == "test" or not is_regression(manifest):
        return []
    fact = f"quantities must name a file for each of {list(manifest.quantities or {})}, got none for {missing}"
    return [Finding("missing_quantity", "error", case.case_id, fact, "add them, or move the case to test")]


def measure_quantity(values: Array) -> QuantityFacts | None:
    """Facts of a quantity's values; None where nothing finite is known.

    Args:
        values: Values `(I, J, K)`, which may hold NaN and infinite voxels.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return None
    known = values[finite]
    sample = thinned(values)
    sample = sample[np.isfinite(sample)]
    sample = sample if sample.size else known
    found = measure_sample(sample, low=float(known.min()), high=float(known.max()))
    return QuantityFacts(found, unknown_share=float(np.isnan(values).mean()))


def check_quantity(case: Case, name: str, quantity: Quantity, values: Array) -> list[Finding]:
    """Findings on infinite and unknown values, on one that is the same everywhere, and on doses below 0."""
    thing, found = f"quantity {name}", []
    infinite, unknown = int(np.isinf(values).sum()), np.isnan(values)
    if infinite:
        fact = f"{thing} must hold finite values, or NaN where one is not known, got {infinite} infinite voxels"
        found.append(Finding("quantity_values", "error", case.case_id, fact, "write NaN where the value is not known"))
    if unknown.all():
        fact = f"{thing} must be known in at least one voxel, got NaN in all"
        return [*found, Finding("quantity_values", "error", case.case_id, fact, "export it again, or drop the case")]
    if unknown.any():
        fact = f"{thing} should be known everywhere, got NaN in {unknown.mean():.1%} of the voxels"
        remedy = "nothing to do if that was meant: such voxels count in no loss and no metric"
        found.append(Finding("quantity_unknown", "note", case.case_id, fact, remedy))
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if low == high:
        fact = f"{thing} must vary, got {plain(low)} {quantity.unit} everywhere"
        found.append(Finding("quantity_values", "warning", case.case_id, fact, "export it again or drop the case"))
    elif low < 0 and quantity.unit.lower() in _DOSES:
        fact = f"{thing} must not be below 0 {quantity.unit}, got {plain(low)}"
        found.append(Finding("quantity_values", "warning", case.case_id, fact, "check its slope and intercept"))
    return found


def check_quantity_grid(case: Case, name: str, grid: Geometry, image: Geometry) -> list[Finding]:
    """A finding if a quantity does not lie on the grid of its image."""
    if grid.is_close(image):
        return []
    fact = f"quantity {name} must lie on the grid of its image, got {grid.difference(image)}"
    remedy = "resample the quantity onto the image with linear interpolation, export it again, or drop the case"
    return [Finding("grid", "error", case.case_id, fact, remedy)]


def check_quantity_cohort(cases: Sequence[CaseFacts], manifest: Manifest) -> list[Finding]:
    """Cases whose values are on another scale than the cohort's, as where some are in cGy."""
    found = []
    for name, quantity in (manifest.quantities or {}).items():
        having = [facts for facts in cases if name in facts.quantities]
        spreads = [max(_spread(facts.quantities[name]), 1e-9) for facts in having]
        far = far_cases([math.log(spread) for spread in spreads], floor=_FLOOR)
        if not far:
            continue
        usual = plain(float(np.median(spreads)))
        fact = f"values of {name} must be in {quantity.unit} in every case and range over about {usual}"
        remedy = "check their unit; convert them, or drop the case"
        if is_group(far, len(having)):
            ids = tuple(having[at].case_id for at in far)
            text = f"{fact}, got {len(far)} of {len(having)} cases far from it"
            found.append(Finding("quantity_scale", "warning", None, text, remedy, others=ids))
            continue
        found += [
            Finding("quantity_scale", "warning", having[at].case_id, f"{fact}, got {plain(spreads[at])}", remedy)
            for at in far
        ]
    return found


def _spread(facts: QuantityFacts) -> float:
    return facts.values.high - facts.values.low
