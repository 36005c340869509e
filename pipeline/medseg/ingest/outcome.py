"""The outcome of an ingest before it is written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from medseg.ingest.case_build import CaseBuild
from medseg.ingest.case_record import CaseRecord
from medseg.ingest.image_source import ImageSource
from medseg.ingest.match import LostLabel, MatchedLabel
from medseg.ingest.quantity_source import DoseSource
from medseg.ingest.refusal import Refusal
from medseg.ingest.walk import Source
from medseg.records import Failure

UNUSED = "it is not in dataset.json: it has no label, and another case of its patient is for training"


@dataclass(frozen=True)
class Outcome:
    """The results and failures of an ingest.

    Attributes:
        files: Files of the source.
        builds: All cases, written or not.
        records: Record of each case that was written, by its id.
        failures: Cases that could not be written.
        lost: Labels without an image.
        unused: Labels that have an image but go into no case, each with its refusal.
        images: All images of the source.
        is_regression: Whether a case has its reference in quantities, and not in a label.
        doses: Doses of no case, each with the reason.
    """

    files: Source
    builds: tuple[CaseBuild, ...]
    records: dict[str, CaseRecord]
    failures: tuple[Failure, ...]
    lost: tuple[LostLabel, ...]
    unused: tuple[tuple[MatchedLabel, Refusal], ...]
    images: tuple[ImageSource, ...]
    is_regression: bool = False
    doses: tuple[tuple[DoseSource, Refusal], ...] = ()

    def has_reference(self, record: CaseRecord) -> bool:
        """Whether a case has what a network is trained on."""
        return bool(record.quantities if self.is_regression else record.label_path)

    @cached_property
    def done(self) -> tuple[tuple[CaseBuild, CaseRecord], ...]:
        """Every case that was written, in the order of the source."""
        return tuple((build, self.records[build.case_id]) for build in self.builds if build.case_id in self.records)

    @cached_property
    def unlabelled_beside_labelled(self) -> frozenset[str]:
        """Cases without a reference of patients with one: no patient may be in both training and test."""
        labelled = {build.patient_id for build, record in self.done if self.has_reference(record)}
        return frozenset(
            build.case_id
            for build, record in self.done
            if build.patient_id in labelled and not self.has_reference(record)
        )
