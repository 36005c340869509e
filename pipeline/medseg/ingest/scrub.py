"""Removal of identifying values of patients from the free text of a source."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from medseg.ingest.dates import find_dates
from medseg.ingest.image_source import ImageSource
from medseg.ingest.key import Pseudonyms
from medseg.ingest.name_tokens import name_tokens
from medseg.ingest.ordinary_words import PHRASES, ordinary_words
from medseg.ingest.structure_name import normalised
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
_BESIDE = re.compile(r"[\s,.^_-]{1,3}")
_JOINED = re.compile(r"[^\W\d_]+(?:['’ʼ´`‐-][^\W\d_]+)+")  # O'Neil, Smith-Jones
_JOINT = re.compile(r"(?<=[^\W\d_])['’ʼ´`‐-](?=[^\W\d_])")
_NEXT = re.compile(r"[\s_-]{0,2}([^\W_]+)")
_TITLE = re.compile(
    r"(?<![^\W\d_])(dr|prof|mr|mrs|ms|miss|herrn?|frau|hr|fr|mme|mlle|sr|sra|srta|dott|doctor|pat|patient|patientin|"
    r"pt|paciente|paziente)[\s._:=]{1,3}$|(?<![^\W\d_])(name|surname|nachname|nom|apellidos?|cognome)\s?[:=]\s?$",
    re.IGNORECASE,
)


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

    Values are removed whole, names also word by word, numbers also by their digits alone, and dates in any spelling;
    independent of case, accents and the spelling of umlauts. Short words are removed only where they stand alone.

    A word that describes scans, such as `axial` or Herz, stays although somebody is called so, and so does such a
    word that holds a name, such as `arterial` of a patient Arter. It goes where a person is meant: beside another name
    of the same person, or behind a title. Common family names that also describe scans, such as Long, stay only in
    phrases such as `long axis`. All other names go wherever they stand, also inside of words.

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
        self._beside: dict[str, set[str]] = defaultdict(
            set
        )  # ordinary words in names, and the same person's other names
        self._in_phrases: set[str] = set()
        self._cleaned: dict[tuple[str, bool], str] = {}
        for identity in set(identities):
            self._add_name(identity.name, most_words=len(identity.name))
            for value in (identity.institution, *identity.others):
                for single in _BETWEEN_VALUES.split(value):
                    self._add_name(single, is_person="^" in single)
            if not keeps_ids:
                self._add_id(identity.patient_id)
            self._add_birth_date(identity.birth_date)
        for patient in patients:
            self._add_name(patient)

    def name(self, text: str) -> str:
        """The cleaned name of a structure; a keyed tag keeps names apart of which nothing is left."""
        cleaned = self.description(text)
        tag = self._tag(text)  # behind a letter, since digits alone may read as a date
        return cleaned if cleaned == text or _RUN.search(cleaned) else f"structure {tag and 'x' + tag}".strip()

    def description(self, text: str) -> str:
        """The text of a person with every identifying value and all dates replaced by an ellipsis."""
        return self._known(text, is_free=True)

    def clean(self, text: str) -> str:
        """The message of a program with every identifying value replaced by an ellipsis; its numbers stay."""
        return self._known(text, is_free=False)

    def _known(self, text: str, *, is_free: bool) -> str:
        if (text, is_free) not in self._cleaned:
            whole = text.encode("utf-8", "replace").decode()  # file names may hold bytes that are not text
            self._cleaned[text, is_free] = self._hide(unicodedata.normalize("NFC", whole), is_free=is_free)
        return self._cleaned[text, is_free]

    def _hide(self, text: str, *, is_free: bool) -> str:
        hidden = [False] * len(text)
        tokens = list(_words(text))
        for start, stop in (
            *self._words_in(text, tokens),
            *self._parts_in(text, _ordinary_places(text, tokens)),
            *find_dates(text, is_free=is_free),
        ):
            hidden[start:stop] = [True] * (stop - start)
        pieces = []
        for index, char in enumerate(text):
            if not hidden[index]:
                pieces.append(char)
            elif not index or not hidden[index - 1]:
                pieces.append(_HIDDEN)
        return "".join(pieces)

    def _words_in(self, text: str, tokens: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        for start, stop in tokens:
            for spelling in _spellings(text[start:stop]):
                is_name = spelling in self._words
                is_name |= spelling in self._in_phrases and not _is_phrase(text, stop, spelling)
                if is_name or self._names_person(text, tokens, start, stop, spelling):
                    yield start, stop

    def _names_person(self, text: str, tokens: Sequence[tuple[int, int]], start: int, stop: int, spelling: str) -> bool:
        """Whether an ordinary word stands behind a title, or beside another name of the same person."""
        if spelling not in self._beside:
            return False
        if _TITLE.search(text[:start]):
            return True
        near = (
            (first, last)
            for first, last in tokens
            if (last <= start and _BESIDE.fullmatch(text[last:start]))
            or (first >= stop and _BESIDE.fullmatch(text[stop:first]))
        )
        return any(_spellings(text[first:last]) & self._beside[spelling] for first, last in near)

    def _parts_in(self, text: str, ordinary: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        for umlauts, joined in ((False, False), (True, False), (False, True), (True, True)):
            if joined and not _JOINT.search(text):
                continue
            folded, places = _folded(text, umlauts=umlauts, joined=joined)
            for begin in range(len(folded)):
                for length in (1, 2, 3):
                    for part in self._parts.get(folded[begin : begin + length], ()):
                        if folded.startswith(part, begin):
                            start, stop = places[begin], places[begin + len(part) - 1] + 1
                            if not any(first <= start and stop <= last for first, last in ordinary):
                                yield start, stop

    def _add_name(self, name: str, *, most_words: int = _MOST_WORDS, is_person: bool = True) -> None:
        """Add the name of a person or place, whole, and word by word unless it is a sentence."""
        for group in unicodedata.normalize("NFC", name).split("="):
            joined = group.replace("^", "").strip()
            self._add_part(group.strip("^ "))
            self._add_part(group.replace("^", " ").strip())
            if any(ord(char) >= _IDEOGRAPHS for char in joined):
                self._add_part(joined)
            words = [group[start:stop] for start, stop in dict.fromkeys(_words(group))]
            words += [_JOINT.sub("", found) for found in _JOINED.findall(group)]
            if len(words) > most_words:
                continue
            for word in words:
                self._add_part(word)
            if is_person:
                self._add_person(words)

    def _add_person(self, words: Sequence[str]) -> None:
        """Remember the ordinary words of a person's name, and the names beside which they mean the person."""
        spelt = {spelling for word in words for spelling in _spellings(word) if len(spelling) > 1}
        for word in spelt & ordinary_words():
            self._beside[word] |= spelt - {word}

    def _add_birth_date(self, date: str) -> None:
        """Add a birth date `YYYYMMDD` as digits, also inside of longer ones; its other spellings are dates anyway."""
        for digits in {date, date[6:8] + date[4:6] + date[:4], date[4:6] + date[6:8] + date[:4]}:
            self._add_part(digits)

    def _add_id(self, number: str) -> None:
        """Add a number and its longer runs of digits."""
        self._add_part(number)
        for run in re.findall(r"\d+", number):
            for digits in {run, run.lstrip("0")}:
                if len(digits) >= _SHORTEST_PART:
                    self._add_part(digits)

    def _add_word(self, word: str) -> None:
        if len(word) >= _SHORTEST_WORD:
            spellings = _spellings(word) - ordinary_words()
            self._in_phrases |= spellings & PHRASES.keys()
            self._words |= spellings - PHRASES.keys()

    def _add_part(self, part: str) -> None:
        for umlauts in (False, True):
            folded = _folded(part, umlauts=umlauts)[0]
            is_long = len(folded) >= _SHORTEST_PART or (len(folded) > 1 and ord(folded[0]) >= _IDEOGRAPHS)
            if folded in PHRASES:
                self._in_phrases.add(folded)
            elif is_long and folded not in ordinary_words():
                self._parts[folded[:3]].add(folded)
            elif not is_long and len(folded) >= _SHORTEST_WORD:
                self._add_word(folded)


