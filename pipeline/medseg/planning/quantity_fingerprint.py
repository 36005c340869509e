"""Fingerprint of a dataset of quantities: its scans, and the values that a network is to learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medseg.cohort import TWO_THREADS, Executor, run_cases
from medseg.errors import TrainingError
from medseg.geometry import significant
from medseg.manifest import read_case_with_quantities
from medseg.planning.fingerprint import CaseFingerprint, Fingerprint, sampled, scan_fingerprint
from medseg.quantity import Quantity
from medseg.records import Array, Case, Manifest
from medseg.targets import Quantities

_LOW, _HIGH = 0.5, 99.5  # per cent


class QuantityFingerprint(NamedTuple):
    """Scans and values of the training cases.

    Attributes:
        scans: Shapes, spacings and intensities.
        values: Sampled known values of each quantity over all cases, `(N,)`, by name.
    """

    scans: Fingerprint
    values: dict[str, Array]


class _Taken(NamedTuple):
    scan: CaseFingerprint
    values: tuple[Array, ...]


def take_quantity_fingerprint(
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    executor: Executor = TWO_THREADS,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> QuantityFingerprint:
    """Read every case once.

    Args:
        cases: Training cases of the fold; validation cases must not shape the plan.
        manifest: Manifest of the cases.
        root: Data root.
        executor: Executor of the work, case by case.
        on_done: Called with the case id after each case.

    Raises:
        TrainingError: If no case can be read.
    """
    done = run_cases(
        cases, partial(_take, manifest=manifest, root=root), stage="plan", executor=executor, on_done=on_done
    )
    if not done.results:
        first = done.failures[0].reason if done.failures else "the fold is empty"
        raise TrainingError(f"manifest {manifest.name}: at least one training case must be readable, got none; {first}")
    scans = tuple(taken.scan for taken in done.results)
    values = {
        name: np.concatenate([taken.values[place] for taken in done.results])
        for place, name in enumerate(manifest.quantities or {})
    }
    return QuantityFingerprint(Fingerprint(scans, done.failures, is_2d=all(1 in scan.shape for scan in scans)), values)


def learned_target(fingerprint: QuantityFingerprint, manifest: Manifest, reasons: dict[str, str]) -> Quantities:
    """The quantities, with the numbers by which the network learns values from about 0 to 1.

    A quantity with a prescription is learned as shares of it. Any other from its lowest to its highest value in the
    training cases, without the half per cent at each end.

    Args:
        fingerprint: Fingerprint of the training cases.
        manifest: Manifest of the cases.
        reasons: Reasons of the plan, to which those of the numbers are added.

    Raises:
        TrainingError: If a quantity has the same value everywhere.
    """
    offset, scale, why = {}, {}, []
    for name, quantity in (manifest.quantities or {}).items():
        values = fingerprint.values[name]
        if values.min() == values.max():
            raise TrainingError(
                f"quantity {name}: must vary in the training cases, got {values.min():g} {quantity.unit} in all voxels "
                "that were looked at",
                remedy="check its files, or leave it out of the manifest",
            )
        offset[name], scale[name], reason = _numbers(quantity, values)
        why.append(f"{name}: {reason}")
    reasons["targets.scale"] = "; ".join(why)
    return Quantities(quantities=manifest.quantities or {}, offset=offset, scale=scale)


def _numbers(quantity: Quantity, values: Array) -> tuple[float, float, str]:
    """Value that is learned as 0, difference that is learned as 1, and the reason."""
    if quantity.prescription is not None:
        return 0.0, quantity.prescription, "shares of the prescription"
    low, high = (float(value) for value in np.percentile(values, [_LOW, _HIGH]))
    if low == high:  # as where almost all voxels hold one value
        low, high = float(values.min()), float(values.max())
    text = f"from {low:.4g} to {high:.4g} {quantity.unit}, the values of the training cases without their extremes"
    return significant(low), significant(high - low), text


def _take(case: Case, manifest: Manifest, root: Path) -> _Taken:
    scan, values = read_case_with_quantities(case, manifest, root)
    taken = scan_fingerprint(scan)
    flat = values.reshape(len(values), -1)
    return _Taken(taken, tuple(of_one[sampled(np.flatnonzero(~np.isnan(of_one)))] for of_one in flat))
