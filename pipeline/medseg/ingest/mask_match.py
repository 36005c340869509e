"""The image of a mask file, found by the words of its name, otherwise by a folder that holds one patient only."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from medseg.ingest.image_source import ImageSource
from medseg.ingest.name_tokens import ROLE_WORDS, is_role_folder, name_tokens
from medseg.ingest.patient_name import CHANNEL
from medseg.ingest.structure_name import MODALITIES, normalised
from medseg.scans import scan_stem

_MOST_OF_A_WORD = 500


class NearImages(NamedTuple):
    """The images that a mask may belong to.

    Attributes:
        images: Images that fit equally well; empty if none fits.
        is_by_name: Whether words of the mask's own name chose them, and not its folder.
        needs_grid: Whether the image must lie on the mask's own grid, since name and folder fit several patients.
    """

    images: tuple[ImageSource, ...]
    is_by_name: bool = False
    needs_grid: bool = False


class MaskMatcher:
    """Index of the images of a source by the words and folders that masks may share with them.

    A mask of one patient must never become the label of another, even if its own image is missing. A name therefore
    counts only if it fits a single patient best, and a folder only if it holds a single patient.

    Args:
        images: All images of the source.
        root: Source folder; its own name is ignored.
    """

    def __init__(self, images: Sequence[ImageSource], root: Path) -> None:
        self._root = root
        self._words = {id(image): self._words_of_image(image) for image in images}
        self._numbers = {id(image): self._numbers_of_image(image) for image in images}
        self._by_word: dict[str, list[ImageSource]] = defaultdict(list)
        self._at: dict[Path, list[ImageSource]] = defaultdict(list)
        self._below: dict[Path, list[ImageSource]] = defaultdict(list)
        self._patients_below: dict[Path, set[str]] = defaultdict(set)
        for image in images:
            if image.is_aside:
                continue
            for word in self._words[id(image)] - MODALITIES:
                self._by_word[word].append(image)
            base = _base(image.folder, root)
            self._at[base].append(image)
            for folder in (base, *base.parents):
                self._below[folder].append(image)
                self._patients_below[folder].add(image.patient)

    def of_mask(self, path: Path) -> NearImages:
        """The images that a mask file may belong to."""
        own = name_tokens(scan_stem(path))
        words = own | self._words_of_folder(path.parent)
        named = self._named_like(path, words)
        if named:
            best = self._likest(words, named)
            return NearImages(best, any((own & self._words[id(image)]) - MODALITIES for image in best))
        near = self._of_folder(path)
        if near:
            return NearImages(self._likest(words, near))
        beside = self._files_beside(path, own)
        return NearImages(self._likest(words, beside), needs_grid=True)

    def shared_words(self, path: Path, images: Iterable[ImageSource]) -> frozenset[str]:
        """Words that a mask shares with its image or its folder, and which therefore name no structure."""
        shared = self._words_of_last(path.parent)
        for image in images:
            own = name_tokens(scan_stem(image.files[0])) if image.found is None else frozenset()
            shared |= own | self._words_of_last(image.folder)
        return shared

    def _named_like(self, path: Path, words: frozenset[str]) -> list[ImageSource]:
        """The images that share most words with a mask, if they are all of one patient."""
        numbers = self._numbers_of(path)
        shared = {
            id(image): (image, len(words & self._words[id(image)] - MODALITIES))
            for image in self._pool(words)
            if not _contradict(numbers, self._numbers[id(image)]) and self._names_patient(image, words)
        }
        most = max((count for _, count in shared.values()), default=0)
        best = [image for image, count in shared.values() if count == most]
        return best if len({image.patient for image in best}) == 1 else []

    def _pool(self, words: frozenset[str]) -> Iterator[ImageSource]:
        """Images that share a word, unless it is a word of very many names."""
        for word in words - MODALITIES:
            images = self._by_word.get(word, ())
            if len(images) <= _MOST_OF_A_WORD:
                yield from images

    def _names_patient(self, image: ImageSource, words: frozenset[str]) -> bool:
        """Whether a shared word is in the image file's own name, if that name gives the patient."""
        return not image.is_named_by_file or bool(words & name_tokens(scan_stem(image.files[0])) - MODALITIES)

    def _of_folder(self, path: Path) -> list[ImageSource]:
        """Images in, above or below the folder of a mask, if all are of one patient and none is named for another."""
        base = _base(path.parent, self._root)
        if len(self._patients_below.get(base, ())) > 1:
            return []
        above = next((self._at[folder] for folder in (base, *base.parents) if self._at.get(folder)), [])
        near = self._below.get(base) or above
        if len({image.patient for image in near}) != 1:
            return []
        return [image for image in near if self._may_be_of_folder(image, path)]

    def _files_beside(self, path: Path, own: frozenset[str]) -> list[ImageSource]:
        """Image files in the mask's own folder with a similar name and no other number."""
        return [
            image for image in self._at.get(_base(path.parent, self._root), ())
            if own & self._words[id(image)] - MODALITIES and image.found is None and image.folder == path.parent
            and self._may_be_of_folder(image, path)
        ]  # fmt: skip

    def _may_be_of_folder(self, image: ImageSource, path: Path) -> bool:
        if _contradict(self._numbers_of(path), self._numbers[id(image)]):
            return False
        is_generic = not self._words[id(image)] - MODALITIES
        return not image.is_named_by_file or image.folder == path.parent or is_generic

    def _likest(self, words: frozenset[str], images: Sequence[ImageSource]) -> tuple[ImageSource, ...]:
        """The images that share most words with the mask; only the first channel of one image."""
        ranks = [self._rank(words, image) for image in images]
        most = max(ranks, default=None)
        best = sorted((one for one, rank in zip(images, ranks, strict=True) if rank == most), key=lambda one: one.files)
        without_channel = {CHANNEL.sub("", scan_stem(image.files[0])) for image in best}
        is_one = len(without_channel) == 1 and len({image.folder for image in best}) == 1
        return tuple(best[:1] if is_one and best[0].found is None else best)

    def _rank(self, words: frozenset[str], image: ImageSource) -> tuple[int, bool]:
        own = self._words[id(image)]
        return len(words & own), own == words

    def _words_of_image(self, image: ImageSource) -> frozenset[str]:
        file_words = name_tokens(scan_stem(image.files[0])) if image.found is None else frozenset()
        return file_words | self._words_of_folder(image.folder)

    def _numbers_of_image(self, image: ImageSource) -> frozenset[str]:
        return self._numbers_of(image.files[0]) if image.found is None else self._numbers_of_folder(image.folder)

    def _numbers_of(self, path: Path) -> frozenset[str]:
        return _numbered(scan_stem(path)) | self._numbers_of_folder(path.parent)

    def _numbers_of_folder(self, folder: Path) -> frozenset[str]:
        return frozenset[str]().union(*(_numbered(part) for part in folder.relative_to(self._root).parts))

    def _words_of_last(self, folder: Path) -> frozenset[str]:
        base = _base(folder, self._root)
        return name_tokens(base.name) if base != self._root else frozenset()

    def _words_of_folder(self, folder: Path) -> frozenset[str]:
        parts = folder.relative_to(self._root).parts
        return frozenset[str]().union(*(name_tokens(part) for part in parts))


def _base(folder: Path, root: Path) -> Path:
    """The folder without trailing parts that are named for their content, such as `segmentations`."""
    while folder != root and is_role_folder(folder.name):
        folder = folder.parent
    return folder


def _contradict(mine: frozenset[str], theirs: frozenset[str]) -> bool:
    """Whether two names differ in the number of the same thing, such as `case_1` and `case_2`."""
    forms = ({re.sub(r"\d+", "#", one) for one in rest} for rest in (mine - theirs, theirs - mine))
    return bool(set.intersection(*forms))


def _numbered(name: str) -> frozenset[str]:
    """The numbers of a name with the word before them: `case_2` is `case2`, `mask_2` is `2`."""
    found = set()
    before = ""
    for word in normalised(name).split("_"):
        if not any(char.isdigit() for char in word):
            before = "" if word in ROLE_WORDS | MODALITIES else word
        elif word not in MODALITIES:
            found.add(before + word if word.isdigit() else word)
            before = ""
    return frozenset(found)
