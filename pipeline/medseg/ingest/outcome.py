"""The outcome of an ingest before it is written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from medseg.ingest.case_build import CaseBuild
from medseg.ingest.case_record import CaseRecord
from medseg.ingest.image_source import ImageSource
from medseg.ingest.match import LostLabel, MatchedLabel
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
    """

    files: Source
    builds: tuple[CaseBuild, ...]
    records: dict[str, CaseRecord]
    failures: tuple[Failure, ...]
    lost: tuple[LostLabel, ...]
    unused: tuple[tuple[MatchedLabel, Refusal], ...]
    images: tuple[ImageSource, ...]

    @cached_property
    def done(self) -> tuple[tuple[CaseBuild, CaseRecord], ...]:
        """Every case that was written, in the order of the source."""
        return tuple((build, self.records[build.case_id]) for build in self.builds if build.case_id in self.records)

    @cached_property
    def unlabelled_beside_labelled(self) -> frozenset[str]:
        """Unlabelled cases of patients with a labelled case: no patient may be in both training and test."""
        labelled = {build.patient_id for build, record in self.done if record.label_path}
        return frozenset(
            build.case_id for build, record in self.done if build.patient_id in labelled and not record.label_path
        )
