"""A head's probabilities against the truth: numbers, tables and pictures, as for a slice classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.delivery.classification import save_reliability, save_roc
from medseg.evaluation.classification import (
    ClassificationSummary,
    flat_metrics,
    slice_columns,
    study_columns,
    summarise_scores,
    write_classification,
)
from medseg.records import Failure, SliceScores
from medseg.runs.segmentation.head.tables import write_head_tables
from medseg.targets import HeadClasses
from medseg.tracking import TrackedRun


@dataclass(frozen=True, slots=True)
class DeliveredHead:
    """Measured probabilities of a head.

    Attributes:
        head: Classes of the head.
        scores: Probabilities and truth of each case.
        summary: Numbers with intervals.
        files: Tables.
        pictures: PNG files.
    """

    head: HeadClasses
    scores: tuple[SliceScores, ...]
    summary: ClassificationSummary
    files: tuple[Path, ...]
    pictures: tuple[Path, ...]

    @property
    def values(self) -> dict[str, float]:
        """Numbers by their names for tracking; those that do not exist are left out."""
        return {name: value for name, value in flat_metrics(self.summary).items() if value == value}

    def __str__(self) -> str:
        """The means over all classes in one line."""
        level = self.summary.slice if self.head.level == "slice" else self.summary.study
        auroc, error = level.means["auroc"], level.means["calibration_error"]
        return (
            f"head: mean AUROC of {len(self.head.classes)} class(es) per {level.level} {auroc}, calibration error "
            f"{error.value:.3f}"
        )


def deliver_head(
    scores: Sequence[SliceScores],
    folder: Path,
    *,
    head: HeadClasses,
    title: str,
    failures: Sequence[Failure] = (),
    notes: Mapping[str, object] | None = None,
) -> DeliveredHead:
    """Write tables and pictures.

    Args:
        scores: Probabilities and truth of each case.
        folder: Target folder, created if missing.
        head: Classes of the head.
        title: Title of the pictures.
        failures: Cases that are not among them.
        notes: More for `classification.json`.
    """
    summary = summarise_scores(scores, classes=head.classes, kind="multilabel")
    files = [*write_head_tables(scores, folder, head=head), folder / "classification.json"]
    write_classification(summary, files[-1], failures=failures, notes=dict(notes or {}))
    pictures = _save_pictures(scores, summary, folder / "pictures", head=head, title=title)
    return DeliveredHead(head, tuple(scores), summary, tuple(files), pictures)


def log_head(run: TrackedRun, delivered: DeliveredHead, *, step: int = 0, scope: str = "") -> None:
    """Log numbers, tables and pictures.

    Args:
        run: MLflow run.
        delivered: What was measured.
        step: Steps of the training.
        scope: What was evaluated, such as `test`, which goes before the names of the numbers.
    """
    run.log_metrics(
        {f"{scope}/{name}" if scope else name: value for name, value in delivered.values.items()}, step=step
    )
    for file in delivered.files:
        run.log_file(file, folder="head")
    classes = delivered.head.classes
    if delivered.head.level == "slice":
        run.log_table(slice_columns(delivered.scores, classes=classes), "slices.json")
    run.log_table(study_columns(delivered.scores, classes=classes), "studies.json")
    for picture in delivered.pictures:
        run.log_file(picture, folder="pictures")


def _save_pictures(
    scores: Sequence[SliceScores], summary: ClassificationSummary, folder: Path, *, head: HeadClasses, title: str
) -> tuple[Path, ...]:
    level = head.level
    rows = summary.slice if level == "slice" else summary.study
    if not any(entry.positives + entry.negatives for entry in rows.classes):
        return ()
    paths = tuple(folder / f"head_{level}_{name}.png" for name in ("roc", "reliability"))
    save_roc(scores, summary, paths[0], level=level, title=title)
    save_reliability(scores, paths[1], classes=head.classes, level=level, title=title)
    return paths
