from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from medseg.atomic import (
    atomic_path,
    check_writable,
    remove_folder,
    remove_leftovers,
    replacing_folder,
    write_json,
    write_text,
)
from medseg.errors import DeliveryError


def test_text_comes_back_as_written(tmp_path: Path) -> None:
    write_text(tmp_path / "deep" / "er" / "a.txt", "Zürich 5 µm\n")
    assert (tmp_path / "deep" / "er" / "a.txt").read_text(encoding="utf-8") == "Zürich 5 µm\n"
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["a.txt"]


def test_existing_file_is_replaced(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old and longer")
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "new"


def test_target_is_not_there_before_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a.nii.gz"
    with atomic_path(target, suffix=".nii.gz") as temporary:
        temporary.write_bytes(b"x")
        assert temporary.parent == target.parent
        assert temporary.name.endswith(".nii.gz")
        assert not target.exists()
    assert target.read_bytes() == b"x"


def test_folder_appears_whole(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "store") as temporary:
        temporary.mkdir()
        (temporary / "a").write_text("1", encoding="utf-8")
        assert not (tmp_path / "store").exists()
    assert (tmp_path / "store" / "a").read_text(encoding="utf-8") == "1"


def write_half_a_file(target: Path) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise KeyError("stop")


def write_half_a_folder(target: Path) -> None:
    with atomic_path(target) as temporary:
        temporary.mkdir()
        (temporary / "a").write_text("half", encoding="utf-8")
        raise KeyError("stop")


def test_error_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(KeyError, match="stop"):
        write_half_a_file(tmp_path / "a.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "old"


def test_error_in_the_block_removes_a_half_made_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="stop"):
        write_half_a_folder(tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def write_half(self: Path, text: str, encoding: str) -> int:
        self.write_bytes(text.encode(encoding)[:2])
        raise OSError(code, "no room")

    monkeypatch.setattr(Path, "write_text", write_half)
    with pytest.raises(DeliveryError, match=r"a\.json: must be writable in .*got: the disk is full; free space"):
        write_json(tmp_path / "a.json", {"dice": 0.9})
    assert list(tmp_path.iterdir()) == []


def test_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "a.txt", "old")

    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(DeliveryError, match="the disk is full"):
            write_text(tmp_path / "a.txt", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "old"


def test_other_trouble_of_the_disk_is_told_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    (tmp_path / "a.txt" / "b").touch()
    with pytest.raises(DeliveryError, match="Is a directory"):
        write_text(tmp_path / "a.txt", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_nan_becomes_null_at_any_depth(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": float("nan"), "b": [1.5, (float("nan"), {3: float("nan")})]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": None, "b": [1.5, [None, {"3": None}]]}
    assert text.endswith("}\n")


@pytest.mark.parametrize("name", ["file/below.json", "n" * 300])
def test_place_that_cannot_be_written_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DeliveryError, match="must be writable"):
        write_text(tmp_path / name, "a")


def test_infinity_becomes_null(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [float("inf"), float("nan"), 1.5]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [None, None, 1.5]}


@pytest.mark.parametrize("text", ["\u809d", "caf\udce9", "\ud83d"])
def test_text_that_is_no_utf_8_is_written_and_json_reads_it_again(tmp_path: Path, text: str) -> None:
    write_json(tmp_path / "a.json", {text: [text]})
    assert json.loads((tmp_path / "a.json").read_bytes().decode("utf-8")) == {text: [text]}


@pytest.mark.parametrize("place", ["file", "file/inside/run", "/proc/nowhere/run"])
def test_folder_that_cannot_be_written_is_refused_with_the_option_that_moves_it(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeliveryError, match=r"must be writable, got: .+; choose another with the option out"):
        check_writable(tmp_path / place, option="out")


def test_folder_that_can_be_made_is_not_made(tmp_path: Path) -> None:
    assert check_writable(tmp_path / "a" / "b", option="out") == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".json", ".nii.gz"])
def test_name_as_long_as_the_file_system_allows_is_written(tmp_path: Path, ending: str) -> None:
    target = tmp_path / ("ü" * 120 + "a" * (15 - len(ending)) + ending)
    with atomic_path(target, suffix=ending) as temporary:
        temporary.write_bytes(b"x")
    assert target.read_bytes() == b"x"


def test_longer_name_is_refused_with_its_length(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="got a too long name, 256 bytes; shorten the name"):
        write_text(tmp_path / ("a" * 256), "a")
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a").write_text("1", encoding="utf-8")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "case").symlink_to(tmp_path / "far")
    with replacing_folder(tmp_path / "here") as (temporary, move):
        (temporary / "b").write_text("2", encoding="utf-8")
        move(tmp_path / "here" / "case")
    (tmp_path / "here" / f".{'0' * 32}.part").symlink_to(tmp_path / "far")
    remove_leftovers(tmp_path / "here")
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["case"]
    assert [path.name for path in (tmp_path / "here" / "case").iterdir()] == ["b"]
    remove_folder(tmp_path / "here" / "case")
    remove_folder(tmp_path / "here" / "case")
    assert list((tmp_path / "here").iterdir()) == []
    assert (tmp_path / "far" / "a").read_text(encoding="utf-8") == "1"
