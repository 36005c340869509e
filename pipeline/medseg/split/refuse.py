"""Refusal of splits that would leak patients from one part into another or lose existing folds."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterator, Mapping

from medseg.errors import ManifestError
from medseg.manifest.folds import check_patients
from medseg.records import Case, Manifest
from medseg.split.config import SplitConfig

_ONE_PATIENT = "train on all of it with the fold all, which needs no split"


def check_splittable(manifest: Manifest, config: SplitConfig, *, kept: Mapping[str, int] | None = None) -> None:
    """Stop a split that would leak, or that would replace existing folds unasked.

    Args:
        manifest: Manifest to split.
        config: Settings of the split.
        kept: Fold of each patient that stays where it is, if folds are kept.

    Raises:
        ManifestError: If patients are unknown or fewer than the folds, folds exist, or two patients share a scan.
    """
    if not manifest.has_patients and not config.cases_are_patients:
        raise ManifestError(
            f"manifest {manifest.name}: patient_id must be given to keep each patient in one fold, got none",
            remedy="add it to every case, or set cases_are_patients if no patient has two cases",
        )
    check_patients(_filled(manifest, kept or {}))
    if kept is None:
        _check_no_folds(manifest, config)
    check_enough_patients(len({case.patient_id for case in manifest.select("training")}), config)
    _check_shared_scans(manifest)


def _filled(manifest: Manifest, kept: Mapping[str, int]) -> Manifest:
    """The manifest with the kept fold of each patient where a training case has none."""
    cases = tuple(
        case.model_copy(update={"fold": kept[case.patient_id]})
        if case.split == "training" and case.fold is None and case.patient_id in kept
        else case
        for case in manifest.cases
    )
    return manifest.model_copy(update={"cases": cases})


def check_enough_patients(patients: int, config: SplitConfig) -> None:
    """Stop if there are fewer patients for training than folds.

    Raises:
        ManifestError: If there are too few patients.
    """
    if patients < config.folds:
        raise ManifestError(
            f"folds must be at most the number of training patients {patients}, got {config.folds}",
            remedy="ask for fewer folds or a smaller test set" if patients > 1 else _ONE_PATIENT,
        )


def _check_no_folds(manifest: Manifest, config: SplitConfig) -> None:
    folded = [case for case in manifest.cases if case.fold is not None]
    if folded and not config.force:
        raise ManifestError(
            f"manifest {manifest.name}: must have no folds yet, got {len({case.fold for case in folded})} folds of "
            f"{len(folded)} cases",
            remedy="use the option force to replace them, after which models trained on the old folds can no longer be "
            "compared on the new ones",
        )


def _check_shared_scans(manifest: Manifest) -> None:
    """Stop if a file, study or series belongs to two patients."""
    owners: dict[str, dict[str, Case]] = defaultdict(dict)
    for case in manifest.cases:
        for kind, mark in _marks(case):
            first = owners[kind].setdefault(mark, case)
            if first.patient_id != case.patient_id:
                raise ManifestError(
                    f"its scan must belong to one patient, got the same {kind} as case {first.case_id} of another "
                    "patient",
                    remedy="run medseg audit, then give both one patient_id or drop one",
                    case_id=case.case_id,
                )


def _marks(case: Case) -> Iterator[tuple[str, str]]:
    """The marks by which a scan is recognised in two cases, each with its name."""
    for image in case.images:
        yield "image file", posixpath.normpath(image)
        voxels = f"{image[:-4]}.img" if image.endswith(".hdr") else image  # equal headers do not make equal scans
        if case.sha256 and voxels in case.sha256:
            yield "image content (sha256)", case.sha256[voxels].lower()
    if case.study_uid:
        yield "study_uid", case.study_uid
    if case.series_uid:
        yield "series_uid", case.series_uid
