"""Dates in free text, in the spellings of hospitals: a date beside a pseudonym can find its patient again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from medseg.ingest.month_names import ROMAN, TIME, YEAR, with_any_word, with_month_names
from medseg.ingest.ordinary_words import ordinary_words
from medseg.ingest.plain_spelling import plain_spelling

_FIRST_YEAR, _LAST_YEAR = 1880, 2100
_YEARS_OF_OTHER_CALENDARS = (range(1300, 1500), range(2400, 2650))  # Persian and Islamic, Buddhist
_SHORTEST_LATIN_MONTH = 3
_LAST_LATIN = 0x24F

_SIGN = r"(\s?[.,:'+/_-]{1,2}\s?|\s{1,2})"
_NUMBERS = re.compile(
    rf"(?<!\d)(?<!\d[.,])(\d{{1,4}}){_SIGN}(\d{{1,2}}){_SIGN}(\d{{4}}|\d{{1,2}})(?!\d)(?![.,]\d)" + TIME
)
_DIGITS = re.compile(r"(?<!\d)(?<!\d\.)(\d{8})(?:[T_ .-]?\d{6}(?:\.\d+)?|[T_ -]?\d{4})?(?!\d)(?!\.\d)")
_SIX_DIGITS = re.compile(r"(?<![\dA-Za-z.])\d{6}(?![\dA-Za-z]|\.\d)")
_MONTH_AND_YEAR = re.compile(
    rf"(?<![\d./-])(?:(?:0?[1-9]|1[0-2])[./-]'?{YEAR}|{YEAR}[./-](?:0[1-9]|1[0-2]))(?![\d./-])"
)
_ROMAN_AND_YEAR = re.compile(
    rf"(?<![^\W_])(?:{'|'.join(sorted(ROMAN, reverse=True)).upper()})(?:\s?[./]\s?|(?<=[IVX]{{2}})-){YEAR}(?!\d)"
)  # a scanner may be called V-2000
_WEEK = re.compile(
    rf"(?<!\d){YEAR}[\s_-]?(?:W[0-5]\d(?:-?[1-7])?|Q[1-4])(?![^\W_])"
    rf"|(?<![^\W_])(?:(?:KW|CW|week|Woche|semaine|vecka|uke)[\s.]{{0,2}}[0-5]?\d|Q[1-4])[\s./-]{{1,3}}{YEAR}(?!\d)",
    re.IGNORECASE,
)  # ISO 8601, and quarters
_DAY_OF_YEAR = re.compile(rf"(?<![^\W_])(?<![./-]){YEAR}-(?:[0-2]\d\d|3[0-5]\d|36[0-6])(?![^\W_]|[/-]|\.\d)")
_NUMBER = r"[\d〇零一二三四五六七八九十]"
_CJK = re.compile(
    rf"(?:{_NUMBER}{{2,4}}|[元\d]{{1,2}})\s?[年년]\s?{_NUMBER}{{1,3}}\s?[月월](?:\s?{_NUMBER}{{1,3}}\s?[日일号號])?"
    rf"|{_NUMBER}{{1,3}}\s?[月월]\s?{_NUMBER}{{1,3}}\s?[日일号號]"
)
_REIGN = re.compile(r"(?:明治|大正|昭和|平成|令和)(\d{1,2})([./-])(\d{1,2})\2(\d{1,2})(?![./-]?\d)")
# Its letter counts before two digits only, since T1.2.3 is rather a weighting or the number of a lesion.
_REIGN_BY_LETTER = re.compile(r"(?<![^\W_])[MTSHR](\d\d)([./])(\d{1,2})\2(\d{1,2})(?![^\W_]|[./-]\w)")


def find_dates(text: str, *, is_free: bool = False) -> Iterator[tuple[int, int]]:
    """Positions of the dates in a text.

    Args:
        text: Text, in the composed form of Unicode (NFC).
        is_free: Whether a person wrote the text, so that also what may be something else in a message of a program
            counts as a date: six digits, a day with a Latin word and a year, the day of a year, numbers with commas.
    """
    plain, places = plain_spelling(text)
    for start, stop in _in_plain(plain, is_free=is_free):
        yield places[start], max(places[stop], places[stop - 1] + 1)


def _in_plain(plain: str, *, is_free: bool) -> Iterator[tuple[int, int]]:
    yield from _in_numbers(plain, is_free=is_free)
    for found in _DIGITS.finditer(plain):
        if _are_eight(found[1]):
            yield found.span()
    for pattern in (_MONTH_AND_YEAR, _ROMAN_AND_YEAR, _WEEK, _CJK, *with_month_names()):
        yield from (found.span() for found in pattern.finditer(plain))
    for pattern in (_REIGN, _REIGN_BY_LETTER) if is_free else (_REIGN,):
        yield from (found.span() for found in pattern.finditer(plain) if _is_date(2000, int(found[3]), int(found[4])))
    yield from _around_words(plain, is_free=is_free)
    if is_free:
        yield from (found.span() for found in _SIX_DIGITS.finditer(plain) if _are_six(found.group()))
        yield from (found.span() for found in _DAY_OF_YEAR.finditer(plain))


def _in_numbers(text: str, *, is_free: bool) -> Iterator[tuple[int, int]]:
    """Positions of dates of three numbers; a number before a date, as in `T1_12_11_1950`, does not hide it."""
    start = 0
    while found := _NUMBERS.search(text, start):
        is_date = _may_be_date(found[1], found[3], found[5], any_calendar=is_free)
        is_date = is_date and _is_written_so(text, found, is_free=is_free)
        start = found.end() if is_date else found.start() + len(found[1])
        if is_date:
            yield found.span()


def _around_words(text: str, *, is_free: bool) -> Iterator[tuple[int, int]]:
    """Positions of a day, a word that may be a month in any language, and a year.

    A word in Latin letters between two numbers is usual in messages of programs, and in a text of a person it is no
    month if it describes scans.
    """
    for pattern in with_any_word():
        start = 0
        while found := pattern.search(text, start):
            word = "".join(filter(str.isalpha, found["word"]))
            is_latin = all(ord(letter) <= _LAST_LATIN for letter in word)
            is_month = is_free and len(word) >= _SHORTEST_LATIN_MONTH and word.casefold() not in ordinary_words()
            if is_month or not is_latin:
                yield found.span()
                start = found.end()
            else:
                start = found.start() + 1


def _may_be_date(first: str, middle: str, last: str, *, any_calendar: bool) -> bool:
    """Whether three numbers are a date in one of the orders year-month-day, day-month-year and month-day-year."""
    if any_calendar and max(len(first), len(last)) == 4 and _is_of_other_calendar(first, middle, last):
        return True
    if len(first) == 4:
        return len(last) < 3 and _is_date(int(first), int(middle), int(last))
    if len(first) > 2 or len(last) == 1:
        return False
    years = [int(last)] if len(last) == 4 else [1900 + int(last), 2000 + int(last)]
    orders = [(year, int(middle), int(first)) for year in years] + [(year, int(first), int(middle)) for year in years]
    if len(last) == 2:
        orders += [(2000 + int(first), int(middle), int(last))]
    return any(_is_date(*order) for order in orders)


def _is_of_other_calendar(first: str, middle: str, last: str) -> bool:
    """Whether three numbers, of which one has four digits, are a date with a year of another calendar."""
    year, day = (first, last) if len(first) == 4 else (last, first)
    one, other = sorted((int(day), int(middle)))
    is_day_and_month = len(day) <= 2 and 1 <= one <= 12 and other <= 31
    return is_day_and_month and any(int(year) in years for years in _YEARS_OF_OTHER_CALENDARS)


def _is_written_so(text: str, found: re.Match[str], *, is_free: bool) -> bool:
    """Whether three numbers are written as people write dates; one with a short year may be a version or a place."""
    one, other = found[2].strip(), found[4].strip()
    has_year = len(found[1]) == 4 or len(found[5]) == 4
    other = other[:1] if other[1:] == "'" else other  # `12.11.'50`
    is_alike = one == other and one in {"", ".", "/", "-", "_"}
    if has_year and is_free:  # `12,5 2000` is rather an amount
        return one == other or "," not in one + other
    if has_year:  # a list of numbers, or a range before a number, is usual in messages
        return is_alike or not (set(found[2] + found[4]) - set("./-_"))
    is_padded = len(found[1]) == len(found[3]) == 2
    behind_letter = found.start() > 0 and text[found.start() - 1].isalpha()
    return is_alike and one != "" and not behind_letter and (one != "_" or is_padded)


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
