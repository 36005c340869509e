"""Numbers of masks that happen to be those of their image, such as `vessel_1` of patient 1 beside `vessel_2`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from medseg.ingest.match import MatchedLabel
from medseg.ingest.own_spelling import readable
from medseg.scans import scan_stem

_LAST_NUMBER = re.compile(r"(.*?)[\W_]*(\d+)[\W_]*")


def with_kept_numbers(labels: Sequence[MatchedLabel]) -> list[MatchedLabel]:
    """The labels of a source, with the last number of a mask's name where only it tells its image's masks apart.

    Words that a mask shares with its image name no structure. A number does if the image has another mask that differs
    in this number alone.

    Args:
        labels: Labels that belong to an image.
    """
    numbers: dict[tuple[int, str], set[str]] = defaultdict(set)
    for one in labels:
        word, number = _word_and_number(one)
        if number:
            numbers[id(one.image), word].add(number)
    return [_numbered(one) if len(numbers[id(one.image), _word_and_number(one)[0]]) > 1 else one for one in labels]


def _numbered(one: MatchedLabel) -> MatchedLabel:
    """A mask with the number of its file's name, spelt as there, unless its name ends in it."""
    word, number = _word_and_number(one)
    if not number or word != one.label.names[0].strip():
        return one
    stem = scan_stem(one.label.path)
    found = _LAST_NUMBER.fullmatch(stem)
    end = readable(stem[found.end(1) :]) if found else ""
    return replace(one, label=one.label.renamed(lambda name: name.strip() + end))


def _word_and_number(one: MatchedLabel) -> tuple[str, str]:
    """The name of a mask of one structure without a number at its end, and that number in its file's name."""
    found = _LAST_NUMBER.fullmatch(scan_stem(one.label.path))
    if one.label.values is None or not one.label.is_named or len(one.label.names) != 1 or not found:
        return "", ""
    name = _LAST_NUMBER.fullmatch(one.label.names[0])
    word = name[1] if name and name[2] == found[2] else one.label.names[0]
    return word.strip(), found[2] if word.strip() else ""
