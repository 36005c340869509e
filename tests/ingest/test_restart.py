from __future__ import annotations

import importlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import ConfigError, ManifestError
from medseg.ingest import Progress, Pseudonyms
from medseg.manifest import load_manifest, save_manifest
from medseg.scans import nifti

from tests.ingest.sources import (
    KEY,
    Ingested,
    block,
    box_mask,
    run_ingest,
    voxels,
    write_ct,
    write_nifti,
    write_rtstruct,
)

BUILD_IMAGE = importlib.import_module("medseg.ingest.build_image")
PATIENTS = ("a", "b", "c", "d")
BOX = (2, 5, 2, 5, 1, 3)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three CTs, two of them with a structure set, and a NIfTI file with a mask."""
    folder = tmp_path / "src"
    for number, patient in enumerate(("a", "b", "c")):
        images = write_ct(folder / patient, PatientID=f"patient {patient}", seed=number)
        if patient != "c":
            write_rtstruct({"GTV": BOX}, images, folder / patient / "rs")
    write_nifti(folder / "d" / "ct.nii.gz", voxels(seed=9))
    write_nifti(folder / "d" / "spleen_mask.nii.gz", block(slice(1, 4)).astype(np.uint8))
    return folder


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of the images whose voxels are read."""
    seen: list[str] = []

    def counting(read: Callable[..., Any], where: Callable[[Any], Path]) -> Callable[..., Any]:
        def counted(what: Any, **options: Any) -> Any:
            seen.append(where(what).parent.name)
            return read(what, **options)

        return counted

    monkeypatch.setattr(BUILD_IMAGE, "read_series", counting(BUILD_IMAGE.read_series, lambda s: s.first.path))
    monkeypatch.setattr(BUILD_IMAGE, "read_scan", counting(BUILD_IMAGE.read_scan, lambda path: path))
    return seen


def stamps(done: Ingested) -> dict[str, int]:
    """When each image and label was written."""
    return {
        path.relative_to(done.folder).as_posix(): path.stat().st_mtime_ns
        for folder in ("images", "labels")
        for path in (done.folder / folder).iterdir()
    }


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def files_of(done: Ingested, patient: str) -> set[str]:
    wanted = Pseudonyms(KEY).patient(patient)
    cases = [case for case in done.manifest.cases if case.patient_id == wanted]
    return {name for case in cases for name in (*case.images, *([case.label] if case.label else []))}


def touch(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))


def test_second_run_reads_no_voxels_and_says_the_same(source: Path, tmp_path: Path, reads: list[str]) -> None:
    first = run_ingest(source, tmp_path / "out")
    assert sorted(reads) == list(PATIENTS)
    before, documents = stamps(first), [(first.folder / name).read_bytes() for name in ("dataset.json", "ingest.json")]
    reads.clear()
    second = run_ingest(source, tmp_path / "out")
    assert reads == []
    assert changed(before, stamps(second)) == set()
    assert [(first.folder / name).read_bytes() for name in ("dataset.json", "ingest.json")] == documents


def test_sex_and_age_that_somebody_entered_stay(source: Path, tmp_path: Path) -> None:
    first = run_ingest(source, tmp_path / "out").manifest
    entered = first.cases[0].model_copy(update={"sex": "F", "age_years": 63.0})
    changed = first.model_copy(update={"cases": (entered, *first.cases[1:])})
    save_manifest(changed, tmp_path / "out" / "dataset.json")
    assert run_ingest(source, tmp_path / "out").manifest == changed


def test_raters_that_somebody_entered_stay_with_their_files(source: Path, tmp_path: Path) -> None:
    first = run_ingest(source, tmp_path / "out").manifest
    label = str(next(case.label for case in first.cases if case.label))
    others = {name: f"labels/{name}.nii.gz" for name in ("A", "B")}
    for file in others.values():
        shutil.copyfile(tmp_path / "out" / label, tmp_path / "out" / file)
    one = next(case for case in first.cases if case.label == label)
    entered = one.model_copy(update={"raters": others, "fold": 1, "annotated_labels": ("gtv",)})
    cases = tuple(entered if case is one else case for case in first.cases)
    changed = first.model_copy(update={"cases": cases, "fusion": "staple", "ignore": 9})
    save_manifest(changed, tmp_path / "out" / "dataset.json")
    again = run_ingest(source, tmp_path / "out").manifest
    found = next(case for case in again.cases if case.case_id == one.case_id)
    assert (found.raters, again.fusion) == (others, "staple")
    assert (found.annotated_labels, again.ignore) == (("gtv",), 9)
    assert all((tmp_path / "out" / file).is_file() for file in others.values())


