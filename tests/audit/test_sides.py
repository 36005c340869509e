from __future__ import annotations

import numpy as np
import pytest
from medseg.audit.facts import CaseFacts
from medseg.audit.finding import Finding
from medseg.audit.sides import SidePair, check_sides, side_pairs

from tests.audit.dirty import Dataset, findings, only
from tests.audit.made_up import facts_of, label_of

LABELS = ["kidney_left", "kidney_right"]


def kidneys(case_id: str, *, left_mm: float | None = -50.0, right_mm: float | None = 50.0) -> CaseFacts:
    places = {"kidney_left": left_mm, "kidney_right": right_mm}
    return facts_of(case_id, labels={name: label_of(9.0, x_mm=x) for name, x in places.items() if x is not None})


def check(*cases: CaseFacts) -> list[Finding]:
    return [found for found in check_sides(cases, LABELS) if found.severity != "note"]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("kidney_left", "kidney_right"),
        ("LeftLung", "RightLung"),
        ("left lung upper lobe", "right lung upper lobe"),
        ("lh_cortex", "rh_cortex"),
        ("femur L", "femur R"),
        ("Niere links", "Niere rechts"),
        ("rein_gauche", "rein_droit"),
        ("hip_left_2", "hip_right_2"),
    ],
)
def test_names_of_two_sides_are_a_pair(left: str, right: str) -> None:
    assert side_pairs(["background", right, "liver", left]) == [SidePair(left, right)]


@pytest.mark.parametrize(
    "labels",
    [("kidney_left", "lung_right"), ("liver", "spleen"), ("Anterior", "Posterior"), ("rib_left_1", "rib_right_2")],
)
def test_other_names_are_no_pair(labels: tuple[str, str]) -> None:
    assert side_pairs(labels) == []


def test_pairs_are_noted() -> None:
    (found,) = check_sides([kidneys("a")], LABELS)
    assert (found.check, found.severity) == ("sides", "note")
    assert "kidney_left and kidney_right" in found.fact


def test_swapped_case_among_others_is_an_error() -> None:
    (found,) = check(*(kidneys(f"c{n}") for n in range(3)), kidneys("odd", left_mm=40, right_mm=-35))
    assert (found.check, found.severity, found.case_id) == ("swapped_sides", "error", "odd")
    assert "got it 75 mm to the right (3 cases are the right way round)" in found.fact


def test_swapped_case_alone_is_a_warning() -> None:
    (found,) = check(kidneys("odd", left_mm=40, right_mm=-35))
    assert found.severity == "warning"


def test_dataset_that_is_swapped_throughout_is_one_error() -> None:
    cases = [kidneys(f"c{n}", left_mm=40, right_mm=-35) for n in range(4)]
    (found,) = check(*cases, kidneys("right"))
    assert (found.check, found.severity, found.case_id) == ("swapped_sides", "error", None)
    assert "in 4 of 5" in found.fact


def test_organs_on_top_of_each_other_are_not_swapped() -> None:
    assert check(kidneys("a"), kidneys("b", left_mm=1, right_mm=0)) == []


def test_one_side_alone_in_many_cases_is_a_warning() -> None:
    (found,) = check(kidneys("a"), kidneys("b"), kidneys("c", left_mm=None), kidneys("d", right_mm=None))
    assert (found.check, found.severity, found.others) == ("one_side", "warning", ("c", "d"))
    assert "one alone in 2 of 4 cases" in found.fact


def test_one_side_alone_once_is_fine() -> None:
    assert check(kidneys("a"), kidneys("c", left_mm=None)) == []


def test_pictures_have_no_sides() -> None:
    import dataclasses

    picture = dataclasses.replace(kidneys("odd", left_mm=40, right_mm=-35), is_picture=True)
    assert check(kidneys("a"), kidneys("b"), picture) == []


def test_swapped_labels_are_found_on_disk(dataset: Dataset) -> None:
    swap = np.array([0, 1, 3, 2], np.uint8)
    dataset.edit_voxels(dataset.label("phantom_02_0"), lambda label: swap[label])
    found = only(dataset.audit())
    assert (found.check, found.severity, found.case_id) == ("swapped_sides", "error", "phantom_02_0")


def test_mirrored_header_is_found_on_disk(dataset: Dataset) -> None:
    def mirror(header) -> None:  # type: ignore[no-untyped-def]
        affine = np.diag([-1.0, 1.0, 1.0, 1.0]) @ header.get_sform()
        header.set_sform(affine, code=1)
        header.set_qform(affine, code=1)

    for path in (dataset.image("phantom_02_0"), dataset.label("phantom_02_0")):
        dataset.edit_header(path, mirror)
    assert "swapped_sides" in [found.check for found in findings(dataset.audit())]
