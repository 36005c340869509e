"""The agreement of two readers beside that of the model: what a mask can be expected to reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from medseg.evaluation.segmentation.metric_kinds import as_text, kind_of
from medseg.evaluation.segmentation.paired import PairedDifference, compare_pair
from medseg.evaluation.segmentation.summary import Summary, summarise
from medseg.records import CaseMetrics, Failure

_METRIC = "dice"


@dataclass(frozen=True, slots=True)
class InterRater:
    """A second reader's labels measured against the labels as the masks are, and the model against that reader.

    Attributes:
        rows: Metrics of the second reader per case and structure.
        summary: Means of the second reader.
        against_reader: Dice of the second reader (first) and of the model (second), on the cases that both have.
        without_reading: Ids of the measured cases that have no second reading.
        failures: Cases whose second reading could not be measured, with the reasons.
    """

    rows: tuple[CaseMetrics, ...]
    summary: Summary
    against_reader: tuple[PairedDifference, ...]
    without_reading: tuple[str, ...]
    failures: tuple[Failure, ...]

    def content(self) -> dict[str, Any]:
        """The fields of `summary.json`."""
        return {
            "cases": self.summary.cases,
            "means": self.summary.means,
            "structures": [asdict(entry) for entry in self.summary.labels],
            "model_against_reader": [{**asdict(entry), "verdict": entry.verdict} for entry in self.against_reader],
            "without_reading": list(self.without_reading),
            "failures": [failure.row for failure in self.failures],
        }

    @property
    def is_label_itself(self) -> bool:
        """Whether every reading that was measured is its label, voxel by voxel in every structure."""
        return bool(self.rows) and all(
            row.values[_METRIC] == 1 or row.label_voxels == row.mask_voxels == 0 for row in self.rows
        )

    def __str__(self) -> str:
        """A line per structure, and the counts of cases."""
        counts = [f"{self.summary.cases} cases"]
        if self.without_reading:
            counts.append(f"{len(self.without_reading)} without a second reading")
        if self.failures:
            counts.append(f"{len(self.failures)} whose second reading could not be measured")
        width = max((len(entry.structure) for entry in self.against_reader), default=0)
        lines = [f"{entry.structure:>{width}} {reader_sentence(entry)}" for entry in self.against_reader]
        return "\n".join([f"second reader, {', '.join(counts)}{':' if lines else ''}", *lines])


def inter_rater(
    rows: Sequence[CaseMetrics],
    reader_rows: Sequence[CaseMetrics],
    *,
    patients: Mapping[str, str],
    without_reading: Sequence[str] = (),
    failures: Sequence[Failure] = (),
) -> InterRater:
    """Hold a model's masks against a second reader, both measured against the same labels.

    Args:
        rows: Metrics of the masks.
        reader_rows: Metrics of the second reader's labels under the same contract.
        patients: Patient of each case.
        without_reading: Ids of the measured cases that have no second reading.
        failures: Cases whose second reading could not be measured.
    """
    pairs = [entry for entry in compare_pair(reader_rows, rows, patients=patients) if entry.metric == _METRIC]
    summary = summarise(reader_rows, patients=patients)
    return InterRater(tuple(reader_rows), summary, tuple(pairs), tuple(without_reading), tuple(failures))


def reader_sentence(entry: PairedDifference) -> str:
    """The agreement of the readers, that of the model, and what chance would do, in one line."""
    reader, model = (as_text(entry.metric, value, 4) for value in (entry.first, entry.second))
    undefined = f"; {entry.undefined_in_one} cases with a number in one alone" if entry.undefined_in_one else ""
    return f"readers agree at {kind_of(entry.metric).title} {reader}; the model at {model}, {entry}{undefined}"