@pytest.mark.parametrize(
    ("text", "typo", "fact"),
    [
        ('"F"', '"m"', "sex must hold: Input should be 'F', 'M' or 'O', got 'm'"),
        ('"age_years"', '"age"', "unknown key 'training.0.age'; did you mean 'age_years'"),
        ('"F",', '"F"', "must be JSON"),
        ("63.0", "630.0", "age_years must hold: Input should be less than or equal to 130"),
    ],
)
def test_dataset_that_a_typo_made_unreadable_stops_the_ingest_and_stays(
    source: Path, tmp_path: Path, reads: list[str], text: str, typo: str, fact: str
) -> None:
    first = run_ingest(source, tmp_path / "out")
    entered = first.manifest.cases[0].model_copy(update={"sex": "F", "age_years": 63.0, "fold": 0})
    kept = first.manifest.model_copy(update={"version": "2", "cases": (entered, *first.manifest.cases[1:])})
    path = tmp_path / "out" / "dataset.json"
    save_manifest(kept, path)
    right = path.read_text(encoding="utf-8")
    path.write_text(right.replace(text, typo, 1), encoding="utf-8")
    before = {one: one.read_bytes() for one in (tmp_path / "out").rglob("*") if one.is_file()}
    write_nifti(source / "e" / "ct.nii.gz", voxels(seed=5))
    reads.clear()
    with pytest.raises(ManifestError, match=re.escape(fact)) as raised:
        run_ingest(source, tmp_path / "out")
    assert "repair that entry, or move the file away" in raised.value.remedy
    assert reads == []
    assert {one: one.read_bytes() for one in (tmp_path / "out").rglob("*") if one.is_file()} == before
    path.write_text(right, encoding="utf-8")
    again = run_ingest(source, tmp_path / "out").manifest
    assert (again.version, len(again.cases)) == ("2", len(kept.cases) + 1)
    assert set(map(repr, kept.cases)) < set(map(repr, again.cases))
    path.unlink()
    assert run_ingest(source, tmp_path / "out").manifest.version == "1"


def test_dataset_that_is_damaged_while_an_ingest_runs_is_not_overwritten(source: Path, tmp_path: Path) -> None:
    run_ingest(source, tmp_path / "out")
    path = tmp_path / "out" / "dataset.json"
    with pytest.raises(ManifestError, match="must be JSON"):
        run_ingest(source, tmp_path / "out", progress=Progress(on_case=lambda case_id: damage(path)))
    assert path.read_text() == "{"


def damage(path: Path) -> None:
    path.write_text("{")


def test_source_that_moved_as_a_whole_is_not_read_again(source: Path, tmp_path: Path, reads: list[str]) -> None:
    run_ingest(source, tmp_path / "out")
    reads.clear()
    run_ingest(source.rename(tmp_path / "moved"), tmp_path / "out")
    assert reads == []


def test_changed_slice_rebuilds_its_case_only(source: Path, tmp_path: Path, reads: list[str]) -> None:
    first = run_ingest(source, tmp_path / "out")
    before = stamps(first)
    reads.clear()
    write_ct_again(source / "b")
    second = run_ingest(source, tmp_path / "out")
    assert reads == ["b"]
    assert changed(before, stamps(second)) == files_of(second, "patient b")


def write_ct_again(folder: Path) -> None:
    path = folder / "00002"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    touch(path)


def test_removed_slice_refuses_its_case_and_drops_its_files(source: Path, tmp_path: Path, reads: list[str]) -> None:
    first = run_ingest(source, tmp_path / "out")
    gone = files_of(first, "patient b")
    before = stamps(first)
    reads.clear()
    (source / "b" / "00002").unlink()
    second = run_ingest(source, tmp_path / "out")
    assert reads == []
    assert changed(before, stamps(second)) == gone
    assert len(second.manifest.cases) == 3
    assert "1 missing in 1 gap(s)" in second.report.failures[0].reason


