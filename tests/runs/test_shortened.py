"""A long table of results is cut, and its means stay."""

from __future__ import annotations

from medseg.evaluation.segmentation import summarise
from medseg.records import CaseMetrics
from medseg.runs.describe import shortened


def table(structures: int) -> str:
    rows = [
        CaseMetrics(f"c{n}", f"s{value:03d}", {"dice": 0.5 + n / 4, "hd95_mm": 2.0}, label_voxels=9, mask_voxels=9)
        for n in range(2)
        for value in range(structures)
    ]
    return str(summarise(rows))


def test_table_that_fits_stays_as_it_is() -> None:
    assert shortened(table(14), most=30) == table(14)


def test_of_a_hundred_structures_the_first_and_the_means_are_shown() -> None:
    lines, whole = shortened(table(117), most=30).splitlines(), table(117).splitlines()
    assert lines[:28] == whole[:28]
    assert lines[28] == f"... and {2 * 117 - 28} lines more, in the tables"
    assert lines[29:] == whole[-2:]
    assert all("mean over structures" in line for line in lines[29:])
