"""Tables of what a head found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from medseg.errors import ConfigError
from medseg.evaluation.classification import write_slices, write_studies
from medseg.inference.case_record import CaseRecord
from medseg.inference.segmentation.head.scores import scores_of
from medseg.records import SliceScores
from medseg.targets import HeadClasses


def write_predicted_head(cases: Sequence[CaseRecord], folder: Path, *, patients: Mapping[str, str]) -> None:
    """Write `studies.csv`, and `slices.csv` of a head that classifies slices; nothing for masks alone.

    Args:
        cases: Records of the cases.
        folder: Folder of the masks.
        patients: Patient of each case; one that is not there counts as a patient.
    """
    head = head_of(cases)
    if head is None:
        return
    scores = [
        scores_of(case.head, case_id=case.case_id, patient_id=patients.get(case.case_id, case.case_id))
        for case in cases
        if case.head is not None
    ]
    write_head_tables(scores, folder, head=head)


def head_of(cases: Sequence[CaseRecord]) -> HeadClasses | None:
    """Classes of the head that all cases share; None for masks alone.

    Raises:
        ConfigError: If cases have different ones.
    """
    kinds = {(case.head.level, case.head.classes): case.head.target for case in cases if case.head is not None}
    if len(kinds) > 1:
        raise ConfigError(
            f"heads of a folder must have the same classes, got {len(kinds)} kinds",
            remedy="predict with one model into a folder of its own",
        )
    return next(iter(kinds.values()), None)


def write_head_tables(scores: Sequence[SliceScores], folder: Path, *, head: HeadClasses) -> list[Path]:
    """Write the tables of some scores.

    Args:
        scores: Probabilities of each case, with the truth if it is known.
        folder: Target folder, created if missing.
        head: Classes of the head.

    Returns:
        Files that were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "studies.csv"]
    write_studies(scores, files[0], classes=head.classes)
    if head.level == "slice":
        files.append(folder / "slices.csv")
        write_slices(scores, files[1], classes=head.classes)
    return files
