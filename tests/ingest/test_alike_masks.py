"""Mask files of one image with names that are alike: each is a structure of its own, as in a structure set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from medseg.ingest.own_spelling import names_structure, readable, without_words

from tests.ingest.sources import Ingested, block, run_ingest, voxels, write_nifti

FIRST = block(slice(1, 5), slice(2, 6), slice(1, 4))
SECOND = block(slice(7, 10), slice(2, 6), slice(1, 3))


def ingest_two(tmp_path: Path, one: str, other: str, **options: str) -> Ingested:
    source = tmp_path / "src"
    write_nifti(source / "P1" / "ct.nii.gz", voxels())
    for name, mask in ((one, FIRST), (other, SECOND)):
        write_nifti(source / "P1" / f"{name}.nii.gz", mask.astype(np.uint8))
    return run_ingest(source, tmp_path / "out", **options)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mask_Niere", "mask_NIERE"),
        ("liver_mask", "LIVER_mask"),
        ("mask_バ", "mask_ハ"),
        ("mask_café", "mask_cafe"),
        ("mask_lesion (1)", "mask_lesion 1"),
        ("mask_lesion_1", "mask_lesion 1"),
        ("mask_PTV-", "mask_PTV"),
        ("PTV-_mask", "PTV_mask"),
        ("Leber_mask", "liver_mask"),
        ("mask_🫀", "mask_🧠"),
        ("mask_❤️", "mask_♥"),
        ("mask_ตับ", "mask_ตบ"),
        ("masks/Niere", "masks/niere"),
        ("Reader A/mask", "reader a/mask"),
    ],
)
def test_masks_whose_names_are_alike_are_two_structures(tmp_path: Path, one: str, other: str) -> None:
    done = ingest_two(tmp_path, one, other)
    label = done.label()
    assert len(done.manifest.foreground) == 2
    found = {tuple(map(tuple, np.argwhere(label == value))) for value in done.manifest.foreground.values()}
    assert found == {tuple(map(tuple, np.argwhere(mask))) for mask in (FIRST, SECOND)}
    assert done.document["files_became"]["label"] == 2


def test_masks_of_two_patients_whose_names_are_alike_are_one_structure(tmp_path: Path) -> None:
    source = tmp_path / "src"
    for number, name in enumerate(("Niere_mask", "NIERE mask", "niere-mask")):
        write_nifti(source / f"P{number}" / "ct.nii.gz", voxels(seed=number))
        write_nifti(source / f"P{number}" / f"{name}.nii.gz", FIRST.astype(np.uint8))
    done = run_ingest(source, tmp_path / "out")
    assert list(done.manifest.foreground) == ["kidney"]
    assert len(done.manifest.select("training")) == 3


def test_masks_that_a_mapping_names_only_by_likeness_fail_their_case(tmp_path: Path) -> None:
    done = ingest_two(tmp_path, "mask_Niere", "mask_NIERE", mapping="labels: {kidney: {value: 1, names: [niere]}}")
    (failure,) = done.report.failures
    assert "structures that read alike must each be named in full" in failure.reason


def test_mask_of_which_nothing_is_used_is_set_aside_with_the_reason(tmp_path: Path) -> None:
    done = ingest_two(tmp_path, "liver_mask", "mask_liver")
    became = {entry["became"]: entry["why"] for entry in done.document["sources"]}
    assert done.document["files_became"] == {"image": 1, "label": 1, "set aside": 1}
    assert "a later label of its image holds the same structures" in became["set aside"]
    assert len(done.document["cases"][0]["labels"]) == 1


def test_mask_that_the_mapping_ignores_is_no_label(tmp_path: Path) -> None:
    mapping = "{labels: {liver: {value: 1, names: [liver]}}, ignore: [couch]}"
    done = ingest_two(tmp_path, "liver_mask", "couch_mask", mapping=mapping)
    assert done.document["files_became"] == {"image": 1, "label": 1, "set aside": 1}


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("mask_Niere", "Niere"),
        ("LiverMask", "Liver"),
        ("P1_Lesion (1)_mask", "Lesion (1)"),
        ("liver_mask_left", "liver_left"),
        ("Liver (mask)", "Liver"),
        ("mask - PTV+5", "PTV+5"),
        ("GTV™ mask", "GTV™"),
        ("mask_🫀", "🫀"),
        ("mask", ""),
        ("liver\udce4_mask", "liver\udce4"),
    ],
)
def test_words_of_a_role_leave_a_name_and_all_else_stays(name: str, left: str) -> None:
    assert without_words(name, {"mask", "p1"}) == left


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20).map(str.strip))
def test_name_without_such_words_is_unchanged(name: str) -> None:
    assert without_words(name, frozenset()) == name


def test_bytes_that_are_no_text_are_no_name_and_are_stored_as_escapes() -> None:
    assert not names_structure("\udce4_1")
    assert readable("liver\udce4") == "liver\\xe4"
