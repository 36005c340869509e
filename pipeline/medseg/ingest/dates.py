"""Dates in free text, in the spellings of hospitals: a date beside a pseudonym can find its patient again."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from functools import cache

# Names of the months without accents, in English, German, French, Spanish, Italian, Portuguese, Dutch, Scandinavian and
# Polish, and their abbreviations.
_MONTHS = (
    "january januar janner janvier enero gennaio janeiro januari stycznia jan janv ene",
    "february februar feber fevrier febrero febbraio fevereiro februari lutego feb febr fev fevr",
    "marz maerz marzo marco maart marca mrz mrt",
    "april avril abril aprile kwietnia apr avr abr",
    "mayo maggio maio maja",
    "june juni juin junio giugno junho czerwca jun giu",
    "july juli juillet julio luglio julho lipca jul juil lug",
    "august aout agosto augustus augusti sierpnia aug",
    "september septembre septiembre settembre setembro wrzesnia sep sept",
    "october oktober octobre octubre ottobre outubro pazdziernika oct okt ott",
    "november novembre noviembre novembro listopada nov",
    "december dezember decembre diciembre dicembre dezembro desember grudnia dec dez dic",
)
_ALSO_WORDS = frozenset(["may", "mar", "mars", "march", "mai", "mei", "maj", "ago", "aou"])  # need a year to be a month
_ALSO_OFTEN_WORDS = frozenset(["set", "out", "gen", "mag", "des"])  # need a year of four digits
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii")
_FIRST_YEAR, _LAST_YEAR = 1880, 2100

_GAP = r"[\s._,/'’-]{0,3}"
_YEAR = r"(?:1[89]|20|21)\d\d"
_DAY = r"(?:3[01]|[12]\d|0?[1-9])(?:\s?(?:st|nd|rd|th|er|ten|te|º|°|ª))?"
_TIME = r"(?:[T_ -]?[0-2]\d:?[0-5]\d(?::?[0-5]\d(?:\.\d+)?)?(?!\d))?"
_NUMBERS = re.compile(
    r"(?<!\d)(?<!\d[.,])(\d{1,4})\s?([./_-]|\s)\s?(\d{1,2})\s?\2\s?(\d{4}|\d{1,2})(?!\d)(?![.,]\d)" + _TIME
)
_DIGITS = re.compile(r"(?<!\d)(?<!\d\.)(\d{8})(?:[T_ .-]?\d{6}(?:\.\d+)?|[T_ -]?\d{4})?(?!\d)(?!\.\d)")
_SIX_DIGITS = re.compile(r"(?<![\dA-Za-z.])\d{6}(?![\dA-Za-z]|\.\d)")
_MONTH_AND_YEAR = re.compile(
    rf"(?<![\d./-])(?:(?:0?[1-9]|1[0-2])[./-]{_YEAR}|{_YEAR}[./-](?:0[1-9]|1[0-2]))(?![\d./-])"
)
_CJK = re.compile(r"(?:\d{2,4}|[元\d]{1,2})\s?[年년]\s?\d{1,2}\s?[月월](?:\s?\d{1,2}\s?[日일])?")


def find_dates(text: str, *, is_free: bool = False) -> Iterator[tuple[int, int]]:
    """Positions of the dates in a text.

    Args:
        text: Text, in the composed form of Unicode (NFC).
        is_free: Whether a person wrote the text, so that six digits that may be a day, month and year count as a date;
            in a message of a program they may be a number of bytes.
    """
    plain = _without_accents(text)
    yield from _in_numbers(plain)
    for found in _DIGITS.finditer(plain):
        if _are_eight(found[1]):
            yield found.span()
    for pattern in (_MONTH_AND_YEAR, _CJK, *_with_month_names()):
        yield from (found.span() for found in pattern.finditer(plain))
    if is_free:
        yield from (found.span() for found in _SIX_DIGITS.finditer(plain) if _are_six(found.group()))


def _in_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Positions of dates of three numbers; a number before a date, as in `T1_12_11_1950`, does not hide it."""
    start = 0
    while found := _NUMBERS.search(text, start):
        is_date = _may_be_date(found[1], found[3], found[4]) and _is_written_so(text, found)
        start = found.end() if is_date else found.start() + len(found[1])
        if is_date:
            yield found.span()


