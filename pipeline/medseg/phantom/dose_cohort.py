"""A small dataset of doses on disk: CT and target in, dose out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from medseg.geometry import Geometry, Triple
from medseg.manifest import save_manifest
from medseg.phantom.beams import PRESCRIPTION_GY, STRUCTURES, BeamPatient
from medseg.quantity import Quantity
from medseg.records import Case, Manifest, Split
from medseg.scans import write_scan

FIELD_MM: Triple = (348.0, 252.0, 128.0)
_SPACING_MM: Triple = (6.0, 6.0, 8.0)


def write_dose_cohort(
    folder: Path,
    *,
    patients: int = 12,
    test_patients: int = 3,
    seed: int = 0,
    spacing_mm: Triple = _SPACING_MM,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> Manifest:
    """Write CT, target, structures, dose and `dataset.json` of made-up patients, each on a grid of its own.

    The channels are the CT and the target's mask, the quantity is the dose in Gy, and the label, for dose-volume
    histograms, holds target and spinal cord.

    Args:
        folder: Target folder, created if missing.
        patients: Number of all patients.
        test_patients: Number of patients in the test set, the last ones.
        seed: Seed of the cohort; the same seed gives the same cohort.
        spacing_mm: Voxel size along R, A and S, which varies by a twentieth from patient to patient.
        on_done: Called with the case id after each patient.
    """
    cases = []
    for number in range(patients):
        split: Split = "test" if number >= patients - test_patients else "training"
        cases.append(_write_case(folder, number, seed=seed * 1000 + number, split=split, spacing_mm=spacing_mm))
        on_done(cases[-1].case_id)
    manifest = Manifest(
        name="medseg dose phantom",
        description="Doses of five made-up beams on a target in a made-up patient",
        licence="CC0-1.0",
        task="regression",
        channels=("CT", "PTV"),
        quantities={"dose": Quantity(unit="Gy", prescription=PRESCRIPTION_GY)},
        labels=STRUCTURES,
        cases=tuple(cases),
    )
    save_manifest(manifest, folder / "dataset.json")
    return manifest


def dose_grid_of(seed: int, spacing_mm: Triple) -> Geometry:
    """The grid of a patient's scan, centred near the middle of the body.

    Args:
        seed: Seed of the patient.
        spacing_mm: Voxel size along R, A and S before it varies.
    """
    rng = np.random.default_rng([seed, 59])
    spacing = np.array(spacing_mm) * rng.uniform(0.95, 1.05)
    shape = np.maximum(1, np.round(np.array(FIELD_MM) / spacing)).astype(int)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = rng.uniform(-4, 4, 3) - spacing * (shape - 1) / 2
    return Geometry((int(shape[0]), int(shape[1]), int(shape[2])), affine).reoriented("LPS")


def _write_case(folder: Path, number: int, *, seed: int, split: Split, spacing_mm: Triple) -> Case:
    case_id = f"beams_{number:02d}"
    patient, geometry = BeamPatient(seed), dose_grid_of(seed, spacing_mm)
    label = patient.label(geometry)
    files = {
        f"images/{case_id}_0000.nii.gz": patient.image(geometry),
        f"images/{case_id}_0001.nii.gz": (label == STRUCTURES["PTV"]).astype(np.uint8),
        f"quantities/dose/{case_id}.nii.gz": patient.dose_gy(geometry),
        f"labels/{case_id}.nii.gz": label,
    }
    for name, array in files.items():
        write_scan(array[np.newaxis], geometry, folder / name)
    ct, target, dose, structures = files
    return Case(
        case_id=case_id,
        patient_id=f"patient_{number:02d}",
        images=(ct, target),
        quantities={"dose": dose},
        label=structures,
        split=split,
    )
