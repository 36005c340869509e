"""Sources with one mask file per object, such as `ID/masks/HASH.png`, told from those with one file per structure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from medseg.ingest.label_source import OBJECT
from medseg.ingest.match import MatchedLabel
from medseg.ingest.structure_name import normalised
from medseg.scans import scan_stem

_MARK = re.compile(r"(?=[0-9a-f-]*\d)[0-9a-f]{8}[0-9a-f-]*|\d+", re.IGNORECASE)  # a hash, a UUID or a number
_FEWEST = 3  # masks per image on average, of names that no other image has; or numbers of a word that counts objects
_MOST_SHARED = 0.1  # of the names: some may recur by chance
_NUMBERED = re.compile(r"(.*?)[ _]*(\d+)")
_MOST_NUMBERED = 32  # structures of one word: teeth; ribs and vertebrae are fewer


def single_objects(labels: Sequence[MatchedLabel]) -> tuple[MatchedLabel, ...]:
    """The labels of a source, with mask files of single objects marked as such.

    A file holds a single object if it has one value and a name that says nothing, such as a hash or a number, and its
    image has several of them; if the source has several images and nearly all of its names belong to one image only; or
    if its name counts, such as `cell_7`, and images have different numbers of them. Files of structures have names that
    recur from image to image.

    Args:
        labels: Labels that belong to an image.
    """
    files = [one for one in labels if one.label.values is not None and len(one.label.values) == 1]
    unnamed = [*_without_names(files), *_named_once(files)]
    names = {id(one): name for one, name in _counted(files)} | dict.fromkeys(map(id, unnamed), _shared_name(unnamed))
    return tuple(
        replace(one, label=one.label.as_one_object(names[id(one)])) if id(one) in names else one for one in labels
    )


def _counted(files: Sequence[MatchedLabel]) -> Iterator[tuple[MatchedLabel, str]]:
    """Masks whose names count the objects of their image, and the word that they count."""
    families: dict[str, list[tuple[MatchedLabel, int]]] = defaultdict(list)
    for one in files:
        found = _NUMBERED.fullmatch(_plain_name(one))
        if found and found[1].strip("_ "):
            families[found[1]].append((one, int(found[2])))
    for word, members in families.items():
        numbers: dict[int, set[int]] = defaultdict(set)
        for one, number in members:
            numbers[id(one.image)].add(number)
        if _count_objects(list(numbers.values())):
            yield from ((one, word) for one, _ in members)


def _count_objects(numbers: Sequence[set[int]]) -> bool:
    """Whether the numbers of each image are those of objects: from the first on, and not as many in every image."""
    first, counts = min(map(min, numbers)), [len(found) for found in numbers]
    if first > 1 or any(found != set(range(first, first + len(found))) for found in numbers):
        return False
    return max(counts) >= _FEWEST and (first == 0 or len(set(counts)) > 1 or max(counts) > _MOST_NUMBERED)


def _without_names(files: Sequence[MatchedLabel]) -> list[MatchedLabel]:
    """Masks whose names are marks, of images that have several of them in one folder."""
    marked = [one for one in files if not one.label.has_objects and _is_mark(one)]
    count = Counter((id(one.image), one.label.path.parent) for one in marked)
    return [one for one in marked if count[id(one.image), one.label.path.parent] > 1]


def _is_mark(one: MatchedLabel) -> bool:
    is_nameless = not one.label.is_named and one.label.names[0].startswith("value ")
    return is_nameless or bool(_MARK.fullmatch(scan_stem(one.label.path)))


def _named_once(files: Sequence[MatchedLabel]) -> list[MatchedLabel]:
    """Masks of names that only their image has, if nearly all names of the source are of that kind."""
    images: dict[str, set[int]] = defaultdict(set)
    for one in files:
        images[_plain_name(one)].add(id(one.image))
    count = len({id(one.image) for one in files})
    once = [one for one in files if len(images[_plain_name(one)]) == 1]
    recurring = sum(len(found) > 1 for found in images.values())
    if count < 2 or len(once) < _FEWEST * count or recurring > _MOST_SHARED * len(images):
        return []
    return once


def _plain_name(one: MatchedLabel) -> str:
    """The name of a mask of one structure, apart from its spelling."""
    return normalised(one.label.names[0]).replace("_", " ")


def _shared_name(objects: Sequence[MatchedLabel]) -> str:
    """The words that all names have in common, such as `cell`; else a general one."""
    words = [[word for word in normalised(one.label.names[0]).split("_") if word] for one in objects]
    shared = [word for word in words[0] if all(word in other for other in words)] if words else []
    return " ".join(word for word in shared if not _MARK.fullmatch(word) and word != "value") or OBJECT
