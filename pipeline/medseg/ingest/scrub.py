"""Removal of identifying values of patients from the free text of a source."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from medseg.ingest.image_source import ImageSource
from medseg.ingest.key import Pseudonyms
from medseg.ingest.name_tokens import ROLE_WORDS, name_tokens
from medseg.ingest.structure_name import normalised, structure_words
from medseg.scans.dicom import Identity, Instance

_HIDDEN = "…"
_SHORTEST_WORD = 3
_SHORTEST_PART = 5  # shorter ones stand in too many other words: Liv in liver, Max in maxilla
_MOST_WORDS = 6  # of a value that is a name; longer ones are sentences
_IDEOGRAPHS = 0x2E80
_WORD = re.compile(r"[^\W\d_]+|\d+")
_RUN = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-zß-ÿ])(?=[A-ZÀ-Þ])|(?<=[A-ZÀ-Þ])(?=[A-ZÀ-Þ][a-zß-ÿ])")
_BETWEEN_VALUES = re.compile(r"[\[\]'\",\\=]+")
_UMLAUTS = {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae", "ß": "ss", "œ": "oe"}
_DATES = ("%Y%m%d", "%d.%m.%Y", "%d.%m.%y", "%Y-%m-%d", "%d-%m-%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d%m%Y",
          "%Y.%m.%d", "%d_%m_%Y", "%Y_%m_%d")  # fmt: skip
_NO_NAMES = frozenset(
    [
        "unknown", "anonymous", "anonymized", "anonymised", "anon", "none", "patient", "test", "phantom", "null",
        "must", "got", "the", "and", "not", "all", "may", "will", "one", "its", "for", "with", "case", "file",
        "slices", "structure", "label", "channel", "series", "unnamed", "university", "hospital", "radiology",
        "dicom", "nifti", "nrrd", "metaimage", "mha", "mhd", "png", "jpg", "jpeg", "tif", "tiff", "grid", "value",
        "klinik", "institut", "institute", "department", "center", "centre", "zentrum",
    ]
)  # fmt: skip


def scrubber_of(instances: Iterable[Instance], images: Sequence[ImageSource], names: Pseudonyms) -> Scrubber:
    """The scrubber for the texts of a source.

    Args:
        instances: All DICOM files of the source.
        images: All images of the source.
        names: Pseudonyms.
    """
    return Scrubber(
        (instance.identity for instance in instances),
        patients=() if names.keep_ids else _folder_words(images),
        keeps_ids=names.keep_ids,
        tag=names.series,
    )


def _folder_words(images: Sequence[ImageSource]) -> list[str]:
    """Names of patient folders and files, which may be patients' names, without words that most of them share."""
    names = {f"{image.study}/{image.patient}" for image in images if image.found is None}
    counts = Counter(word for name in names for word in name_tokens(name))
    shared = {word for word, count in counts.items() if len(names) > 2 and count > len(names) / 2}
    return [word for name in names for word in re.split(r"[\W_]+", name) if normalised(word) not in shared]


