"""Classes from a CSV file, as people and spreadsheets write it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from medseg.errors import ManifestError, ScanError
from medseg.preprocess.classification import StoredSlices
from medseg.preprocess.classification.table import TargetTable, read_target_table
from medseg.records import Case

Reader = Callable[[str | bytes], TargetTable]
CASE = Case(case_id="a", patient_id="a", images=("a.nii.gz",))


def stored(count: int, *, is_flipped: bool = False) -> StoredSlices:
    return StoredSlices("a", "a", Path("nowhere"), np.arange(float(count)), 2, is_flipped, None)


@pytest.fixture
def table(tmp_path: Path) -> Reader:
    """A function that reads a table out of its text."""

    def read(text: str | bytes) -> TargetTable:
        path = tmp_path / "classes.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_target_table(path)

    return read


SLICES = "case_id,slice,liver,spleen\na,0,1,0\na,2,0,1\nb,0,0,0\n"


def test_rows_are_about_slices_of_the_scan_s_own_array(table: Reader) -> None:
    found = table(SLICES)
    assert (found.classes, found.kind, found.has_slices) == (("liver", "spleen"), "multilabel", True)
    targets = found.read(stored(3), CASE)
    assert targets.slices.tolist() == [[1, 0], [-1, -1], [0, 1]]
    turned = found.read(stored(3, is_flipped=True), CASE)
    assert turned.slices.tolist() == [[0, 1], [-1, -1], [1, 0]]
    assert targets.slices.dtype == np.int8


def test_study_is_positive_where_a_slice_is_and_unknown_where_one_might_be(table: Reader) -> None:
    text = "case_id,slice,liver,spleen,lung\na,0,1,0,0\na,1,,,0\n"
    assert table(text).read(stored(2), CASE).study.tolist() == [1, -1, 0]
    assert table("case_id,slice,liver\na,0,0\n").read(stored(2), CASE).study.tolist() == [-1]


def test_rows_about_cases_say_nothing_of_their_slices(table: Reader) -> None:
    found = table("case_id,liver,spleen\na,1,\n")
    assert not found.has_slices
    targets = found.read(stored(4), CASE)
    assert (targets.slices == -1).all()
    assert targets.slices.shape == (4, 2)
    assert targets.study.tolist() == [1, -1]


def test_one_column_names_the_class(table: Reader) -> None:
    found = table("case_id,slice,class\na,0,spleen\na,1,background\na,2,\na,3,liver\n")
    assert (found.classes, found.kind) == (("background", "liver", "spleen"), "multiclass")
    assert found.read(stored(4), CASE).slices.tolist() == [[0, 0, 1], [1, 0, 0], [-1, -1, -1], [0, 1, 0]]


@pytest.mark.parametrize("unknown", ["", "?", " ", " ? "])
def test_blank_or_question_mark_is_unknown_in_either_form(table: Reader, unknown: str) -> None:
    named = table(f"case_id,slice,class\na,0,liver\na,1,{unknown}\na,2,spleen\n")
    assert named.classes == ("liver", "spleen")
    assert named.read(stored(3), CASE).slices.tolist() == [[1, 0], [-1, -1], [0, 1]]
    several = table(f"case_id,slice,liver\na,0,1\na,1,{unknown}\n")
    assert several.read(stored(2), CASE).slices.tolist() == [[1], [-1]]


@pytest.mark.parametrize(
    ("word", "value"),
    [("1", 1), ("0", 0), ("true", 1), ("FALSE", 0), ("Yes", 1), ("no", 0), (" 1 ", 1), ("?", -1), ("", -1)],
)
def test_words_that_people_write(table: Reader, word: str, value: int) -> None:
    assert table(f"case_id,slice,liver\na,0,{word}\n").read(stored(1), CASE).slices.tolist() == [[value]]


@pytest.mark.parametrize(
    "text",
    [
        SLICES.replace("\n", "\r\n"),
        "\ufeff" + SLICES,
        "\ufeff" + SLICES.replace("\n", "\r\n"),
        SLICES.replace(",", " , "),
        SLICES + "\n\n",
        SLICES.rstrip("\n"),
        '"case_id","slice","liver","spleen"\n"a","0","1","0"\n"a","2","0","1"\n"b","0","0","0"\n',
        "spleen,slice,case_id,liver\n0,0,a,1\n1,2,a,0\n0,0,b,0\n",
    ],
    ids=["windows", "BOM", "BOM and windows", "spaces", "blank lines", "no last line end", "quotes", "columns turned"],
)
def test_file_means_the_same_however_it_is_written(table: Reader, text: str) -> None:
    found, plain = table(text), table(SLICES)
    order = [found.classes.index(name) for name in plain.classes]
    assert found.read(stored(3), CASE).slices[:, order].tolist() == plain.read(stored(3), CASE).slices.tolist()
    assert set(found.rows) == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have a column case_id"),
        ("case_id,slice\na,0\n", r"a column class or one per class, got \['case_id', 'slice'\]"),
        ("case,slice,liver\na,0,1\n", "must have a column case_id"),
        (SLICES.replace(",", ";"), "columns must be separated by commas, got 'case_id;slice;liver;spleen'"),
        ("case_id,slice,liver\n", "must have a row for each case, got none"),
        ("case_id,slice,liver\na,0,1,0\n", "every line must have 3 cells"),
        ("case_id,slice,liver\na,0\n", "every line must have 3 cells"),
        ("case_id,slice,liver\na,0,1\na,0,0\n", "line 3: a case and slice must come once, got it twice"),
        ("case_id,slice,liver\na,0,1\na,00,0\n", "line 3: a case and slice must come once, got it twice"),
        ("case_id,liver\na,1\na,1\n", "line 3: a case must come once, got it twice"),
        ("case_id,slice,liver\na,-1,1\n", "line 2: slice must be a whole number from 0, got '-1'"),
        ("case_id,slice,liver\na,1.0,1\n", "slice must be a whole number from 0, got '1.0'"),
        ("case_id,slice,liver\na,,1\n", "slice must be a whole number from 0, got ''"),
        ("case_id,slice,liver\na,²,1\n", "slice must be a whole number from 0"),
        ("case_id,slice,liver\na,0,2\n", "line 2: classes must hold 1, 0 or nothing, got '2'"),
        ("case_id,slice,liver\na,0,x\n", "classes must hold 1, 0 or nothing, got 'x'"),
        ("case_id,slice,liver,liver\na,0,1,0\n", "columns must have different names, got liver twice"),
        ("case_id,slice,liver, liver\na,0,1,0\n", "columns must have different names, got liver twice"),
        ("case_id,slice,liver,\na,0,1,\n", "every column must have a name, got none for column 4"),
        ("case_id,slice,class\na,0,\n", "column class must name at least two classes, got none"),
        ("case_id,slice,class\na,0,liver\na,1,?\n", "column class must name at least two classes, got liver"),
        ("case_id,slice,class,liver\na,0,x,1\n", "classes must hold 1, 0 or nothing, got 'x'"),
        ("case_id,liver\nä,1\n".encode("latin-1"), "must be a CSV file in UTF-8 with commas"),
    ],
)
def test_wrong_file_is_refused(table: Reader, text: str | bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message) as raised:
        table(text)
    assert "classes.csv" in str(raised.value)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"gone\.csv: must be a CSV file in UTF-8 with commas"):
        read_target_table(tmp_path / "gone.csv")


def test_slice_beyond_the_scan_is_refused_as_where_a_file_counts_from_1(table: Reader) -> None:
    found = table("case_id,slice,liver\na,1,0\na,2,1\na,3,1\n")
    with pytest.raises(ScanError, match=r"case a: slices must be numbered 0 to 2 .* got 3; .* counts from 1"):
        found.read(stored(3), CASE)


def test_case_without_a_row_is_refused(table: Reader) -> None:
    with pytest.raises(ScanError, match="case a: must have a row in the CSV file of classes, got none; add it"):
        table("case_id,slice,liver\nb,0,1\n").read(stored(3), CASE)
