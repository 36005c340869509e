"""Images and labels that stand in several cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from medseg.audit.facts import CaseFacts
from medseg.audit.finding import Finding, Severity
from medseg.audit.near_duplicates import SURE, Pair, find_near_duplicates

_SAME = "give both cases the same patient_id or drop one"
_AXES = ("left and right", "front and back", "head and feet")


def check_duplicates(cases: Sequence[CaseFacts]) -> list[Finding]:
    """Images with the same file, bytes or voxels, or of the same look, and equal labels."""
    images: dict[str, Finding] = {}
    for relation, key in (("the same file as", _names), ("the bytes of", _sums), ("the voxels of", _image)):
        for first, second in _repeats(cases, key):
            images.setdefault(second.case_id, _duplicate_image(first, second, relation))
    labels = [
        _duplicate_label(first, second)
        for first, second in _repeats(cases, lambda facts: facts.label_digest)
        if first.image_digest != second.image_digest
    ]
    return [*images.values(), *labels, *_check_near(cases)]


def is_exact_copy(facts: CaseFacts, other: CaseFacts) -> bool:
    """Whether a case holds nothing beyond another case of the same patient and split."""
    return (
        facts.image_digest is not None
        and facts.image_digest == other.image_digest
        and facts.label_digest == other.label_digest
        and (facts.case.label is None) == (other.case.label is None)
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


def _duplicate_label(first: CaseFacts, second: CaseFacts) -> Finding:
    is_same_patient = first.case.patient_id == second.case.patient_id
    return Finding(
        "duplicate_label",
        "note" if is_same_patient else "error",
        second.case_id,
        f"label must be drawn for its own image, got the label of case {_named(first, second)}",
        "nothing to do if both images lie on one grid" if is_same_patient else f"compare both; {_SAME}",
        others=(first.case_id,),
    )


def _check_near(cases: Sequence[CaseFacts]) -> list[Finding]:
    """Near-duplicates among the cases; of equal images only the first is compared."""
    only = [*{facts.image_digest: facts for facts in reversed(cases) if facts.image_digest}.values()][::-1]
    pairs, left_out = find_near_duplicates([facts.small for facts in only])
    found = [_near_duplicate(only[pair.first], only[pair.second], pair) for pair in pairs]
    if left_out:
        fact = f"near-duplicates must be looked for in all pairs that look alike, got {left_out} pairs too many"
        found.append(Finding("near_duplicate", "note", None, fact, "the nearest ones were compared; audit parts of it"))
    return found


def _near_duplicate(first: CaseFacts, second: CaseFacts, pair: Pair) -> Finding:
    mirrored = [name for name, is_flipped in zip(_AXES, pair.flips, strict=True) if is_flipped]
    how = f"likeness {pair.likeness:.2f}, {pair.bits} of 512 hash bits differ"
    how += f", mirrored {', '.join(mirrored)}" if mirrored else ""
    severity: Severity = "error" if pair.likeness >= SURE else "warning"
    is_same_patient = first.case.patient_id == second.case.patient_id
    return Finding(
        "near_duplicate",
        "note" if is_same_patient and first.case.split == second.case.split else severity,
        second.case_id,
        f"image must not look like that of another case, got one like case {_named(first, second)} ({how})",
        "fine for two scans of one patient" if is_same_patient else f"compare both; {_SAME}",
        others=(first.case_id,),
    )


def _named(first: CaseFacts, second: CaseFacts) -> str:
    """The first case, and whether its patient and split are those of the second."""
    parts = ["of the same patient" if first.case.patient_id == second.case.patient_id else "of another patient"]
    if first.case.split != second.case.split:
        parts.append(f"in {first.case.split}")
    return f"{first.case_id}, {', '.join(parts)}"
