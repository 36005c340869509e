"""The table of codes against the SNOMED CT terms that pydicom carries, and what a model's labels become."""

from __future__ import annotations

import csv
import re

import pytest
from medseg.targets import ExclusiveLabels
from medseg.terms import Term, find_term, read_terms, segments_of, uncoded
from medseg.terms.table import CATEGORIES, SIDES, TABLE
from pydicom.sr._concepts_dict import concepts


def known(code: str) -> tuple[set[str], set[int]]:
    """Meanings of a code in pydicom, and the context groups of PS3.16 that hold it."""
    found = [term[code] for term in concepts["SCT"].values() if code in term]
    return {meaning for meaning, _ in found}, {group for _, groups in found for group in groups}


@pytest.mark.parametrize("term", read_terms(), ids=lambda term: term.names[0])
def test_every_code_and_meaning_is_that_of_pydicom(term: Term) -> None:
    meanings, groups = known(term.kind.value)
    assert term.kind.scheme == "SCT"
    assert term.kind.meaning in meanings
    assert groups, "a term that no context group of DICOM holds may mean something else, as radius does"


@pytest.mark.parametrize("term", [*CATEGORIES.values(), *SIDES.values()], ids=lambda term: term.meaning)
def test_categories_and_sides_are_those_of_pydicom(term: object) -> None:
    assert term.meaning in known(term.value)[0]  # type: ignore[attr-defined]


def test_no_name_stands_twice_in_the_table() -> None:
    names = [name for term in read_terms() for name in term.names]
    assert len(names) == len(set(names))


def test_every_colour_of_the_table_is_one() -> None:
    with TABLE.open(encoding="utf-8", newline="") as stream:
        colours = [row["colour"] for row in csv.DictReader(stream) if row["colour"]]
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)


@pytest.mark.parametrize(
    ("name", "meaning", "side"),
    [
        ("liver", "Liver", None),
        ("LIVER", "Liver", None),
        ("kidney_right", "Kidney", "Right"),
        ("Left Kidney", "Kidney", "Left"),
        ("left-kidney", "Kidney", "Left"),
        ("kidneys", "Kidney", None),
        ("lung_upper_lobe_left", "Upper lobe of lung", "Left"),
        ("lung_middle_lobe_right", "Middle lobe of right lung", None),
        ("heart_atrium_left", "Left atrium", None),
        ("left atrium", "Left atrium", None),
        ("vertebrae_T12", "T12 vertebra", None),
        ("vertebrae_C1", "C1 vertebra", None),
        ("rib_left_12", "Rib", "Left"),
        ("GTV_Mass", "Mass", None),
        ("nuclei", "Nucleus", None),
        ("postcava", "Inferior vena cava", None),
    ],
)
def test_names_are_found_whatever_their_case_and_signs(name: str, meaning: str, side: str | None) -> None:
    found = find_term(name)
    assert found is not None
    assert found[0].kind.meaning == meaning
    assert (found[1].meaning if found[1] else None) == side


@pytest.mark.parametrize("name", ["livr", "liver 2", "liver_left", "left right kidney", "vertebrae_T13", "Anterior"])
def test_names_that_are_merely_alike_are_not_found(name: str) -> None:
    assert find_term(name) is None


def test_labels_of_a_model_become_segments_with_values_and_codes() -> None:
    target = ExclusiveLabels(labels={"background": 0, "spleen": 7, "left kidney": 3, "my structure": 1})
    spleen, kidney, own = segments_of(target.foreground)
    assert [one.number for one in (spleen, kidney, own)] == [1, 2, 3]
    assert [one.values for one in (spleen, kidney, own)] == [(7,), (3,), (1,)]
    assert kidney.laterality == SIDES["left"]
    assert own.kind is None
    assert own.category.meaning == "Anatomical Structure"
    assert uncoded([spleen, kidney, own]) == ("my structure",)


def test_a_tumour_is_an_abnormal_structure_and_fat_a_tissue() -> None:
    tumour, fat, whole = segments_of({"tumour": 1, "fat": 2, "whole tumour": (1, 2)})
    assert tumour.category.meaning == "Morphologically Abnormal Structure"
    assert fat.category.meaning == "Tissue"
    assert whole.values == (1, 2)
