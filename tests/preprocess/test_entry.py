"""An entry of the store is whole and as it was written, or it is made again."""

from __future__ import annotations

from pathlib import Path

import pytest
from medseg.errors import DeliveryError, GeometryError, ScanError
from medseg.preprocess.entry import case_key, open_or_make, reading_entry, write_entry
from medseg.records import Case

from tests.preprocess.classification.scans import manifest_of

NAME = "facts.json"


def write(folder: Path, text: str = "voxels") -> None:
    def write_arrays(target: Path) -> None:
        (target / "array").write_text(text)

    write_entry(folder, NAME, {"size": 6}, write_arrays)


def read(folder: Path) -> str:
    with reading_entry(folder, NAME, case_id="a") as facts:
        assert facts["size"] == 6
        return (folder / "array").read_text()


def test_entry_comes_back_with_its_facts(tmp_path: Path) -> None:
    write(tmp_path / "key")
    assert read(tmp_path / "key") == "voxels"


@pytest.mark.parametrize(
    ("file", "content"), [("array", b"voxelz"), ("array", None), (NAME, b"{"), (NAME, b"[]"), (NAME, None)]
)
def test_damaged_entry_is_named_with_the_remedy_and_made_again(
    tmp_path: Path, file: str, content: bytes | None
) -> None:
    folder = tmp_path / "key"
    write(folder)
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(
        ScanError, match=r"case a: store entry key must be whole, got: .*; delete that folder"
    ) as raised:
        read(folder)
    assert (raised.value.case_id, raised.value.remedy) == ("a", "delete that folder")
    assert open_or_make(folder, lambda: read(folder), lambda: write(folder, "again!")) == "again!"


def test_whole_entry_is_not_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "key"
    made: list[str] = []

    def make() -> None:
        made.append("")
        write(folder)

    assert [open_or_make(folder, lambda: read(folder), make) for _ in range(3)] == ["voxels"] * 3
    assert len(made) == 1


def test_refusal_while_reading_names_the_entry_once(tmp_path: Path) -> None:
    write(tmp_path / "key")
    with (
        pytest.raises(ScanError, match=r"^case a: store entry key must be whole, got: no grid; delete that folder$"),
        reading_entry(tmp_path / "key", NAME, case_id="a"),
    ):
        raise GeometryError("no grid")
    with pytest.raises(ScanError, match=r"^as it is$"), reading_entry(tmp_path / "key", NAME, case_id="a"):
        raise ScanError("as it is")


def test_failure_leaves_nothing_but_what_another_process_wrote(tmp_path: Path) -> None:
    def fail(target: Path) -> None:
        (target / "array").write_text("half")
        raise OSError("disk full")

    with pytest.raises(DeliveryError):
        write_entry(tmp_path / "key", NAME, {}, fail)
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "key")
    write_entry(tmp_path / "key", NAME, {}, fail)
    assert read(tmp_path / "key") == "voxels"


def test_key_covers_settings_files_and_the_label_only_where_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(b"image")
    (tmp_path / "b.nii").write_bytes(b"label")
    case = Case(case_id="a", patient_id="a", images=("a.nii",), label="b.nii")
    manifest = manifest_of([case])

    def key(with_label: bool = True, **settings: int) -> str:
        return case_key(case, manifest, tmp_path, settings, with_label=with_label)

    before, without = key(), key(with_label=False)
    assert before != without
    assert before != key(format=2)
    assert before == key()
    (tmp_path / "b.nii").write_bytes(b"other")
    assert key() != before
    assert key(with_label=False) == without
    (tmp_path / "a.nii").write_bytes(b"other")
    assert key(with_label=False) != without
