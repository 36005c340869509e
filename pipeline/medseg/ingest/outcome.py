"""What became of the images and labels of a source, before it is written down."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from medseg.ingest.case_build import CaseBuild
from medseg.ingest.case_record import CaseRecord
from medseg.ingest.match import LostLabel
from medseg.ingest.refusal import Refusal
from medseg.ingest.walk import Source
from medseg.records import Failure


@dataclass(frozen=True)
class Outcome:
    """What an ingest ended with.

    Attributes:
        files: Files of the source.
        builds: What was to be made, whether it was or not.
        records: What was written of each case, by its id.
        failures: Cases that could not be written.
        lost: Labels that belong to no image.
        unused: Why labels that belong to an image go into no case, one refusal for each.
    """

    files: Source
    builds: tuple[CaseBuild, ...]
    records: dict[str, CaseRecord]
    failures: tuple[Failure, ...]
    lost: tuple[LostLabel, ...]
    unused: tuple[Refusal, ...]

    @cached_property
    def done(self) -> tuple[tuple[CaseBuild, CaseRecord], ...]:
        """Every case that was written, in the order of the source."""
        return tuple((build, self.records[build.case_id]) for build in self.builds if build.case_id in self.records)

    @cached_property
    def unlabelled_beside_labelled(self) -> frozenset[str]:
        """Cases without a label of patients who have one with a label: no patient may be in training and in test."""
        labelled = {build.patient_id for build, record in self.done if record.label_path}
        return frozenset(
            build.case_id for build, record in self.done if build.patient_id in labelled and not record.label_path
        )
