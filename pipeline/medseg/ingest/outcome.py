"""The outcome of an ingest before it is written."""

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
    """The results and failures of an ingest.

    Attributes:
        files: Files of the source.
        builds: All cases, written or not.
        records: Record of each case that was written, by its id.
        failures: Cases that could not be written.
        lost: Labels without an image.
        unused: One refusal for each label that has an image but goes into no case.
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
        """Unlabelled cases of patients with a labelled case: no patient may be in both training and test."""
        labelled = {build.patient_id for build, record in self.done if record.label_path}
        return frozenset(
            build.case_id for build, record in self.done if build.patient_id in labelled and not record.label_path
        )
