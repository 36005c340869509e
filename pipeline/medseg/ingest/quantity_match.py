"""The doses and series of each case's quantities, or the reason why it cannot have them."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from medseg.ingest.case_build import CaseBuild
from medseg.ingest.image_source import ImageSource
from medseg.ingest.mapping import Mapping
from medseg.ingest.quantity_rule import QuantityRule
from medseg.ingest.quantity_source import DoseSource, QuantitySource
from medseg.ingest.refusal import Refusal

_WHOLE = ("PLAN", "MULTI_PLAN", "PLAN_OVERVIEW")
_PART = Refusal("replaced", "a dose that is no whole plan's, beside or in place of one")
_NO_RULE = Refusal("no_channel", "its description is that of no quantity of the mapping")
_NO_IMAGE = Refusal("no_image", "no image of its patient in its frame of reference was found")
_AMBIGUOUS = Refusal(
    "ambiguous", "several images of its frame of reference and study may be its own", "make the CT alone a case"
)


@dataclass(frozen=True, slots=True)
class MatchedQuantities:
    """The cases with their quantities.

    Attributes:
        builds: All cases; a series that is a quantity is no case of its own.
        lost: Doses of no case, each with the reason.
    """

    builds: tuple[CaseBuild, ...]
    lost: tuple[tuple[DoseSource, Refusal], ...]


def match_quantities(
    builds: Sequence[CaseBuild], doses: Sequence[DoseSource], images: Sequence[ImageSource], mapping: Mapping
) -> MatchedQuantities:
    """Give each case its quantities.

    A dose belongs to the case of its patient whose reference lies in its frame of reference, the CT where there are
    several. A case without any of the quantities stays, to be predicted; one that lacks some is refused.

    Args:
        builds: All cases.
        doses: Doses of the source.
        images: All images of the source.
        mapping: Rules of the quantities.
    """
    lost = [(one, one.refusal) for one in doses if one.refusal]
    of_case: dict[int, list[DoseSource]] = defaultdict(list)
    for dose in doses:
        if dose.refusal is None:
            build = _case_of(dose, builds)
            if isinstance(build, Refusal):
                lost.append((dose, build))
            else:
                of_case[id(build)].append(dose)
    given = [_with_quantities(build, of_case[id(build)], images, mapping) for build in builds]
    used = {id(source.image) for build in given for source in build.quantities if source.image is not None}
    kept = tuple(build for build in given if not (len(build.images) == 1 and id(build.images[0]) in used))
    taken = {id(dose) for build in kept for source in build.quantities for dose in source.doses}
    for build in given:
        lost += [(dose, _left(dose, build, mapping)) for dose in of_case[id(_origin(build, builds))]
                 if id(dose) not in taken]  # fmt: skip
    return MatchedQuantities(kept, tuple(lost))