class Scrubber:
    """Remover of the identifying values of all patients of a source from texts.

    Values are removed whole, names also word by word, numbers also by their digits alone, birth dates in the common
    notations; independent of case, accents and the spelling of umlauts. Short words are removed only where they stand
    alone. Words that name a structure or modality, such as Herz, stay where they stand alone.

    Args:
        identities: Identity in each file that was read.
        patients: Names of patient folders and files, which may be patients' names.
        keeps_ids: Whether patient ids are pseudonyms already and are kept.
        tag: Short keyed hash that keeps names apart that become equal once cleaned.
    """

    def __init__(
        self,
        identities: Iterable[Identity],
        *,
        patients: Iterable[str] = (),
        keeps_ids: bool = False,
        tag: Callable[[str], str] = lambda text: "",
    ) -> None:
        self._tag = tag
        self._words: set[str] = set()
        self._parts: dict[str, set[str]] = defaultdict(set)
        self._cleaned: dict[str, str] = {}
        for identity in set(identities):
            self._add_name(identity.name, most_words=len(identity.name))
            for value in (identity.institution, *identity.others):
                for single in _BETWEEN_VALUES.split(value):
                    self._add_name(single)
            if not keeps_ids:
                self._add_id(identity.patient_id)
            for written in _dates(identity.birth_date):
                self._add_part(written)
        for patient in patients:
            self._add_name(patient)

    def name(self, text: str) -> str:
        """The cleaned name of a structure; a keyed tag keeps names apart of which nothing is left."""
        cleaned = self.clean(text)
        return cleaned if cleaned == text or _RUN.search(cleaned) else f"structure {self._tag(text)}".strip()

    def clean(self, text: str) -> str:
        """The text with every identifying value replaced by an ellipsis."""
        if text not in self._cleaned:
            whole = text.encode("utf-8", "replace").decode()  # file names may hold bytes that are not text
            self._cleaned[text] = self._clean(unicodedata.normalize("NFC", whole))
        return self._cleaned[text]

    def _clean(self, text: str) -> str:
        hidden = [False] * len(text)
        for start, stop in (*self._words_in(text), *self._parts_in(text)):
            hidden[start:stop] = [True] * (stop - start)
        pieces = []
        for index, char in enumerate(text):
            if not hidden[index]:
                pieces.append(char)
            elif not index or not hidden[index - 1]:
                pieces.append(_HIDDEN)
        return "".join(pieces)

    def _words_in(self, text: str) -> Iterator[tuple[int, int]]:
        for start, stop in _words(text):
            if any(spelling in self._words for spelling in _spellings(text[start:stop])):
                yield start, stop

    def _parts_in(self, text: str) -> Iterator[tuple[int, int]]:
        for umlauts in (False, True):
            folded, places = _folded(text, umlauts=umlauts)
            for begin in range(len(folded)):
                for length in (1, 2, 3):
                    for part in self._parts.get(folded[begin : begin + length], ()):
                        if folded.startswith(part, begin):
                            yield places[begin], places[begin + len(part) - 1] + 1

    def _add_name(self, name: str, *, most_words: int = _MOST_WORDS) -> None:
        """Add the name of a person or place, whole, and word by word unless it is a sentence."""
        for group in unicodedata.normalize("NFC", name).split("="):
            joined = group.replace("^", "").strip()
            self._add_part(group.strip("^ "))
            self._add_part(group.replace("^", " ").strip())
            if any(ord(char) >= _IDEOGRAPHS for char in joined):
                self._add_part(joined)
            words = [group[start:stop] for start, stop in _words(group)]
            if len(words) > most_words:
                continue
            for word in words:
                self._add_part(word)

    def _add_id(self, number: str) -> None:
        """Add a number and its longer runs of digits."""
        self._add_part(number)
        for run in re.findall(r"\d+", number):
            for digits in {run, run.lstrip("0")}:
                if len(digits) >= _SHORTEST_PART:
                    self._add_part(digits)

    def _add_word(self, word: str) -> None:
        if len(word) >= _SHORTEST_WORD:
            self._words.update(one for one in _spellings(word) if one not in _harmless())

    def _add_part(self, part: str) -> None:
        for umlauts in (False, True):
            folded = _folded(part, umlauts=umlauts)[0]
            is_long = len(folded) >= _SHORTEST_PART or (len(folded) > 1 and ord(folded[0]) >= _IDEOGRAPHS)
            if is_long and folded not in _harmless():
                self._parts[folded[:3]].add(folded)
            elif not is_long and len(folded) >= _SHORTEST_WORD:
                self._add_word(folded)


def _harmless() -> frozenset[str]:
    return _NO_NAMES | ROLE_WORDS | structure_words()


def _words(text: str) -> Iterator[tuple[int, int]]:
    """Positions of words and numbers, also inside one another: `GTVKim2` is one, and holds three more."""
    for found in _RUN.finditer(text):
        yield found.span()
    for found in _WORD.finditer(text):
        start = found.start()
        for piece in _CAMEL.split(found.group()):
            yield start, start + len(piece)
            start += len(piece)


def _spellings(word: str) -> set[str]:
    return {_folded(word, umlauts=False)[0], _folded(word, umlauts=True)[0]}


def _folded(text: str, *, umlauts: bool) -> tuple[str, list[int]]:
    """Text without case and accents (or umlauts as two letters), and the position each of its characters came from."""
    folded: list[str] = []
    places: list[int] = []
    for index, char in enumerate(unicodedata.normalize("NFC", text)):
        lowered = char.casefold()
        piece = _UMLAUTS.get(char.lower(), lowered) if umlauts else lowered
        plain = [one for one in unicodedata.normalize("NFKD", piece).casefold() if not unicodedata.combining(one)]
        folded += plain
        places += [index] * len(plain)
    return "".join(folded), places


def _dates(date: str) -> list[str]:
    """A date `YYYYMMDD` in the common notations."""
    try:
        moment = datetime.strptime(date, "%Y%m%d")
    except ValueError:
        return [date] if date else []
    written = {moment.strftime(form) for form in _DATES}
    return sorted(
        written | {f"{moment.day}.{moment.month}.{moment.year}", f"{moment.month}/{moment.day}/{moment.year}"}
    )