def test_new_series_is_read_alone(source: Path, tmp_path: Path, reads: list[str]) -> None:
    before = stamps(run_ingest(source, tmp_path / "out"))
    reads.clear()
    write_ct(source / "e", PatientID="patient e")
    second = run_ingest(source, tmp_path / "out")
    assert reads == ["e"]
    assert changed(before, stamps(second)) == files_of(second, "patient e")


def test_removed_patient_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    first = run_ingest(source, tmp_path / "out")
    gone = files_of(first, "patient a")
    (case_id,) = {case.case_id for case in first.manifest.cases if case.images[0] in gone}
    shutil.rmtree(source / "a")
    second = run_ingest(source, tmp_path / "out")
    assert len(second.manifest.cases) == 3
    left = [path.name for path in (tmp_path / "out").rglob("*") if path.name.startswith(case_id)]
    assert left == []


def test_source_that_is_empty_all_at_once_empties_no_dataset(source: Path, tmp_path: Path) -> None:
    first = run_ingest(source, tmp_path / "out")
    before = stamps(first)
    (tmp_path / "unmounted").mkdir()
    with pytest.raises(ManifestError, match="must hold a scan, got none in 0 file"):
        run_ingest(tmp_path / "unmounted", tmp_path / "out")
    assert stamps(first) == before


def test_no_manifest_stays_when_no_case_is_left(source: Path, tmp_path: Path) -> None:
    run_ingest(source, tmp_path / "out")
    for patient in ("b", "c", "d"):
        shutil.rmtree(source / patient)
    (source / "a" / "00002").unlink()
    done = run_ingest(source, tmp_path / "out")
    assert not (done.folder / "dataset.json").exists()
    assert stamps(done) == {}


@pytest.mark.parametrize("options", [{"suv": True}, {"repair": ["gaps"]}])
def test_other_ways_of_reading_read_everything_again(
    source: Path, tmp_path: Path, reads: list[str], options: dict[str, Any]
) -> None:
    run_ingest(source, tmp_path / "out")
    reads.clear()
    run_ingest(source, tmp_path / "out", **options)
    assert sorted(reads) == list(PATIENTS)


def test_options_that_change_no_voxel_read_nothing_again(source: Path, tmp_path: Path, reads: list[str]) -> None:
    run_ingest(source, tmp_path / "out")
    reads.clear()
    second = run_ingest(source, tmp_path / "out", shift_dates=True, workers=1, name="other")
    assert reads == []
    assert second.manifest.name == "other"


def test_changed_mapping_draws_the_labels_again_and_reads_no_image(
    source: Path, tmp_path: Path, reads: list[str]
) -> None:
    first = run_ingest(source, tmp_path / "out")
    before = stamps(first)
    reads.clear()
    mapping = "labels: {mass: {value: 7, names: [gtv]}, milz: {value: 3, names: [spleen]}}"
    second = run_ingest(source, tmp_path / "out", mapping=mapping)
    assert reads == []
    assert changed(before, stamps(second)) == {name for name in before if name.startswith("labels/")}
    values = [set(np.unique(second.label(case))) for case in second.manifest.cases if case.label]
    assert sorted(values, key=max) == [{0, 3}, {0, 7}, {0, 7}]


def test_label_that_is_new_or_gone_draws_its_case_only(source: Path, tmp_path: Path, reads: list[str]) -> None:
    first = run_ingest(source, tmp_path / "out")
    (label,) = {name for name in files_of(first, "patient a") if name.startswith("labels/")}
    before = stamps(first)
    reads.clear()
    (source / "a" / "rs").rename(tmp_path / "rs")
    second = run_ingest(source, tmp_path / "out")
    assert changed(before, stamps(second)) == {label}
    (tmp_path / "rs").rename(source / "a" / "rs")
    third = run_ingest(source, tmp_path / "out")
    assert reads == []
    assert changed(stamps(second), stamps(third)) <= {label}
    assert third.manifest == first.manifest


