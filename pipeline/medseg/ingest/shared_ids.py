"""Patient ids that seem to stand for several people: an anonymiser's placeholder, or headers that disagree."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from medseg.ingest.image_source import ImageSource
from medseg.ingest.key import Pseudonyms
from medseg.scans.dicom import Identity, Instance

_REMEDY = (
    "if they are several people, ingest again with folders or studies as patients (the option patients-from of medseg "
    "ingest), else they share a fold"
)
_THINGS = r"(patient|pat|subject|sub|case|id|mrn|name|pid|scan|study)*"
_PLACEHOLDER = re.compile(
    _THINGS
    + r"(?P<word>anon(y|i)m\w*|anon|unknown|unbekannt|inconnu\w*|desconocid\w*|sconosciut\w*|none|null|nil|na|nan|nn|"
    r"no|notavailable|notapplicable|missing|empty|removed|deleted|redacted|hidden|dummy|default|test|phantom|deid\w*|"
    r"pseudonym\w*|johndoe|janedoe|doejohn|doejane|mustermann\w*|xx|(?P<letter>[a-z])(?P=letter){2,}|(?P<digit>\d)(?P=digit){3,})?((?<=\w{3})(?P=word))*"
    + _THINGS
)  # 111 is rather a person of a numbered cohort
_COUNTING = "1234567890"
_SHORTEST_COUNTING = 4
_SIGNS = re.compile(r"[\W_]+")
_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 1 / 52.18, "D": 1 / 365.25}
_SAME_BIRTH_YEARS = 2.0  # ages are whole years, and study dates may have been rounded


def shared_id_warnings(images: Sequence[ImageSource], names: Pseudonyms) -> list[str]:
    """A sentence for each patient whose id seems to stand for several people, by pseudonym.

    Args:
        images: All images of the source, with their patients.
        names: Pseudonyms.
    """
    by_patient: dict[str, list[ImageSource]] = defaultdict(list)
    for image in images:
        if image.found is not None and not image.is_aside:
            by_patient[image.patient].append(image)
    is_only = len(by_patient) == 1
    warnings = []
    for patient, members in by_patient.items():
        headers = [image.found.first for image in members if image.found is not None]
        studies, folders = len({image.study for image in members}), len({image.folder for image in members})
        reasons = list(_disagreements(headers))
        if studies > 1 and any(_is_placeholder(one.identity, is_only=is_only) for one in headers):
            reasons.insert(0, "reads like a placeholder")
        if reasons:
            name = names.patient(patient, is_id=members[0].has_patient_id)
            fact = f"patient {name}: an id must be one person's, got {studies} studies in {folders} folders"
            warnings.append(f"{fact} under an id that {' and '.join(reasons)}; {_REMEDY}")
    return warnings


def _disagreements(headers: Sequence[Instance]) -> Iterator[str]:
    """Values in which headers of one patient disagree."""
    if len({one.identity.sex for one in headers} & {"M", "F"}) > 1:
        yield "has both sexes"
    births = {one.identity.birth_date for one in headers} - {""}
    if len(births) > 1:
        yield f"has {len(births)} birth dates"
    elif _ages_disagree(headers):
        yield "has ages that do not belong to one person"


def _is_placeholder(identity: Identity, *, is_only: bool) -> bool:
    """Whether an id, or a name in place of an id, is one that anonymisers write for everybody.

    Zeros alone are one if the source has no other patient, else they may be the first of a numbered cohort.
    """
    given = identity.patient_id or identity.name.strip("^ ")
    text = _SIGNS.sub("", given).casefold()
    is_counting = len(text) >= _SHORTEST_COUNTING and text.lstrip("0") in _COUNTING
    if is_only and given and not text.strip("0"):
        return True
    texts = [text, *_SIGNS.split(given.casefold())]
    is_whole, *are_words = (_PLACEHOLDER.fullmatch(one) is not None for one in texts)
    return bool(given) and (is_counting or is_whole or all(are_words))


def _ages_disagree(headers: Sequence[Instance]) -> bool:
    """Whether no single birth fits all ages; those without a study date are compared with one another."""
    known = [(one.study_date, age) for one in headers if (age := _age(one.identity.age)) is not None]
    dated = [year - age for date, age in known if (year := _year(date)) is not None]
    undated = [age for date, age in known if _year(date) is None]
    return any(max(one) - min(one) > _SAME_BIRTH_YEARS for one in (dated, undated) if one)


def _age(text: str) -> float | None:
    """Years of an age such as `034Y` (PS3.5 6.2, AS); None if there is none."""
    if len(text) < 2 or text[-1] not in _YEARS or not text[:-1].isdigit():
        return None
    return int(text[:-1]) * _YEARS[text[-1]]


def _year(date: str) -> float | None:
    try:
        moment = datetime.strptime(date, "%Y%m%d")
    except ValueError:
        return None
    return moment.year + moment.timetuple().tm_yday / 366
