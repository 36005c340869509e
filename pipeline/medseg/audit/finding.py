"""One finding of an audit: a fact that is wrong or worth knowing, and its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from medseg.errors import PipelineError

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        check: Name of the check that found it; a key of `CHECKS`.
        severity: An `error` makes training or its numbers wrong, a `warning` may, a `note` is good to know.
        case_id: Id of the case; None for the dataset as a whole.
        fact: Rule that must hold, and the value found instead.
        remedy: Action that settles it.
        others: Ids of further cases that it is about.
        is_fixable: Whether the option fix of `medseg audit` repairs it.
    """

    check: str
    severity: Severity
    case_id: str | None
    fact: str
    remedy: str
    others: tuple[str, ...] = ()
    is_fixable: bool = False

    @property
    def message(self) -> str:
        """The finding in the form of the pipeline's errors."""
        subject = "dataset" if self.case_id is None else f"case {self.case_id}"
        return f"{subject}: {self.fact}; {self.remedy}"

    @classmethod
    def of_error(cls, check: str, case_id: str, error: PipelineError) -> Self:
        """Finding that a case raised an error; it takes over the error's fact, in one line, and its remedy."""
        fact = error.fact.splitlines()[0] if error.fact else type(error).__name__
        return cls(check, "error", case_id, fact, error.remedy or "fix the file or drop the case")


def by_severity(findings: list[Finding]) -> tuple[Finding, ...]:
    """Errors first, then in the order of `CHECKS`; findings of one check stay in the order in which they came."""
    rank = {check: place for place, check in enumerate(CHECKS)}
    return tuple(sorted(findings, key=lambda found: (SEVERITIES.index(found.severity), rank[found.check])))


# Every check by its name: its subject, and why that matters.
CHECKS = {
    "repeated_id": "Two cases of one id overwrite each other's masks.",
    "unreadable": "A file that cannot be read stops training on its case.",
    "checksum": "Bytes that are not those of the manifest: a copy went wrong, or somebody changed the file.",
    "channels": "The network expects the manifest's channels, in number and order.",
    "grid": "Image and label, or two channels, lie on different voxel grids: the label is drawn elsewhere.",
    "shear": "Axes that are not perpendicular; SimpleITK and this pipeline refuse them.",
    "sform_qform": "A header that holds two places for the patient; programs differ in which they take.",
    "orientation": "A header that does not say how the patient lies: left and right are a guess.",
    "missing_label": "A training case without a reference.",
    "missing_quantity": "A training case without the values that a network is to learn.",
    "quantity_values": "Values that cannot be: infinite, unknown or the same everywhere, or doses below 0.",
    "quantity_scale": "Values on another scale than the cohort's: another unit.",
    "quantity_unknown": "Voxels whose value is not known, which no loss and no metric counts.",
    "empty_label": "A reference with nothing in it.",
    "label_values": "Values that the manifest does not name.",
    "label_type": "Labels stored with fractions, which some tools scale or interpolate.",
    "speckle": "Components too small to be meant: slips of the brush.",
    "annotated_labels": "A label that holds what its case does not annotate.",
    "no_background": "Nothing says where a structure is not: it may be drawn everywhere.",
    "empty_reading": "A rater who drew nothing where others drew something: meant so, or forgotten.",
    "undecided": "Raters who differ so much that they decide on no label: nothing is learned there.",
    "unused_label": "A label that no case has.",
    "empty_region": "A region that no case has.",
    "missing_organ": "A case without a label that nearly all others have.",
    "label_volume": "A label far larger or smaller than in the cohort.",
    "constant": "A channel that shows nothing.",
    "modalities": "Several modalities in one channel: their values mean different things.",
    "hounsfield": "CT that is not in Hounsfield units, or holds no air.",
    "hot_voxels": "Voxels far above all others, which stretch a scaling by the maximum.",
    "intensity": "Intensities on another scale than the cohort's.",
    "spacing": "Voxels far larger or smaller than the cohort's.",
    "shape": "Many more or fewer voxels than in the cohort.",
    "duplicate_image": "One image in several cases: what is learned in training is known at testing.",
    "near_duplicate": "Images that look the same: a second export, or one patient under two ids.",
    "duplicate_label": "One label for two images.",
    "shared_id": "One patient id that seems to stand for several people: all of them share a fold.",
    "similar_ids": "Patient ids that differ only in how they are written.",
    "no_patients": "Without patient ids, two scans of a patient may be in two folds.",
    "crossing_folds": "A patient in two folds: validation is flattered.",
    "partial_folds": "Folds for some training cases only; training refuses them.",
    "test_in_training": "A test patient in training: the test is worthless.",
    "sides": "Labels of left and right.",
    "swapped_sides": "Left drawn on the right, or a mirrored header.",
    "one_side": "One of a pair of labels without the other, often.",
    "risk": "Risks seen at ingest: a face that can be recognised, text burned into the picture.",
    "crashed": "The audit itself failed on a case.",
}
