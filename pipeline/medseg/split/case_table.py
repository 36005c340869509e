"""The features of a manifest's cases, as arrays with a row per case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.records import Case, Manifest
from medseg.split.config import Feature

Flags = npt.NDArray[np.bool_]
ORIGINS: tuple[Feature, ...] = ("site", "scanner", "modality")


@dataclass(frozen=True, slots=True, eq=False)
class CaseTable:
    """The cases sorted by case id, independent of their order in the manifest.

    Attributes:
        cases: The N cases.
        patients: The P patient ids, sorted.
        patient_of: Index of the patient of each case, `(N,)`.
        labels: Names of the L foreground labels, or regions.
        is_known: Whether the labels of the case are known, `(N,)`.
        present: Whether the case has each label, `(N, L)`.
        volume_ml: Volume of each label in millilitres, NaN if absent or not measured, `(N, L)`.
        origins: Site, scanner and modality of each case; None if the manifest does not give it.
    """

    cases: tuple[Case, ...]
    patients: tuple[str, ...]
    patient_of: npt.NDArray[np.int64]
    labels: tuple[str, ...]
    is_known: Flags
    present: Flags
    volume_ml: npt.NDArray[np.float64]
    origins: dict[Feature, tuple[str | None, ...]]

    @classmethod
    def of(cls, manifest: Manifest) -> CaseTable:
        """The table of a manifest, from `label_ml` or otherwise from the names in `slice_labels`."""
        cases = tuple(sorted(manifest.cases, key=lambda case: case.case_id))
        patients = tuple(sorted({case.patient_id for case in cases}))
        number = {patient: index for index, patient in enumerate(patients)}
        labels = tuple(manifest.regions or manifest.foreground)
        volume_ml, present = _labels_of(cases, labels)
        is_known = [case.label_ml is not None or case.slice_labels is not None for case in cases]
        return cls(
            cases,
            patients,
            np.array([number[case.patient_id] for case in cases], dtype=np.int64),
            labels,
            np.array(is_known, dtype=bool),
            present,
            volume_ml,
            {kind: tuple(getattr(case, kind) for case in cases) for kind in ORIGINS},
        )

    def patient_flags(self, flags: Flags | list[bool]) -> Flags:
        """Whether each patient has a case with the flag, `(P,)` from `(N,)`."""
        found = np.zeros(len(self.patients), dtype=bool)
        found[self.patient_of[np.asarray(flags, dtype=bool)]] = True
        return found

    def patients_with(self, flags: Flags) -> int:
        """Number of patients with a case that has the flag, `(N,)`."""
        return int(self.patient_flags(flags).sum())


def _labels_of(cases: tuple[Case, ...], labels: tuple[str, ...]) -> tuple[npt.NDArray[np.float64], Flags]:
    column = {name: index for index, name in enumerate(labels)}
    volume_ml = np.full((len(cases), len(labels)), np.nan)
    present = np.zeros(volume_ml.shape, dtype=bool)
    for row, case in enumerate(cases):
        if case.label_ml is not None:
            for name, millilitres in case.label_ml.items():
                if millilitres > 0 and name in column:
                    volume_ml[row, column[name]] = millilitres
        elif case.slice_labels is not None:
            present[row, [column[name] for names in case.slice_labels for name in names if name in column]] = True
    return volume_ml, present | ~np.isnan(volume_ml)
