"""Images and labels that stand in several cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from medseg.audit.facts import CaseFacts
from medseg.audit.finding import Finding, Severity
from medseg.audit.near_duplicates import SURE, Pair, find_near_duplicates, linked

_SAME = "give both cases the same patient_id or drop one"
_AXES = ("left and right", "front and back", "head and feet")


def check_duplicates(cases: Sequence[CaseFacts]) -> list[Finding]:
    """Images with the same file, bytes or voxels, or of the same look, and equal labels."""
    images: dict[str, Finding] = {}
    for relation, key in (("the same file as", _names), ("the bytes of", _sums), ("the voxels of", _image)):
        for first, second in _repeats(cases, key):
            images.setdefault(second.case_id, _duplicate_image(first, second, relation))
    return [*images.values(), *_check_labels(cases), *_check_near(cases)]


def is_exact_copy(facts: CaseFacts, other: CaseFacts) -> bool:
    """Whether a case holds nothing beyond another case of the same patient and split."""
    return (
        facts.image_digest is not None
        and facts.image_digest == other.image_digest
        and facts.label_digest == other.label_digest
        and facts.case.has_reference == other.case.has_reference
        and facts.case.patient_id == other.case.patient_id
        and facts.case.split == other.case.split
    )


def _repeats(cases: Iterable[CaseFacts], key: Callable[[CaseFacts], object]) -> Iterable[tuple[CaseFacts, CaseFacts]]:
    """Pairs of cases with the same key: the first such case, and a later one."""
    first: dict[object, CaseFacts] = {}
    for facts in cases:
        value = key(facts)
        if value is not None and (known := first.setdefault(value, facts)) is not facts:
            yield known, facts


def _names(facts: CaseFacts) -> object:
    return tuple(file.name for file in facts.files if not file.is_label) or None


def _sums(facts: CaseFacts) -> object:
    if facts.image_digest is None:
        return None  # files that cannot be read, such as empty ones, are no duplicates
    return tuple(tuple(file.sha256.values()) for file in facts.files if not file.is_label)


def _image(facts: CaseFacts) -> object:
    return facts.image_digest


def _duplicate_image(first: CaseFacts, second: CaseFacts, relation: str) -> Finding:
    is_same_patient = first.case.patient_id == second.case.patient_id
    is_fixable = is_exact_copy(second, first)
    remedy = "drop one of them" if is_same_patient else _SAME
    if is_fixable:
        remedy = "run medseg audit with the option fix, which drops the later case"
    return Finding(
        "duplicate_image",
        "warning" if is_same_patient and first.case.split == second.case.split else "error",
        second.case_id,
        f"image must not be that of another case, got {relation} case {_named(first, second)}",
        remedy,
        others=(first.case_id,),
        is_fixable=is_fixable,
    )


def _check_labels(cases: Sequence[CaseFacts]) -> list[Finding]:
    """Labels that stand in several cases: an error for each of another patient, one note for those of one patient."""
    found: list[Finding] = []
    of_patient: dict[str, list[CaseFacts]] = defaultdict(list)
    for first, second in _repeats(cases, lambda facts: facts.label_digest):
        if first.image_digest == second.image_digest:
            continue
        if first.case.patient_id == second.case.patient_id:
            of_patient[first.case_id] = of_patient[first.case_id] or [first]
            of_patient[first.case_id].append(second)
        else:
            fact = f"label must be drawn for its own image, got the label of case {_named(first, second)}"
            remedy = f"compare both; {_SAME}"
            found.append(Finding("duplicate_label", "error", second.case_id, fact, remedy, others=(first.case_id,)))
    return [*found, *(_shared_label(members) for members in of_patient.values())]


def _shared_label(members: Sequence[CaseFacts]) -> Finding:
    first, second, *more = members
    fact = f"label must be drawn for its own image, got the label of case {_named(first, second)}"
    if more:
        fact += f", and in {len(more)} more of its cases"
    others = (first.case_id, *(facts.case_id for facts in more))
    remedy = "nothing to do if all images lie on one grid"
    return Finding("duplicate_label", "note", second.case_id, fact, remedy, others=others)


def _check_near(cases: Sequence[CaseFacts]) -> list[Finding]:
    """Near-duplicates among the cases, one finding for each group; of equal images only the first is compared."""
    only = [*{facts.image_digest: facts for facts in reversed(cases) if facts.image_digest}.values()][::-1]
    pairs, left_out = find_near_duplicates([facts.small for facts in only])
    is_one_patient = [_is_one_patient(only[pair.first], only[pair.second]) for pair in pairs]
    apart = [pair for pair, is_one in zip(pairs, is_one_patient, strict=True) if not is_one]
    together = [pair for pair, is_one in zip(pairs, is_one_patient, strict=True) if is_one]
    found = [_near_duplicates(group, only, is_one_patient=False) for group in linked(apart)]
    found += [_near_duplicates(group, only, is_one_patient=True) for group in linked(together)]
    if left_out:
        fact = f"near-duplicates must be looked for in all pairs that look alike, got {left_out} pairs too many"
        found.append(Finding("near_duplicate", "note", None, fact, "the nearest ones were compared; audit parts of it"))
    return found


def _is_one_patient(first: CaseFacts, second: CaseFacts) -> bool:
    """Whether two images are of one patient and one split, and so may look alike."""
    return first.case.patient_id == second.case.patient_id and first.case.split == second.case.split


def _near_duplicates(pairs: Sequence[Pair], only: Sequence[CaseFacts], *, is_one_patient: bool) -> Finding:
    """The finding on images that look alike, directly or by way of others."""
    best = pairs[0]
    members = sorted({index for pair in pairs for index in (pair.first, pair.second)})
    first, second = only[best.first], only[best.second]
    severity: Severity = "note" if is_one_patient else "error" if best.likeness >= SURE else "warning"
    fact = f"image must not look like that of another case, got one like case {_named(first, second)} ({_how(best)})"
    if len(members) > 2:
        patients = len({only[index].case.patient_id for index in members})
        fact += f"; with others {len(members)} cases of {patients} patient(s) look alike"
    others = (first.case_id, *(only[at].case_id for at in members if at not in (best.first, best.second)))
    remedy = "fine for scans of one patient" if is_one_patient else f"compare them; {_SAME}"
    if first.case.patient_id == second.case.patient_id and not is_one_patient:
        remedy = "drop one or move both to one split"
    return Finding("near_duplicate", severity, second.case_id, fact, remedy, others=others)


def _how(pair: Pair) -> str:
    mirrored = [name for name, is_flipped in zip(_AXES, pair.flips, strict=True) if is_flipped]
    how = f"likeness {pair.likeness:.2f}, {pair.bits} of 512 hash bits differ"
    return how + (f", mirrored {', '.join(mirrored)}" if mirrored else "")


def _named(first: CaseFacts, second: CaseFacts) -> str:
    """The first case, and whether its patient and split are those of the second."""
    parts = ["of the same patient" if first.case.patient_id == second.case.patient_id else "of another patient"]
    if first.case.split != second.case.split:
        parts.append(f"in {first.case.split}")
    return f"{first.case_id}, {', '.join(parts)}"
