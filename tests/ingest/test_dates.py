from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medseg.ingest.dates import find_dates

from tests.ingest.sources import run_ingest, write_ct, write_rtstruct

SPELLINGS = [
    "12. Nov 1950", "12.Nov.1950", "12 November 1950", "12. November 50", "12-Nov-1950", "12NOV1950", "12nov50",
    "Nov 12, 1950", "Nov. 12 1950", "November 12th, 1950", "12th of November 1950", "1950-11-12", "1950/11/12",
    "1950.11.12", "12/11/50", "12/11/1950", "11/12/1950", "12.11.1950", "12. 11. 1950", "12-11-50", "12_11_1950",
    "12 11 1950", "19501112", "12111950", "19501112T083000", "19501112083000", "1950-11-12 08:30",
    "1950-11-12T08:30:00", "2023-4-5", "1950 Nov 12", "1950-Nov-12", "12 novembre 1950", "12 de noviembre de 1950",
    "12 novembro 1950", "12 dez 1950", "12. Dezember 1950", "3. März 1950", "3. Maerz 1950", "1er août 1950",
    "12 févr. 1950", "12 enero 1950", "12 dic 1950", "12 mai 1950", "12 mei 1950", "12 maggio 1950", "5 May 1950",
    "May 5, 1950", "12.XI.1950", "12/XI/50", "1950年11月12日", "Nov 1950", "November 1950", "11/1950", "1950-11",
    "12. Nov", "Nov 12", "05.04.2023", "2023-4-5", "1st Sept 2023", "12 okt 2023", "Mar 3 2023", "XI/1950", "XI.1950",
    "XI-1950", "nov. '50", "12.11.'50", "1950-W46-7", "1950W46", "KW 46/1950", "Q4 1950", "12.-11.-1950",
    "12/11-1950", "12/11/-1950", "2023年5月", "12 ноября 1950", "ноябрь 1950", "12 ноя. 50", "12 Νοεμβρίου 1950",
    "12 listopadu 1950", "12 noiembrie 1950", "12 marraskuuta 1950", "12 Kasım 1950", "12 KASIM 1950",
    "1950. november 12.", "١٢ نوفمبر ١٩٥٠", "१२ नवंबर १९५०", "12 พฤศจิกายน 2493", "12 พ.ย. 2562",
    "12 tháng 11 năm 1950", "2020년 1월 2일", "2020년 1월", "二〇一九年五月四日", "令和元年5月1日", "昭和25.11.12",
    "令和1/5/1", "१२/११/१९५०", "١٢/١١/١٩٥٠", "１２／１１／１９５０", "１９５０年１１月１２日", "㋊12日", "12‐11‐1950",
    "12–1–1950", "12−11−1950", "12\u200f/11\u200f/1950", "12\u00a0Nov\u00a01950", "12。11。1950", "12 בנובמבר 1950",
    "12\\11\\1950", "12|11|1950", "12~11~1950", "12-го ноября 1950", "12η Νοεμβρίου 1950", "12:e november 1950",
    "12/XI-1950", "12 XI 1950", "1950.XI.12", "1950/XI", "12 ט״ו 1950",
    "12 նոյեմբերի 1950", "12 ნოემბერი 1950",
]  # fmt: skip

# Day, word and year in languages without a list, other calendars, and what is rather a number in a message.
FREE_SPELLINGS = [
    "12 Tachwedd 1950", "12 Nopember 1950", "12. studenoga 1950", "12 Novemba 1950", "1950 m. gruodžio 12",
    "Tachwedd 12, 1950", "12 Rajab 1440", "12 Tishri 5711", "12 aban 1329", "1329/08/21", "21/8/1329", "12/11/2493",
    "1950-316", "S25.11.12", "R02/1/12", "2,1,2020", "12, 11, 1950", "12.11 1950", "12:11:1950",
    "12'11'1950", "12+11+1950",
]  # fmt: skip


TEXTS = pytest.mark.parametrize(
    "text", ["{}", "CT Abdomen {}", "{} Thorax", "Kontrolle vom {}, nativ", "T1w_{}_ax", "({})"]
)


def kept_of(text: str, *, is_free: bool = False) -> str:
    spans = list(find_dates(text, is_free=is_free))
    return "".join(char for at, char in enumerate(text) if not any(first <= at < last for first, last in spans))


@TEXTS
@pytest.mark.parametrize("written", SPELLINGS)
def test_date_in_any_spelling_is_found_whole(written: str, text: str) -> None:
    whole = text.format(written)
    kept = kept_of(whole)
    assert not any(char.isnumeric() for char in kept.replace("T1", "")), kept
    assert kept.startswith(whole[: min(whole.index(written), 2)])


@TEXTS
@pytest.mark.parametrize("written", FREE_SPELLINGS)
def test_date_that_only_a_person_writes_is_found_in_texts_of_persons(written: str, text: str) -> None:
    kept = kept_of(text.format(written), is_free=True)
    assert not any(char.isnumeric() for char in kept.replace("T1", "")), kept


