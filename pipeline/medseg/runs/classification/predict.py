"""Scans ranked by what a slice classifier finds in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.delivery.classification.triage import TriageStudy
from medseg.inference import InputChoice, find_inputs
from medseg.inference.classification import SlicePredictor
from medseg.records import Failure, Split
from medseg.runs.classification.triage import triage
from medseg.runs.machine import DeviceName, torch_device
from medseg.runs.progress import Progress, Silence
from medseg.runs.run_folder import check_empty


@dataclass(frozen=True, slots=True, kw_only=True)
class TriageSettings:
    """Choices of a triage.

    Attributes:
        out: Folder of the list, new or empty.
        fold: Fold of a manifest whose validation cases are wanted.
        split: Split of a manifest that is wanted.
        series: DICOM series to take, as in `medseg.inference.inputs.InputChoice`.
        pseudonyms: Private table that leads from pseudonyms back to patients; ids are not pseudonyms if not given.
        weights: `last`, or `best` at any validation, which flatters that validation set.
        data_root: Folder that a manifest's paths are relative to; its own folder if not given.
        device: Device of the classifier.
    """

    out: Path
    fold: int | None = None
    split: Split | None = None
    series: tuple[str, ...] = ()
    pseudonyms: Path | None = None
    weights: str = "last"
    data_root: Path | None = None
    device: DeviceName = "auto"


@dataclass(frozen=True, slots=True)
class TriageResult:
    """Ranked studies.

    Attributes:
        page: Page to review.
        studies: One per case.
        failures: Cases that could not be classified, with the reasons.
    """

    page: Path
    studies: tuple[TriageStudy, ...]
    failures: tuple[Failure, ...]


def triage_run(
    run: Path, inputs: Sequence[Path], settings: TriageSettings, *, progress: Progress | None = None
) -> TriageResult:
    """Classify the slices of every case, and write the ranked list as page and tables.

    Args:
        run: Folder of a classifier's training.
        inputs: A manifest or its folder, or files and folders of scans, DICOM among them.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the classifier or the inputs cannot be used, or the output folder holds something.
    """
    check_empty(settings.out)
    predictor = SlicePredictor.load(run, weights=settings.weights, device=torch_device(settings.device))
    choice = InputChoice(
        data_root=settings.data_root,
        fold=settings.fold,
        split=settings.split,
        series=settings.series,
        pseudonyms=settings.pseudonyms,
        out=settings.out,
    )
    found = find_inputs(inputs, channels=predictor.card.channels, choice=choice)
    with (progress or Silence()).over_cases(len(found.cases), "classify") as on_done:
        studies, failures = triage(
            predictor,
            found.cases,
            settings.out,
            refused=found.failures,
            passed_over=found.passed_over,
            on_done=on_done,
        )
    return TriageResult(settings.out / "triage.html", tuple(studies), tuple(failures))
