"""Days, months and years around the name of a month in free text."""

from __future__ import annotations

import re
from functools import cache

from medseg.ingest.plain_spelling import plain_spelling

# Names of the months and their abbreviations in English, German, French, Spanish, Italian, Portuguese, Dutch,
# Scandinavian and Polish, Russian, Ukrainian, Greek, Czech, Romanian, Finnish, Turkish, Hungarian, Arabic, Hindi, Thai.
_MONTHS = """
    january januar janner janvier enero gennaio janeiro januari stycznia jan janv ene январь января янв
    січня ιανουάριος ιανουαρίου ιαν leden ledna ianuarie tammikuu tammikuuta ocak január يناير जनवरी
    มกราคม ม.ค
    february februar feber fevrier febrero febbraio fevereiro februari lutego feb febr fev fevr февраль
    февраля фев лютого φεβρουάριος φεβρουαρίου φεβ únor února februarie helmikuu helmikuuta şubat
    február فبراير फरवरी กุมภาพันธ์ ก.พ
    marz maerz marzo marco maart marca mrz mrt марта березня μάρτιος μαρτίου březen března martie
    maaliskuu maaliskuuta március مارس मार्च มีนาคม มี.ค
    april avril abril aprile kwietnia apr avr abr апрель апреля апр квітня απρίλιος απριλίου απρ duben
    dubna aprilie huhtikuu huhtikuuta nisan április أبريل ابريل अप्रैल เมษายน เม.ย
    mayo maggio maio maja мая травня μάιος μαΐου květen května toukokuu toukokuuta mayıs május مايو
    พฤษภาคม พ.ค
    june juni juin junio giugno junho czerwca jun giu июнь июня червня ιούνιος ιουνίου červen června
    iunie kesäkuu kesäkuuta haziran június يونيو มิถุนายน มิ.ย
    july juli juillet julio luglio julho lipca jul juil lug июль июля липня ιούλιος ιουλίου červenec
    července iulie heinäkuu heinäkuuta temmuz július يوليو जुलाई กรกฎาคม ก.ค
    august aout agosto augustus augusti sierpnia aug август августа авг серпня αύγουστος αυγούστου αυγ
    srpen srpna elokuu elokuuta ağustos augusztus أغسطس अगस्त สิงหาคม ส.ค
    september septembre septiembre settembre setembro wrzesnia sep sept сентябрь сентября сен сент
    вересня σεπτέμβριος σεπτεμβρίου σεπ září septembrie syyskuu syyskuuta eylül szeptember سبتمبر सितंबर
    सितम्बर กันยายน ก.ย
    october oktober octobre octubre ottobre outubro pazdziernika oct okt ott октябрь октября окт жовтня
    οκτώβριος οκτωβρίου οκτ říjen října octombrie lokakuu lokakuuta ekim október أكتوبر अक्टूबर अक्तूबर
    ตุลาคม ต.ค
    november novembre noviembre novembro listopada nov ноябрь ноября ноя нояб νοέμβριος νοεμβρίου νοε
    listopad listopadu noiembrie marraskuu marraskuuta kasım نوفمبر नवंबर नवम्बर พฤศจิกายน พ.ย
    december dezember decembre diciembre dicembre dezembro desember grudnia dec dez dic декабрь декабря
    дек грудня δεκέμβριος δεκεμβρίου δεκ prosinec prosince decembrie joulukuu joulukuuta aralık ديسمبر
    दिसंबर दिसम्बर ธันวาคม ธ.ค
"""
_ALSO_WORDS = "may mar mars march mai mei maj ago aou mart март май листопад मई जून"  # need a year to be a month
_ALSO_OFTEN_WORDS = "set out gen mag des"  # need a year of four digits
ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii")

YEAR = r"(?:1[89]|20|21)\d\d"
TIME = r"(?:[T_ -]?[0-2]\d:?[0-5]\d(?::?[0-5]\d(?:\.\d+)?)?(?!\d))?"
_YEAR_OF_ANY_CALENDAR = r"(?:1[3489]|2[01456]|5[67])\d\d"  # also Persian, Islamic, Buddhist and Hebrew ones
_GAP = r"[\s._,/'-]{0,3}"
_DAY = (
    r"(?:3[01]|[12]\d|0?[1-9])(?:\s?(?:st|nd|rd|th|er|ten|te|º|°|ª)"
    r"|[:-]?(?:e|a|o|en|an|го|ого|е|ое|й|η|ης)(?![^\W\d_]))?"
)
_LINK = r"(?:\s?(?:de|di|do|del|of|von|du)\s)?"
_LETTER = r"[^\W\d_]"