@given(
    st.text("абвгдежзиклмнопрстуфхцшщыюя", min_size=2, max_size=9)
    | st.text("אבגדהוזחטיכלמנסעפצקרשת", min_size=2, max_size=9)
    | st.text("กขคงจชซดตถทนบปพฟมยรลวสหอ", min_size=2, max_size=9),
    st.integers(1, 31),
    st.integers(1900, 2099),
    st.sampled_from([" ", ". ", "-", "/", "_", "."]),
)
def test_any_word_of_another_script_between_day_and_year_is_a_month(word: str, day: int, year: int, sign: str) -> None:
    assert kept_of(f"{day}{sign}{word}{sign}{year}") == ""
    assert kept_of(f"{year}{sign}{word}{sign}{day}") == ""


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)), st.sampled_from([0x660, 0x6F0, 0x966, 0xE50, 0xFF10, 0x1D7CE]))
def test_every_day_is_found_in_digits_of_any_script(day: date, zero: int) -> None:
    for form in ("%d.%m.%Y", "%Y-%m-%d", "%d/%m-%Y", "%Y%m%d"):
        written = "".join(chr(zero + int(char)) if char.isdecimal() else char for char in day.strftime(form))
        assert kept_of(f"CT {written}") == "CT "


@pytest.mark.parametrize(
    "text",
    ["T1 3D 1.5 mm", "AX T2 FLAIR 5/1", "b 0 50 400 800", "512x512", "CT 120 kV 3.0 B70f", "TR 2000 TE 90",
     "2.25.19641231",
     "1.2.840.10008.5.1.4.1.1.2", "Set 3", "may be burned in", "5 sets of 10 slices", "got 6 slices, 2 of 12 mm",
     "phase 70 %",
     "decision 5", "marker 12", "1.25 x 1.25 x 2.5", "series 12 of 20", "Protocol 2019",
     "v1.2.30", "T1_2_30", "S4 5-8",
     "12 Thorax 2020", "3 Tesla 2019", "TR 12 TE 2000", "T1.2.3", "12 of 2000", "v.2020",
     "V-2000", "12,5 2000", "12:11:50", "1+2+10",
     "12 slices 2000", "2000 mm 12", "30 directions 2000", "FOV 12 mm 2000", "vIII 3.0",
     "junction 3", "octreotide 12", "20 slices at 0.625 mm", "99999999", "13/13/2023", "out 5 of 20 mm"],
)  # fmt: skip
def test_numbers_and_words_that_are_no_dates_stay(text: str) -> None:
    assert list(find_dates(text, is_free=True)) == []


@pytest.mark.parametrize(
    "message",
    ["got 12 but 2048", "shape must equal (12, 10, 2000)", "shape (2, 3, 1950), got [1, 2, 2000]", "12 voxels 2000",
     "slices 3-12, 2000 mm", "slice 12 of 2000", "values 2000-300", "got 1:2:2000", "2 11 1440", "S25.11.12",
     "case_12_Rajab_1440"],
)  # fmt: skip
def test_numbers_of_messages_stay(message: str) -> None:
    assert list(find_dates(message)) == []


def test_number_before_a_date_does_not_hide_it() -> None:
    assert list(find_dates("T1_12_11_1950")) == [(3, 13)]


def test_six_digits_are_a_date_in_a_text_but_not_in_a_message() -> None:
    assert list(find_dates("CT 120450", is_free=True)) == [(3, 9)]
    assert list(find_dates("got 120450 bytes")) == []
    assert list(find_dates("CT 994599", is_free=True)) == []


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)), st.sampled_from("./- "), st.booleans())
def test_every_day_is_found_in_numbers(day: date, sign: str, year_first: bool) -> None:
    parts = [f"{day.year}", f"{day.month:02d}", f"{day.day:02d}"]
    text = sign.join(parts if year_first else parts[::-1])
    assert (0, len(text)) in list(find_dates(text))


def test_shifted_dates_are_not_undone_by_texts(tmp_path: Path) -> None:
    study = date(2023, 4, 5)
    for number, written in enumerate(("5. April 2023", "Apr 5, 2023", "05/04/23", "20230405", "5 avril 2023")):
        folder = tmp_path / "src" / str(number)
        images = write_ct(
            folder,
            seed=number,
            PatientID=str(number),
            StudyDate=f"{study:%Y%m%d}",
            SeriesDescription=f"Thorax {written}",
        )
        write_rtstruct({f"GTV {written}": (2, 5, 2, 5, 1, 3)}, images, folder / "rs")
    done = run_ingest(tmp_path / "src", tmp_path / "out", shift_dates=True)
    assert {channel["description"] for case in done.document["cases"] for channel in case["channels"]} == {"Thorax …"}
    assert set(done.report.structures) == {"GTV …"}
    for case in done.manifest.cases:
        assert case.study_date is not None
        assert timedelta(0) < study - date.fromisoformat(case.study_date) <= timedelta(365)