def test_names_of_values_that_change_beside_a_mask_draw_it_again(tmp_path: Path) -> None:
    source = tmp_path / "src"
    write_nifti(source / "images" / "p1.nii.gz", voxels())
    write_nifti(source / "labels" / "p1.nii.gz", block(slice(1, 4)).astype(np.uint8) * 2)
    mapping = "labels: {liver: {value: 1, names: [liver]}, spleen: {value: 2, names: [spleen]}}"
    for name, value in (("liver", 1), ("spleen", 2)):
        other = {"liver": "spleen", "spleen": "liver"}[name]
        case = {"case_id": "p1", "patient_id": "p1", "image": "images/p1.nii.gz", "label": "labels/p1.nii.gz"}
        content = {"name": "x", "labels": {"background": 0, other: 1, name: 2}, "channel_names": {"0": "CT"}}
        (source / "dataset.json").write_text(json.dumps({**content, "training": [case]}))
        done = run_ingest(source, tmp_path / "out", mapping=mapping)
        assert set(np.unique(done.label())) == {0, value}, name


def test_mended_mapping_draws_the_labels_that_it_lacked_and_reads_no_image(
    source: Path, tmp_path: Path, reads: list[str]
) -> None:
    narrow = "labels: {milz: {value: 3, names: [spleen]}}"
    first = run_ingest(source, tmp_path / "out", mapping=narrow)
    assert len(first.report.failures) == 2
    reads.clear()
    second = run_ingest(source, tmp_path / "out", mapping=narrow[:-1] + ", mass: {value: 7, names: [gtv]}}")
    assert reads == []
    assert len(second.manifest.cases) == 4


def test_image_that_cannot_be_read_any_more_leaves_no_old_file(source: Path, tmp_path: Path) -> None:
    first = run_ingest(source, tmp_path / "out")
    gone = files_of(first, "patient b")
    path = source / "b" / "00002"
    path.write_bytes(path.read_bytes()[:-20])
    touch(path)
    second = run_ingest(source, tmp_path / "out")
    assert len(second.report.failures) == 1
    assert gone.isdisjoint(stamps(second))


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_dataset_whose_beginnings_are_damaged_is_refused(source: Path, tmp_path: Path, content: str) -> None:
    run_ingest(source, tmp_path / "out")
    (tmp_path / "out" / ".ingest" / "about.json").write_text(content)
    with pytest.raises(ManifestError, match="must be continued with the key"):
        run_ingest(source, tmp_path / "out")


def test_lost_output_is_made_again(source: Path, tmp_path: Path, reads: list[str]) -> None:
    first = run_ingest(source, tmp_path / "out")
    reads.clear()
    for name in files_of(first, "patient a"):
        (first.folder / name).unlink()
    second = run_ingest(source, tmp_path / "out")
    assert reads == ["a"]
    assert second.manifest == first.manifest


def test_damaged_record_of_a_case_is_made_again(source: Path, tmp_path: Path, reads: list[str]) -> None:
    first = run_ingest(source, tmp_path / "out")
    reads.clear()
    for path in (tmp_path / "out" / ".ingest" / "cases").iterdir():
        path.write_text("{ half")
    assert run_ingest(source, tmp_path / "out").manifest == first.manifest
    assert sorted(reads) == list(PATIENTS)


class Stopped(BaseException):
    """What ends a run in its middle."""


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError, Stopped])
def test_run_that_is_stopped_goes_on_where_it_was(
    source: Path, tmp_path: Path, reads: list[str], kind: type[BaseException]
) -> None:
    done: list[str] = []

    def stop(case_id: str) -> None:
        done.append(case_id)
        if len(done) == 2:
            raise kind

    with pytest.raises(kind):
        run_ingest(source, tmp_path / "out", progress=Progress(on_case=stop), workers=1)
    assert [path for path in (tmp_path / "out").rglob("*") if ".part" in path.name] == []
    first = list(reads)
    assert 2 <= len(first) < 4
    reads.clear()
    finished = run_ingest(source, tmp_path / "out")
    assert sorted([*first, *reads]) == list(PATIENTS)
    assert finished.manifest == run_ingest(source, tmp_path / "fresh", name="out").manifest


def test_case_that_is_stopped_while_it_is_written_leaves_nothing_half_done(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = nifti._write_gzip

    def stop(image: Any, path: Path) -> None:
        write(image, path)
        path.write_bytes(path.read_bytes()[:100])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(nifti, "_write_gzip", stop)
        with pytest.raises(KeyboardInterrupt):
            run_ingest(source, tmp_path / "out", workers=1)
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.parent.name == "images"] == []
    assert len(run_ingest(source, tmp_path / "out").manifest.cases) == 4


