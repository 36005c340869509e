"""Which images and labels make which case."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from medseg.ingest.image_source import ImageSource
from medseg.ingest.key import Pseudonyms, safe_id
from medseg.ingest.label_source import LabelSource
from medseg.ingest.mapping import ChannelRule, Mapping
from medseg.scans import scan_stem


@dataclass(slots=True, eq=False)
class LabelOfCase:
    """A label, and how it was found to belong to the image."""

    label: LabelSource
    image: ImageSource
    how: str


@dataclass(slots=True, eq=False)
class CaseBuild:
    """What a case will be made of.

    Attributes:
        case_id: Pseudonym.
        patient_id: Pseudonym.
        images: One per channel.
        reference: The image on whose grid the case lies.
        labels: In the order in which they were made.
        refusal: Why there is no such case; "" if there is.
        is_aside: Whether nobody would want it.
    """

    case_id: str
    patient_id: str
    images: tuple[ImageSource, ...]
    reference: ImageSource
    labels: list[LabelOfCase] = field(default_factory=list)
    refusal: str = ""
    is_aside: bool = False


def plan_cases(
    images: Sequence[ImageSource], labels: Sequence[LabelOfCase], mapping: Mapping, names: Pseudonyms
) -> list[CaseBuild]:
    """Make a case of every image, or of the mapping's channels of every study.

    Args:
        images: Of the whole source.
        labels: Those that belong to an image.
        mapping: Channels, reference and whose label counts.
        names: Gives ids.
    """
    plans = _by_channels(images, mapping, names) if mapping.channels else [_single(one, names) for one in images]
    _tell_apart(plans)
    by_image: dict[int, list[LabelOfCase]] = defaultdict(list)
    for label in labels:
        by_image[id(label.image)].append(label)
    for plan in plans:
        source = _label_image(plan, mapping)
        plan.labels = sorted(by_image.get(id(source), []), key=lambda one: (one.label.time, one.label.path))
    return plans


def labels_left_over(plans: Sequence[CaseBuild], labels: Sequence[LabelOfCase]) -> list[str]:
    """Why labels that found an image go into no case, one reason for each: the mapping asks for others."""
    used = {id(label) for plan in plans if not plan.is_aside for label in plan.labels}
    channels = {id(image) for plan in plans if not plan.is_aside for image in plan.images}
    return [
        "a label of a channel whose label is not taken; see label_from in the mapping"
        if id(one.image) in channels
        else "a label of an image that is no channel of the mapping"
        for one in labels if id(one) not in used
    ]  # fmt: skip


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
    return CaseBuild(case_id, patient, (image,), image, refusal=image.refusal, is_aside=image.is_aside)


def _tell_apart(plans: Sequence[CaseBuild]) -> None:
    """Number cases that would share a name, in the order of their keys."""
    groups: dict[str, list[CaseBuild]] = defaultdict(list)
    for plan in plans:
        groups[plan.case_id].append(plan)
    for case_id, group in groups.items():
        for number, plan in enumerate(sorted(group, key=lambda one: one.reference.key), start=1):
            plan.case_id = case_id if len(group) == 1 else f"{case_id}_{number}"


def _by_channels(images: Sequence[ImageSource], mapping: Mapping, names: Pseudonyms) -> list[CaseBuild]:
    groups: dict[tuple[str, str], list[ImageSource]] = defaultdict(list)
    for image in images:
        if not image.is_aside:
            groups[image.patient, image.study if mapping.group_by == "study" else ""].append(image)
    plans = [_multichannel(group, study, mapping, names) for (_, study), group in sorted(groups.items())]
    return [*plans, *(_left_out(one, names) for one in images if not _has_channel(one, mapping))]


def _has_channel(image: ImageSource, mapping: Mapping) -> bool:
    return not image.is_aside and any(_fits(image, rule) for rule in mapping.channels)


def _left_out(image: ImageSource, names: Pseudonyms) -> CaseBuild:
    plan = _single(image, names)
    plan.refusal = image.refusal if image.is_aside else "it is no channel of the mapping"
    plan.is_aside = True
    return plan


def _multichannel(group: list[ImageSource], study: str, mapping: Mapping, names: Pseudonyms) -> CaseBuild:
    patient = names.patient(group[0].patient, is_id=group[0].has_patient_id)
    chosen: list[ImageSource] = []
    refusals: list[str] = []
    for rule in mapping.channels:
        fitting = [image for image in group if _fits(image, rule)]
        if len(fitting) == 1:
            chosen += fitting
            refusals += [f"channel {rule.name}: {fitting[0].refusal}"] if fitting[0].refusal else []
        else:
            remedy = "narrow its description in the mapping" if fitting else "add it, or leave the study out"
            refusals.append(f"channel {rule.name} must be one series of the study, got {len(fitting)}; {remedy}")
    case_id = f"{patient}_{names.series(study)}" if study and not names.keep_ids else patient
    by_name = {rule.name: image for rule, image in zip(mapping.channels, chosen, strict=False)}
    wanted = mapping.reference or mapping.channels[0].name
    reference = by_name.get(wanted, group[0]) if not refusals else group[0]
    return CaseBuild(case_id, patient, tuple(chosen), reference, refusal="; ".join(refusals))


def _fits(image: ImageSource, rule: ChannelRule) -> bool:
    is_modality = rule.modality is None or image.modality.casefold() == rule.modality.casefold()
    return is_modality and fnmatch.fnmatchcase(image.description.casefold(), rule.description.casefold())


def _label_image(plan: CaseBuild, mapping: Mapping) -> ImageSource:
    if mapping.label_from is None or plan.refusal:
        return plan.reference
    position = [rule.name for rule in mapping.channels].index(mapping.label_from)
    return plan.images[position]