@cache
def with_month_names() -> tuple[re.Pattern[str], ...]:
    """Day, month and year around the name of a month in any order; without a year only where no word is meant."""
    months = _plain(_MONTHS)
    sure, likely = _name(months), _name(months | _plain(_ALSO_WORDS))
    any_name = _name(months | _plain(f"{_ALSO_WORDS} {_ALSO_OFTEN_WORDS}"))
    roman = rf"(?:{_any_of(frozenset(ROMAN))})"
    forms = (
        rf"(?<!\d){_DAY}{_GAP}{_LINK}{any_name}{_GAP}{_LINK}{_GAP}{YEAR}(?!\d)",
        rf"(?<!\d){_DAY}{_GAP}{_LINK}{likely}{_GAP}{_GAP}\d\d(?!\d)",
        rf"{any_name}{_GAP}{_DAY}{_GAP}{YEAR}(?!\d)",
        rf"{likely}{_GAP}{_DAY}{_GAP}\d\d(?!\d)",
        rf"(?<!\d){YEAR}{_GAP}{any_name}{_GAP}(?:{_DAY})?(?!\d)",
        rf"{any_name}{_GAP}{_LINK}{_GAP}{YEAR}(?!\d)",
        rf"{likely}[\s.]{{0,2}}'\s?\d\d(?!\d)",
        rf"(?<!\d){_DAY}{_GAP}{_LINK}{sure}",
        rf"{sure}{_GAP}{_DAY}(?!\d)",
        rf"(?<!\d){_DAY}\s?([./-])\s?{roman}\s?\1\s?(?:{YEAR}|\d\d)(?!\d)",
        rf"(?<!\d){_DAY}\s?[./-]{{1,2}}\s?{roman}\s?[./-]{{1,2}}\s?{YEAR}(?!\d)",
        rf"(?<!\d){_DAY}\s(?-i:[IVX]{{2,4}})\s{YEAR}(?!\d)",
        rf"(?<!\d){YEAR}\s?[./-]\s?{roman}(?!{_LETTER})(?:\s?[./-]\s?{_DAY})?(?!\d)",
        rf"(?<!\d){_DAY}\s?thang\s?(?:1[0-2]|0?[1-9])[\s,]{{0,2}}(?:nam\s)?{YEAR}(?!\d)",  # Vietnamese
    )
    return tuple(re.compile(form + TIME, re.IGNORECASE) for form in forms)


@cache
def with_any_word() -> tuple[re.Pattern[str], ...]:
    """Day, a word and a year of four digits in any order; `word` may be a month in a language without a list."""
    sign = r"[\s._,/'-]"
    word = rf"(?P<word>{_LETTER}+(?:[.'\"״׳]{_LETTER}+)*)"
    day = rf"(?<![\d.,]){_DAY}(?<!{_LETTER}(?={_LETTER}))"
    year, end = _YEAR_OF_ANY_CALENDAR, r"(?![\d%]|[.,]\d)"
    first_year = rf"(?<![^\W_])(?<![.,]){year}(?:{_LETTER}{{1,4}}|\s?{_LETTER}\.)?"  # Lithuanian `1950 m.`
    forms = (
        rf"{day}{sign}{{0,3}}{_LINK}{word}{sign}{{0,3}}{_LINK}{year}{end}",
        rf"{first_year}{sign}{{1,3}}{word}{sign}{{1,3}}{_DAY}{end}",
        rf"(?<!{_LETTER}){word}{sign}{{1,3}}{_DAY},\s?{year}{end}",
    )
    return tuple(re.compile(form + TIME, re.IGNORECASE) for form in forms)


def _plain(words: str) -> frozenset[str]:
    return frozenset(plain_spelling(words)[0].split())


def _name(words: frozenset[str]) -> str:
    """Pattern of one of these words that stands alone, or between digits."""
    return rf"(?<!{_LETTER})(?:{_any_of(words)})(?!{_LETTER})"


def _any_of(words: frozenset[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))
