"""The grouping of images and labels into cases."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from medseg.ingest.case_record import CaseRecord
from medseg.ingest.image_source import ImageSource
from medseg.ingest.key import Pseudonyms, safe_id
from medseg.ingest.mapping import ChannelRule, Mapping
from medseg.ingest.match import MatchedLabel
from medseg.ingest.quantity_source import QuantitySource
from medseg.ingest.refusal import Refusal
from medseg.scans import scan_stem

_OF_OTHER_MODALITY = Refusal("other_modality", "a label of an image that is not of the modality that was asked for")


_NOT_DRAWN = {
    "replaced": Refusal(
        "replaced",
        "a later label of its image holds the same structures, and counts",
        "name its structures otherwise if they are others",
    ),
    "ignored": Refusal("replaced", "the mapping ignores all of its structures"),
}


@dataclass(frozen=True, slots=True, eq=False)
class CaseBuild:
    """The images and labels of a case that is to be built.

    Attributes:
        case_id: Pseudonym of the case.
        patient_id: Pseudonym of the patient.
        images: One image per channel.
        reference: Image whose grid the case has.
        labels: Labels in the order of their creation.
        refusal: Reason why the case is not built; None if it is.
        quantities: Doses and series that hold the values of its quantities; empty for a case without them.
    """

    case_id: str
    patient_id: str
    images: tuple[ImageSource, ...]
    reference: ImageSource
    labels: tuple[MatchedLabel, ...] = ()
    refusal: Refusal | None = None
    quantities: tuple[QuantitySource, ...] = ()

    @property
    def is_aside(self) -> bool:
        """Whether the case is set aside, which is no failure."""
        return self.refusal is not None and self.refusal.is_aside


def group_cases(
    images: Sequence[ImageSource], labels: Sequence[MatchedLabel], mapping: Mapping, names: Pseudonyms
) -> list[CaseBuild]:
    """Make a case of every image, or of the mapping's channels of every study.

    Args:
        images: All images of the source.
        labels: Labels that belong to an image.
        mapping: Channels, reference and the channel that the label is taken from.
        names: Pseudonyms of patients and cases.
    """
    builds = _by_channels(images, mapping, names) if mapping.channels else [_single(one, names) for one in images]
    by_image: dict[int, list[MatchedLabel]] = defaultdict(list)
    for label in sorted(labels, key=lambda one: (one.label.time, one.label.path)):
        by_image[id(label.image)].append(label)
    return [
        replace(build, labels=tuple(by_image.get(id(_label_image(build, mapping)), ())))
        for build in _with_unique_ids(builds)
    ]


def labels_left_over(builds: Sequence[CaseBuild], labels: Iterable[MatchedLabel]) -> list[tuple[MatchedLabel, Refusal]]:
    """Each label that has an image but that the mapping does not use, with the reason."""
    other_modality = {
        id(label): _OF_OTHER_MODALITY
        for build in builds
        if build.refusal and build.refusal.kind == "other_modality"
        for label in build.labels
    }
    used = {id(label) for build in builds if not build.is_aside for label in build.labels}
    channels = {id(image) for build in builds if not build.is_aside for image in build.images}
    other_label = Refusal(
        "no_channel",
        "a label of a channel whose label is not taken",
        "name that channel under label_from in the mapping",
    )
    other_image = Refusal("no_channel", "a label of an image that is no channel of the mapping")
    return [
        (one, other_modality.get(id(one), other_label if id(one.image) in channels else other_image))
        for one in labels
        if id(one) not in used
    ]


def labels_not_drawn(build: CaseBuild, records: dict[str, CaseRecord]) -> list[tuple[MatchedLabel, Refusal]]:
    """Each label of a case of which nothing is in its label volume, with the reason."""
    record = records.get(build.case_id)
    unused = record.label.unused if record and record.label else {}
    return [(build.labels[number], _NOT_DRAWN[reason]) for number, reason in unused.items()]


def _single(image: ImageSource, names: Pseudonyms) -> CaseBuild:
    patient = names.patient(image.patient, is_id=image.has_patient_id)
    kind = (image.modality or ("picture" if image.is_picture else "scan")).lower()
    if names.keep_ids and image.found is None:
        path = PurePosixPath(image.key)
        case_id = safe_id("_".join((*path.parts[:-1], scan_stem(path))))
    elif names.keep_ids:
        case_id = f"{patient}_{safe_id(kind)}"
    else:
        case_id = f"{patient}_{safe_id(kind)}_{names.series(image.key)}"
    return CaseBuild(case_id, patient, (image,), image, refusal=image.refusal)


def _with_unique_ids(builds: Sequence[CaseBuild]) -> list[CaseBuild]:
    """The cases, those of one name numbered in the order of their keys."""
    groups: dict[str, list[CaseBuild]] = defaultdict(list)
    for build in sorted(builds, key=lambda one: one.reference.key):
        groups[build.case_id].append(build)
    number = {id(build): place for group in groups.values() for place, build in enumerate(group, start=1)}
    return [
        build if len(groups[build.case_id]) == 1 else replace(build, case_id=f"{build.case_id}_{number[id(build)]}")
        for build in builds
    ]


def _by_channels(images: Sequence[ImageSource], mapping: Mapping, names: Pseudonyms) -> list[CaseBuild]:
    groups: dict[tuple[str, str], list[ImageSource]] = defaultdict(list)
    for image in images:
        if not image.is_aside:
            groups[image.patient, image.study if mapping.group_by == "study" else ""].append(image)
    builds = [_multichannel(group, study, mapping, names) for (_, study), group in sorted(groups.items())]
    return [*builds, *(_left_out(one, names) for one in images if not _has_channel(one, mapping))]


def _has_channel(image: ImageSource, mapping: Mapping) -> bool:
    return not image.is_aside and any(_fits(image, rule) for rule in mapping.series)


def _left_out(image: ImageSource, names: Pseudonyms) -> CaseBuild:
    refusal = image.refusal if image.is_aside else Refusal("no_channel", "it is no channel of the mapping")
    return replace(_single(image, names), refusal=refusal)


def _multichannel(group: list[ImageSource], study: str, mapping: Mapping, names: Pseudonyms) -> CaseBuild:
    patient = names.patient(group[0].patient, is_id=group[0].has_patient_id)
    case_id = f"{patient}_{names.series(study)}" if study and not names.keep_ids else patient
    chosen: list[ImageSource] = []
    facts: list[str] = []
    remedies: list[str] = []
    for rule in mapping.series:
        fitting = [image for image in group if _fits(image, rule)]
        if len(fitting) == 1:
            chosen += fitting
            facts += [f"channel {rule.name}: {one.refusal.fact}" for one in fitting if one.refusal]
            remedies += [one.refusal.remedy for one in fitting if one.refusal and one.refusal.remedy]
        else:
            remedy = "narrow its description in the mapping" if fitting else "add it, or leave the study out"
            facts.append(f"channel {rule.name} must be one series of the study, got {len(fitting)}")
            remedies.append(remedy)
    if facts:
        refusal = Refusal("channels", "; ".join(facts), "; ".join(dict.fromkeys(remedies)))
        return CaseBuild(case_id, patient, tuple(chosen), group[0], refusal=refusal)
    by_name = {rule.name: image for rule, image in zip(mapping.series, chosen, strict=True)}
    return CaseBuild(case_id, patient, tuple(chosen), by_name[mapping.reference or mapping.channels[0].name])


def _fits(image: ImageSource, rule: ChannelRule) -> bool:
    is_modality = rule.modality is None or image.modality.casefold() == rule.modality.casefold()
    return is_modality and fnmatch.fnmatchcase(image.description.casefold(), rule.description.casefold())


def _label_image(build: CaseBuild, mapping: Mapping) -> ImageSource:
    if mapping.label_from is None or build.refusal:
        return build.reference
    position = [rule.name for rule in mapping.channels].index(mapping.label_from)
    return build.images[position]