def test_full_disk_is_told_for_each_case_and_leaves_nothing_half_done(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(image: Any, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(nifti, "_write_gzip", full)
        done = run_ingest(source, tmp_path / "out")
    assert len(done.report.failures) == 4
    assert all("disk is full" in failure.reason for failure in done.report.failures)
    assert stamps_or_nothing(done) == []
    assert len(run_ingest(source, tmp_path / "out").manifest.cases) == 4


def stamps_or_nothing(done: Ingested) -> list[str]:
    return [path.name for folder in ("images", "labels") for path in (done.folder / folder).glob("*")]


@pytest.mark.parametrize("inside", ["mine.txt", "images/old.nii.gz", ".hidden"])
def test_folder_that_holds_something_else_is_refused_and_left_alone(source: Path, tmp_path: Path, inside: str) -> None:
    path = tmp_path / "out" / inside
    path.parent.mkdir(parents=True)
    path.write_text("keep me")
    with pytest.raises(ManifestError, match="must be new, empty or begun by ingest"):
        run_ingest(source, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == [path.name]


@pytest.mark.parametrize("where", ["", "a", "a/deeper"])
def test_dataset_that_holds_its_source_is_refused(source: Path, where: str) -> None:
    (source / "a" / "deeper").mkdir()
    with pytest.raises(ManifestError, match="must not hold its own source"):
        run_ingest(source / where, source)


def test_dataset_within_its_source_is_not_taken_for_a_source(source: Path, reads: list[str]) -> None:
    out = source / "a" / "dataset"
    document = run_ingest(source, out).document
    reads.clear()
    second = run_ingest(source, out)
    assert second.document == document
    assert reads == []
    assert len(second.manifest.cases) == 4


def test_dataset_within_its_source_that_is_a_link_is_not_taken_for_a_source(source: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (source / "link").symlink_to(tmp_path / "elsewhere")
    first = run_ingest(source, source / "link")
    document = first.document
    assert run_ingest(source, source / "link").document == document


def test_mapping_that_was_edited_is_not_overwritten_by_a_new_proposal(source: Path, tmp_path: Path) -> None:
    first = run_ingest(source, tmp_path / "out")
    path = tmp_path / "out" / "mapping.yaml"
    edited = path.read_text().replace("gtv:", "mass:")
    path.write_text(edited)
    with pytest.raises(ConfigError, match=r"was edited; give it as the mapping"):
        run_ingest(source, tmp_path / "out")
    assert path.read_text() == edited
    assert load_manifest(tmp_path / "out")[0] == first.manifest
    second = run_ingest(source, tmp_path / "out", mapping=path)
    assert "mass" in second.manifest.labels
    assert path.read_text() == edited


def test_proposal_that_nobody_edited_grows_with_the_source(source: Path, tmp_path: Path) -> None:
    run_ingest(source, tmp_path / "out")
    images = write_ct(source / "e", PatientID="patient e")
    write_rtstruct({"Leber": BOX}, images, source / "e" / "rs")
    second = run_ingest(source, tmp_path / "out")
    assert set(second.manifest.labels) == {"background", "gtv", "liver", "spleen"}
    assert "Leber" in (tmp_path / "out" / "mapping.yaml").read_text()


def test_same_source_gives_the_same_bytes_with_one_worker_and_with_many(source: Path, tmp_path: Path) -> None:
    one = run_ingest(source, tmp_path / "one", workers=1, name="x")
    many = run_ingest(source, tmp_path / "many", workers=8, name="x")
    assert (one.folder / "dataset.json").read_bytes() == (many.folder / "dataset.json").read_bytes()
    assert (one.folder / "ingest.json").read_bytes() == (many.folder / "ingest.json").read_bytes()


def test_label_of_the_drawn_box_is_the_box(source: Path, tmp_path: Path) -> None:
    done = run_ingest(source, tmp_path / "out")
    labels = [
        done.label(case) for case in done.manifest.cases if case.modality == "CT" and case.series_uid and case.label
    ]
    assert len(labels) == 2
    for label in labels:
        np.testing.assert_array_equal(label > 0, box_mask(BOX))
