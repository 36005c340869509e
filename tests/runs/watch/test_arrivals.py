"""What lies in an inbox is taken when it is whole, whatever else lies there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from medseg.runs.segmentation.watch.arrivals import Arrival, list_arrivals


def arrivals_of(inbox: Path, *, marker: str = "", without: Path | None = None) -> dict[str, Arrival]:
    found = list_arrivals(inbox, without=without or inbox / "masks", marker=marker)
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def write(inbox: Path, *names: str) -> None:
    for name in names:
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (inbox / name).touch()


def test_channels_of_a_scan_arrive_together(tmp_path: Path) -> None:
    write(tmp_path, "a_0000.nii.gz", "a_0001.nii.gz", "b.mha", "1.dcm", "2.dcm")
    found = {name: sorted(path.name for path in one.paths) for name, one in arrivals_of(tmp_path).items()}
    assert found == {"a": ["a_0000.nii.gz", "a_0001.nii.gz"], "b": ["b.mha"], ".": ["1.dcm", "2.dcm"]}


def test_scan_waits_for_each_of_its_channels(tmp_path: Path) -> None:
    write(tmp_path, "a_0000.nii.gz", "a_0001.nii.gz.part", "b.nii.gz")
    found = arrivals_of(tmp_path)
    assert (found["a"].unfinished, found["b"].unfinished) == ("holds a_0001.nii.gz.part", "")


def test_unfinished_file_of_no_scan_is_told(tmp_path: Path) -> None:
    write(tmp_path, "a.nii.gz.part")
    assert arrivals_of(tmp_path)["a.nii.gz.part"].unfinished == "has the name of an unfinished upload"


def test_folder_and_file_of_one_name_are_two_arrivals(tmp_path: Path) -> None:
    write(tmp_path, "a/1.dcm", "a.nii.gz")
    assert {name: one.paths[0].name for name, one in arrivals_of(tmp_path).items()} == {
        "a": "a",
        "a.nii.gz": "a.nii.gz",
    }


@pytest.mark.parametrize("name", [".DS_Store", "._1.dcm", "@eaDir/1.dcm", ".nfs0000a1"])
def test_what_a_system_leaves_in_a_study_does_not_hold_it_back(tmp_path: Path, name: str) -> None:
    write(tmp_path, "study/1.dcm")
    before = arrivals_of(tmp_path)["study"]
    write(tmp_path, f"study/{name}")
    assert arrivals_of(tmp_path)["study"] == before
    assert before.unfinished == ""


def test_hidden_and_special_files_are_told_and_never_opened(tmp_path: Path) -> None:
    write(tmp_path, ".DS_Store", ".trash/a.nii.gz")
    os.mkfifo(tmp_path / "a.mhd")
    found = arrivals_of(tmp_path)
    hidden = "it is hidden, or lies in a hidden folder"
    assert {name: (one.paths, one.no_case) for name, one in found.items()} == {
        ".DS_Store": ((), hidden),
        ".trash": ((), hidden),
        "a.mhd": ((), "no ordinary file"),
    }


def test_links_in_a_circle_are_followed_once(tmp_path: Path) -> None:
    write(tmp_path, "study/1.dcm")
    before = arrivals_of(tmp_path)
    (tmp_path / "study" / "again").symlink_to(".")
    assert arrivals_of(tmp_path) == before


def test_masks_within_a_study_are_no_part_of_it(tmp_path: Path) -> None:
    write(tmp_path, "study/1.dcm")
    before = arrivals_of(tmp_path)
    write(tmp_path, "study/masks/a.nii.gz")
    assert arrivals_of(tmp_path, without=tmp_path / "study" / "masks") == before


def test_mark_does_not_hide_an_unfinished_file(tmp_path: Path) -> None:
    write(tmp_path, "study/1.dcm", "study/.done", "study/2.dcm.part")
    assert arrivals_of(tmp_path, marker=".done")["study"].unfinished == "holds 2.dcm.part"
    (tmp_path / "study" / "2.dcm.part").rename(tmp_path / "study" / "2.dcm")
    assert arrivals_of(tmp_path, marker=".done")["study"].unfinished == ""
