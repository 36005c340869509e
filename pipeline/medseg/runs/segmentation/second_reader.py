"""A second reader's labels, measured beside the masks of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.errors import ConfigError, EvaluationError
from medseg.evaluation.segmentation import (
    EvaluationContract,
    InterRater,
    Metric,
    evaluate_cases,
    existing_mask,
    inter_rater,
)
from medseg.records import Case, CaseMetrics, Failure, Manifest
from medseg.runs.progress import Progress

_STAGE = "second reader"


@dataclass(frozen=True, slots=True)
class SecondReader:
    """A folder of a second reader's labels that has been found to fit the cases.

    Attributes:
        folder: Folder of the labels, named like masks.
        cases: Cases that have one.
        without: Ids of the other cases.
    """

    folder: Path
    cases: tuple[Case, ...]
    without: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path, cases: Sequence[Case], *, masks: Path) -> SecondReader:
        """Look for a second reading of each case, before the work begins.

        Args:
            folder: Folder of the labels, named like masks.
            cases: Cases to measure.
            masks: Folder of the masks that are measured.

        Raises:
            ConfigError: If the folder is missing, or is that of the masks.
            EvaluationError: If no case has a second reading.
        """
        remedy = "give the folder that holds the second reader's labels"
        if not folder.is_dir():
            raise ConfigError(f"second reader: {folder.name} must be a folder of labels, found none", remedy=remedy)
        if folder.resolve() == masks.resolve():
            fact = f"second reader: its folder must be another than that of the masks, got {folder.name} for both"
            raise ConfigError(fact, remedy=remedy)
        read = tuple(case for case in cases if existing_mask(folder, case.case_id))
        if not read:
            fact = f"second reader: {folder.name} must hold a label of a case that is measured, found none"
            example = f"{cases[0].case_id}.nii.gz"
            raise EvaluationError(fact, remedy=f"name each label after its case, such as {example}")
        found = {case.case_id for case in read}
        return cls(folder, read, tuple(case.case_id for case in cases if case.case_id not in found))

    def measure(
        self,
        rows: Sequence[CaseMetrics],
        manifest: Manifest,
        root: Path,
        *,
        contract: EvaluationContract,
        metrics: Mapping[str, Metric],
        progress: Progress,
    ) -> InterRater:
        """Measure the second readings of the cases whose masks were measured, and hold the model against them.

        Args:
            rows: Metrics of the masks.
            manifest: Dataset of the cases.
            root: Folder that the manifest's paths are relative to.
            contract: Contract of the masks.
            metrics: Metrics of the user's own by name.
            progress: Follows the work.
        """
        measured = {row.case_id for row in rows}
        cases = [case for case in self.cases if case.case_id in measured]
        with progress.over_cases(len(cases), _STAGE) as on_done:
            reader_rows, failures = evaluate_cases(
                cases,
                manifest,
                root,
                masks=self.folder,
                contract=contract,
                metrics=metrics,
                drawn_by="reader",
                on_done=on_done,
            )
        return inter_rater(
            rows,
            reader_rows,
            patients={case.case_id: case.patient_id for case in cases},
            without_reading=[case_id for case_id in self.without if case_id in measured],
            failures=[_of_the_reader(failure) for failure in failures],
        )


def _of_the_reader(failure: Failure) -> Failure:
    """The failure, so that nobody takes it for one of the mask."""
    return replace(failure, stage=_STAGE, reason=f"{_STAGE}, {failure.reason}")