@cache
def _with_month_names() -> tuple[re.Pattern[str], ...]:
    """Day, month and year around the name of a month in any order; without a year only where no word is meant."""
    months = frozenset(word for line in _MONTHS for word in line.split())
    sure, likely = _name(months), _name(months | _ALSO_WORDS)
    any_name = _name(months | _ALSO_WORDS | _ALSO_OFTEN_WORDS)
    link = r"(?:\s?(?:de|di|do|del|of|von|du)\s)?"
    roman = rf"(?:{_any_of(frozenset(_ROMAN))})"
    forms = (
        rf"(?<!\d){_DAY}{_GAP}{link}{any_name}{_GAP}{link}{_GAP}{_YEAR}(?!\d)",
        rf"(?<!\d){_DAY}{_GAP}{link}{likely}{_GAP}{_GAP}\d\d(?!\d)",
        rf"{any_name}{_GAP}{_DAY}{_GAP}{_YEAR}(?!\d)",
        rf"{likely}{_GAP}{_DAY}{_GAP}\d\d(?!\d)",
        rf"(?<!\d){_YEAR}{_GAP}{any_name}{_GAP}(?:{_DAY})?(?!\d)",
        rf"{any_name}{_GAP}{link}{_GAP}{_YEAR}(?!\d)",
        rf"(?<!\d){_DAY}{_GAP}{link}{sure}",
        rf"{sure}{_GAP}{_DAY}(?!\d)",
        rf"(?<!\d){_DAY}\s?([./-])\s?{roman}\s?\1\s?(?:{_YEAR}|\d\d)(?!\d)",
    )
    return tuple(re.compile(form + _TIME, re.IGNORECASE) for form in forms)


def _name(words: frozenset[str]) -> str:
    """Pattern of one of these words that stands alone, or between digits."""
    return rf"(?<![^\W\d_])(?:{_any_of(words)})(?![^\W\d_])"


def _any_of(words: frozenset[str]) -> str:
    return "|".join(sorted(words, key=lambda word: (-len(word), word)))


def _without_accents(text: str) -> str:
    """The text with plain letters, character by character, so that positions stay."""
    return "".join(unicodedata.normalize("NFD", char)[0] for char in text)


def _may_be_date(first: str, middle: str, last: str) -> bool:
    """Whether three numbers are a date in one of the orders year-month-day, day-month-year and month-day-year."""
    if len(first) == 4:
        return len(last) < 3 and _is_date(int(first), int(middle), int(last))
    if len(first) > 2 or len(last) == 1:
        return False
    years = [int(last)] if len(last) == 4 else [1900 + int(last), 2000 + int(last)]
    orders = [(year, int(middle), int(first)) for year in years] + [(year, int(first), int(middle)) for year in years]
    if len(last) == 2:
        orders += [(2000 + int(first), int(middle), int(last))]
    return any(_is_date(*order) for order in orders)


def _is_written_so(text: str, found: re.Match[str]) -> bool:
    """Whether three numbers are written as people write dates; one with a short year may be a version or a place."""
    if len(found[1]) == 4 or len(found[4]) == 4:
        return True
    is_padded = len(found[1]) == len(found[3]) == 2
    behind_letter = found.start() > 0 and text[found.start() - 1].isalpha()
    return not found[2].isspace() and not behind_letter and (found[2] != "_" or is_padded)


def _are_eight(digits: str) -> bool:
    """Whether eight digits are a date."""
    a, b, c = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    return _is_date(int(digits[:4]), int(digits[4:6]), int(digits[6:])) or _is_date(c, b, a) or _is_date(c, a, b)


def _are_six(digits: str) -> bool:
    """Whether six digits are a date with a year of two digits."""
    a, b, c = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    return any(_is_date(2000 + year, month, day) for year, month, day in ((a, b, c), (c, b, a), (c, a, b)))


def _is_date(year: int, month: int, day: int) -> bool:
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return False
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
