"""Colours of structures: those of the table, and others that are told apart from them."""

from __future__ import annotations

from itertools import combinations
from math import dist

import numpy as np
import pytest
from medseg.terms import distinct_colours, hex_code, read_terms, segments_of, structure_colours

LIVER, SPLEEN, KIDNEY, BONE = (221, 130, 101), (157, 108, 162), (185, 102, 83), (241, 214, 145)
AMBER, BLUE = (255, 176, 0), (64, 176, 255)


def test_structures_of_the_table_have_its_colours_whatever_their_case() -> None:
    assert structure_colours(["Liver", "mine", "SPLEEN"]) == {"Liver": LIVER, "mine": AMBER, "SPLEEN": SPLEEN}


def test_the_order_of_the_names_changes_no_colour() -> None:
    names = ["liver", "kidney_left", "kidney_right", *(f"part {n}" for n in range(30))]
    shuffled = np.random.default_rng(0).permutation(names).tolist()
    assert structure_colours(shuffled) == structure_colours(names)
    assert list(structure_colours(shuffled)) == shuffled
    assert structure_colours(["second", "first"]) == {"second": BLUE, "first": AMBER}


def test_the_first_by_name_keeps_the_colour_that_several_want() -> None:
    colours = structure_colours(["kidney_right", "kidney_left"])
    assert colours["kidney_left"] == KIDNEY
    assert colours["kidney_right"] != KIDNEY
    assert distinct_colours([None, BONE, BONE])[1] == BONE


def test_255_structures_are_told_apart_and_seen_on_a_dark_scan() -> None:
    names = [f"vertebrae_T{n}" for n in range(1, 13)] + [f"part {n}" for n in range(243)]
    colours = structure_colours(names)
    assert len(set(colours.values())) == 255
    assert all(max(colour) >= 150 for colour in colours.values())
    assert min(dist(one, other) for one, other in combinations(colours.values(), 2)) > 6


def test_thousands_of_structures_have_colours_though_these_come_again() -> None:
    colours = structure_colours(f"part {n}" for n in range(5000))
    assert len(colours) == 5000
    assert len(set(colours.values())) > 255


def test_colours_are_found_where_every_colour_of_the_table_is_taken() -> None:
    names = [term.names[0] for term in read_terms()]
    assert len({*structure_colours([*names, *(f"part {n}" for n in range(255 - len(names)))]).values()}) == 255


def test_structures_are_told_apart_though_the_table_has_them_in_like_colours() -> None:
    colours = structure_colours(["liver", "stomach", "spleen", "mine"])
    assert colours["liver"] == LIVER
    assert all(dist(one, other) >= 50 for one, other in combinations(colours.values(), 2))


def test_a_structure_without_an_entry_looks_like_none_of_the_table() -> None:
    names = ["liver", "pancreas", "spleen"]
    colours = structure_colours([*names, *(f"part {n}" for n in range(25))])
    assert all(dist(one, other) >= 50 for one, other in combinations(colours.values(), 2))


def test_segments_have_the_colours_of_their_names() -> None:
    labels = {"zone": 1, "liver": 2, "area": (1, 2)}
    assert {one.name: one.colour for one in segments_of(labels)} == structure_colours(labels)


@pytest.mark.parametrize(("colour", "code"), [((0, 0, 0), "#000000"), ((255, 176, 9), "#ffb009")])
def test_a_colour_has_a_code(colour: tuple[int, int, int], code: str) -> None:
    assert hex_code(colour) == code
