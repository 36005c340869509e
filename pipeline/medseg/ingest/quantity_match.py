"""The doses and series of each case's quantities, or the reason why it cannot have them."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from medseg.ingest.case_build import CaseBuild
from medseg.ingest.image_source import ImageSource, dicom_patient
from medseg.ingest.mapping import Mapping
from medseg.ingest.quantity_rule import QuantityRule
from medseg.ingest.quantity_source import DoseSource, QuantitySource
from medseg.ingest.refusal import Refusal

_WHOLE = ("PLAN", "MULTI_PLAN", "PLAN_OVERVIEW")
_BEAM = "BEAM"
_NO_IMAGE = Refusal("no_image", "no image of its patient in its frame of reference was found")
_AMBIGUOUS = Refusal("ambiguous", "several images of its patient lie in its frame of reference", "ingest the CT alone")
_OF_NO_CASE = Refusal("refused_image", "its case failed")
_NOT_TAKEN = Refusal("replaced", "a dose that no quantity of the mapping takes")


@dataclass(frozen=True, slots=True)
class MatchedQuantities:
    """The cases with their quantities.

    Attributes:
        builds: All cases; a series that is a quantity is no case of its own.
        unused: Doses of no case, each with the reason.
    """

    builds: tuple[CaseBuild, ...]
    unused: tuple[tuple[DoseSource, Refusal], ...] = ()


def match_quantities(
    builds: Sequence[CaseBuild], doses: Sequence[DoseSource], images: Sequence[ImageSource], mapping: Mapping
) -> MatchedQuantities:
    """Give each case its quantities.

    A dose belongs to the case of its patient whose reference lies in its frame of reference, to the CT where there are
    several. A case without any quantity stays, to be predicted; one that lacks some of them is refused.

    Args:
        builds: All cases.
        doses: Doses of the source.
        images: All images of the source.
        mapping: Rules of the quantities.
    """
    unused = [(one, one.refusal) for one in doses if one.refusal]
    of_case: dict[str, list[DoseSource]] = defaultdict(list)
    for dose in doses:
        found = dose.refusal or _case_of(dose, builds)
        if isinstance(found, CaseBuild):
            of_case[found.case_id].append(dose)
        elif dose.refusal is None:
            unused.append((dose, found))
    given = [build if build.refusal else _with(build, of_case[build.case_id], images, mapping) for build in builds]
    series = {id(source.image) for build in given for source in build.quantities if source.image is not None}
    taken = {id(dose) for build in given for source in build.quantities for dose in source.doses}
    for build in given:
        why = _OF_NO_CASE if build.refusal else _NOT_TAKEN
        unused += [(dose, why) for dose in of_case[build.case_id] if id(dose) not in taken]
    kept = tuple(build for build in given if not (len(build.images) == 1 and id(build.images[0]) in series))
    return MatchedQuantities(kept, tuple(unused))


def _case_of(dose: DoseSource, builds: Sequence[CaseBuild]) -> CaseBuild | Refusal:
    """The only case that a dose can belong to."""
    frame = dose.instance.frame_of_reference_uid
    found = [
        build
        for build in builds
        if frame
        and build.reference.frame_of_reference_uid == frame
        and build.reference.found is not None
        and dicom_patient(build.reference.found.first) == dose.patient
        and not build.is_aside
    ]
    found = [build for build in found if build.reference.modality == "CT"] or found
    found = [build for build in found if build.reference.study == dose.instance.study_uid] or found
    if len(found) == 1:
        return found[0]
    return _AMBIGUOUS if found else _NO_IMAGE


def _with(build: CaseBuild, doses: Sequence[DoseSource], images: Sequence[ImageSource], mapping: Mapping) -> CaseBuild:
    """A case with its quantities, or refused."""
    sources: list[QuantitySource] = []
    missing: list[str] = []
    for name, rule in mapping.quantities.items():
        found = _dose_of(name, rule, doses) if rule.is_dose else _series_of(name, rule, build, images, mapping)
        if isinstance(found, Refusal):
            return replace(build, refusal=found, quantities=())
        if found is None:
            missing.append(name)
        else:
            sources.append(found)
    if sources and missing:
        fact = f"a case must have every quantity of the mapping or none, got no {', '.join(missing)}"
        return replace(build, refusal=Refusal("quantities", fact, "add it, or take it out of the mapping"))
    return replace(build, quantities=tuple(sources))


def _dose_of(name: str, rule: QuantityRule, doses: Sequence[DoseSource]) -> QuantitySource | Refusal | None:
    """The dose of a plan, else the beams of one where they are to be summed; None if there is no dose."""
    fitting = [one for one in doses if _fits_description(one.instance.description, rule)]
    whole = [one for one in fitting if one.dose is not None and one.dose.summation in _WHOLE]
    beams = [one for one in fitting if one.dose is not None and one.dose.summation == _BEAM]
    if len(whole) > 1:
        fact = f"quantity {name} must be one dose of a plan, got {len(whole)} in the frame of reference"
        return Refusal("quantities", fact, "narrow its description in the mapping, or ingest one plan alone")
    if whole:
        return QuantitySource(name, rule, tuple(whole))
    if not fitting:
        return None
    if not rule.sum_beams or not beams:
        kinds = ", ".join(sorted({one.dose.summation or "none" for one in fitting if one.dose is not None}))
        fact = f"quantity {name} must be the dose of a whole plan, got {len(fitting)} of the summation type {kinds}"
        return Refusal("quantities", fact, "export the dose of the plan, or set sum_beams in the mapping to sum beams")
    return _summed(name, rule, beams)


def _summed(name: str, rule: QuantityRule, beams: Sequence[DoseSource]) -> QuantitySource | Refusal:
    """The beams of one plan, each of which is there once."""
    plans = {one.dose.plan_uids for one in beams if one.dose is not None}
    numbers = [number for one in beams if one.dose is not None for number in one.dose.beams]
    if len(plans) != 1 or len(next(iter(plans))) != 1:
        fact = f"beams that are summed to quantity {name} must be of one plan, got {len(plans)} plans or none named"
        return Refusal("quantities", fact, "narrow its description in the mapping, or ingest one plan alone")
    if len(set(numbers)) != len(beams) or len(numbers) != len(beams):
        fact = f"beams of quantity {name} must each be there once, got {len(beams)} doses of {len(set(numbers))} beams"
        return Refusal("quantities", fact, "take out the copies, or export the dose of the plan")
    return QuantitySource(name, rule, tuple(sorted(beams, key=lambda one: one.dose.beams if one.dose else ())))


def _series_of(
    name: str, rule: QuantityRule, build: CaseBuild, images: Sequence[ImageSource], mapping: Mapping
) -> QuantitySource | Refusal | None:
    """The only series of a case's study or patient that a rule names; None if there is none."""
    own = {id(image) for image in build.images}
    found = [
        image
        for image in images
        if image.patient == build.reference.patient
        and (mapping.group_by == "patient" or image.study == build.reference.study)
        and image.modality.casefold() == rule.modality.casefold()
        and _fits_description(image.description, rule)
        and id(image) not in own
        and not image.is_aside
    ]
    if len(found) > 1:
        fact = f"quantity {name} must be one series of the study, got {len(found)}"
        return Refusal("quantities", fact, "narrow its description in the mapping")
    if not found:
        return None
    if found[0].refusal:
        return Refusal("quantities", f"quantity {name}: {found[0].refusal.fact}", found[0].refusal.remedy)
    return QuantitySource(name, rule, image=found[0])


def _fits_description(description: str, rule: QuantityRule) -> bool:
    return fnmatch.fnmatchcase(description.casefold(), rule.description.casefold())
