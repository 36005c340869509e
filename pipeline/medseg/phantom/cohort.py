"""A small hospital-like dataset on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from medseg.manifest import save_manifest
from medseg.phantom.anatomy import LABELS, Anatomy
from medseg.phantom.scanner import SCANNERS, image_anatomy
from medseg.records import Case, Manifest, Split
from medseg.scans import write_scan


def write_cohort(
    folder: Path,
    *,
    patients: int = 16,
    test_patients: int = 4,
    seed: int = 0,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> Manifest:
    """Write images, labels and `dataset.json`; every third patient comes back for a second study on another scanner.

    Args:
        folder: Target folder, created if missing.
        patients: Number of all patients.
        test_patients: Number of patients in the test set, the last ones.
        seed: Seed of the cohort; the same seed gives the same cohort.
        on_done: Called with the case id after each case.
    """
    cases: list[Case] = []
    for patient in range(patients):
        split: Split = "test" if patient >= patients - test_patients else "training"
        for study in range(2 if patient % 3 == 0 else 1):
            cases.append(_write_case(folder, patient=patient, study=study, split=split, seed=seed))
            on_done(cases[-1].case_id)
    manifest = Manifest(
        name="medseg phantom",
        description="Upper abdomens drawn by formulas, scanned by three made-up scanners",
        licence="CC0-1.0",
        channels=("MR",),
        labels=LABELS,
        cases=tuple(sorted(cases, key=lambda case: case.split == "test")),
    )
    save_manifest(manifest, folder / "dataset.json")
    return manifest


def _write_case(folder: Path, *, patient: int, study: int, split: Split, seed: int) -> Case:
    scanner = SCANNERS[(patient + study) % len(SCANNERS)]
    case_id = f"phantom_{patient:02d}_{study}"
    anatomy = Anatomy(seed * 1000 + patient)
    image, label, geometry = image_anatomy(anatomy, scanner, seed=(seed * 1000 + patient) * 10 + study)
    ending = "Tr" if split == "training" else "Ts"
    names = (f"images{ending}/{case_id}.nii.gz", f"labels{ending}/{case_id}.nii.gz")
    for name, array in zip(names, (image, label), strict=True):
        write_scan(array[None], geometry, folder / name)
    return Case(
        case_id=case_id,
        patient_id=f"patient_{patient:02d}",
        images=(names[0],),
        label=names[1],
        split=split,
        site=scanner.site,
        scanner=scanner.name,
    )
