"""What a file says must be all that it must say, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from medseg.delivery.certificate import Expected, Hidden, Number, check_contents
from medseg.delivery.certificate.label_statements import expected_itksnap, expected_slicer, read_itksnap, read_slicer
from medseg.delivery.certificate.table_statements import read_table
from medseg.scans.segment import CodedTerm, Segment
from medseg.scans.statements import Key, Statements

KIND = CodedTerm(value="91723000", scheme="SCT", meaning="Anatomical structure")
EXPECTED: Expected = {
    ("segment 1", "name"): "left kidney",
    ("segment 1", "volume"): Number(12.5, 0.01),
    ("file", "patient"): Hidden("Mustermann^Erika"),
}
SAID: dict[Key, str | float] = {
    ("segment 1", "name"): " left  kidney",
    ("segment 1", "volume"): "12.505",
    ("file", "patient"): "Mustermann^Erika",
}


def found(**changes: str | float | None) -> Statements:
    """What the file says with some values changed, or left out."""
    whats = {key[1]: key for key in SAID}
    said = SAID | {whats.get(what, ("file", what)): value for what, value in changes.items() if value is not None}
    left_out = {whats[what] for what, value in changes.items() if value is None}
    return Statements(library="test", values={key: value for key, value in said.items() if key not in left_out})


def test_all_that_was_expected_passes_with_the_largest_difference() -> None:
    checked = check_contents(EXPECTED, found())
    assert (checked.is_passed, checked.reason) == (True, "")
    rows = {row.what: (row.count, row.largest_difference) for row in checked.compared}
    assert rows == {"name": (1, None), "volume": (1, pytest.approx(0.005)), "patient": (1, None)}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "kidney left"}, "segment 1: name is 'kidney left' and not 'left kidney'"),
        ({"name": "Left kidney"}, "segment 1: name is 'Left kidney' and not 'left kidney'"),
        ({"name": None}, "segment 1: the file has no name"),
        ({"volume": 12.52}, "segment 1: volume is 12.52 and not 12.5"),
        ({"volume": "nan"}, "segment 1: volume is 'nan' and not 12.5"),
        ({"volume": "inf"}, "segment 1: volume is 'inf' and not 12.5"),
        ({"volume": "12.5 ml"}, "segment 1: volume is '12.5 ml' and not 12.5"),
        ({"patient": "Musterfrau^Eva"}, "file: patient is another one"),
        ({"ghost": "1"}, "file: the file has ghost, which it must not have"),
    ],
)
def test_whatever_differs_fails_and_no_patient_is_named(changes: dict[str, str | float | None], reason: str) -> None:
    checked = check_contents(EXPECTED, found(**changes))
    assert (checked.is_passed, checked.reason) == (False, reason)


def segment(number: int, name: str, *values: int, colour: tuple[int, int, int] = (255, 0, 9)) -> Segment:
    return Segment(number=number, name=name, values=values, colour=colour, category=KIND)


TUMOUR = (segment(1, "tumour", 2, 3, colour=(1, 2, 3)), segment(2, 'the "core"', 3, colour=(4, 5, 6)))


def test_label_files_as_other_programs_write_them_pass(tmp_path: Path) -> None:
    itksnap, slicer = tmp_path / "a.txt", tmp_path / "a.ctbl"
    itksnap.write_text(
        '# of ITK-SNAP\n\n0 0 0 0 0 0 0 "Clear Label"\n2\t1 2 3 0.5 1 1 "tumour"\n'
        "3 4 5 6 1 0 0 \"the 'core', tumour\"\n"
    )
    slicer.write_text('# of Slicer\n3 the_"core",_tumour 4 5 6 255\n0 Background 0 0 0 0\n2 tumour 1 2 3 255\n')
    for expected, read in (
        (expected_itksnap(TUMOUR), read_itksnap(itksnap)),
        (expected_slicer(TUMOUR), read_slicer(slicer)),
    ):
        checked = check_contents(expected, read)
        assert checked.is_passed, checked.reason


def test_value_that_stands_twice_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.ctbl"
    path.write_text("0 Background 0 0 0 0\n1 liver 255 0 9 255\n1 spleen 255 0 9 255\n")
    checked = check_contents(expected_slicer([segment(1, "liver", 1)]), read_slicer(path))
    assert checked.reason == "value 1 again: the file has name, which it must not have"


@pytest.mark.parametrize(
    "content", ["", "structure,volume_ml\nliver,1\n", "segment,segment\n1,1\n", "segment,voxels\n1\n", 'segment\n"1\n']
)
def test_torn_table_cannot_be_read(tmp_path: Path, content: str) -> None:
    path = tmp_path / "measurements.csv"
    path.write_text(content)
    with pytest.raises((ValueError, LookupError)):
        read_table(path)
