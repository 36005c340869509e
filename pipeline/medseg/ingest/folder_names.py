"""Names for masks that only their folders tell apart, such as `reader1/p1.nii.gz` and `reader2/p1.nii.gz`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medseg.ingest.image_source import ImageSource
from medseg.ingest.match import MatchedLabel
from medseg.ingest.name_tokens import ROLE_WORDS
from medseg.ingest.own_spelling import readable, without_words
from medseg.ingest.structure_name import normalised


def named_by_folder(labels: Sequence[MatchedLabel], root: Path) -> list[MatchedLabel]:
    """The labels of a source, with nameless masks called after their folders where an image has several of them.

    Args:
        labels: Labels that belong to an image.
        root: Source folder; its own name is ignored.
    """
    folders: dict[int, set[Path]] = defaultdict(set)
    for one in labels:
        if _is_nameless(one):
            folders[id(one.image)].add(one.label.path.parent)
    if all(len(found) < 2 for found in folders.values()):
        return list(labels)
    return [_named(one, root) if _is_nameless(one) else one for one in labels]


def _is_nameless(one: MatchedLabel) -> bool:
    return one.label.values is not None and not one.label.is_named and not one.label.has_objects


def _named(one: MatchedLabel, root: Path) -> MatchedLabel:
    folder = _words(one.label.path.parent, one.image, root)
    if not folder:
        return one
    is_single = len(one.label.names) == 1
    label = one.label.renamed(lambda name: folder if is_single else f"{folder} {name}")
    return replace(one, label=replace(label, is_named=True))


def _words(folder: Path, image: ImageSource, root: Path) -> str:
    """The words of a mask's folders that are no word of its image and name no role."""
    known = set(normalised("/".join((*image.folder.relative_to(root).parts, image.files[0].name))).split("_"))
    parts = (without_words(part, known | ROLE_WORDS) for part in folder.relative_to(root).parts)
    return " ".join(readable(part) for part in parts if normalised(part))