def _ordinary_places(text: str, tokens: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Positions of the ordinary words of a text, which stay although a name is part of them."""
    return [
        (start, stop) for start, stop in tokens
        for word in _spellings(text[start:stop])
        if word in ordinary_words() or (word in PHRASES and _is_phrase(text, stop, word))
    ]  # fmt: skip


def _is_phrase(text: str, stop: int, word: str) -> bool:
    """Whether a word is followed by one beside which it describes a scan."""
    following = _NEXT.match(text, stop)
    return following is not None and following[1].casefold() in PHRASES[word]


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


def _folded(text: str, *, umlauts: bool, joined: bool = False) -> tuple[str, list[int]]:
    """Text without case and accents (or umlauts as two letters), and the position each of its characters came from.

    Joined, it also lacks apostrophes and hyphens between letters.
    """
    folded: list[str] = []
    places: list[int] = []
    text = unicodedata.normalize("NFC", text)
    joints = {found.start() for found in _JOINT.finditer(text)} if joined else set()
    for index, char in enumerate(text):
        if index in joints:
            continue
        lowered = char.casefold()
        piece = _UMLAUTS.get(char.lower(), lowered) if umlauts else lowered
        plain = [one for one in unicodedata.normalize("NFKD", piece).casefold() if not unicodedata.combining(one)]
        folded += plain
        places += [index] * len(plain)
    return "".join(folded), places
