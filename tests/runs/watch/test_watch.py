"""Every study that arrives is predicted once, whatever happens meanwhile; nothing is taken before it is whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
import torch
from medseg.errors import ConfigError, DeliveryError, ScanError
from medseg.geometry import Geometry
from medseg.inference import load_record, mask_folder
from medseg.inference.folder_lock import locked_folder
from medseg.records import Failure
from medseg.runs.segmentation.deliver import DeliverSettings, deliver_masks
from medseg.runs.segmentation.predict import PredictSettings, predict_run
from medseg.runs.segmentation.watch import Batch, WatchSettings, watch_folder
from medseg.runs.segmentation.watch.arrivals import Arrival
from medseg.runs.segmentation.watch.retries import Retries
from medseg.runs.segmentation.watch.state import KnownCase
from medseg.scans import write_scan

from tests.conftest import Medseg
from tests.dicom_files import write_series
from tests.remedies.inference import GRID, model_run, write_image


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    return model_run(tmp_path_factory.mktemp("run"), channels=("CT",))


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def settings_of(out: Path, **changes: object) -> WatchSettings:
    choices = {"settle_s": 0.05, "every_s": 0.02, "is_lasting": False} | changes
    return WatchSettings(predict=PredictSettings(out=out, device="cpu"), **choices)  # type: ignore[arg-type]


def look(run: Path, inbox: Path, **changes: object) -> tuple[list[str], Batch]:
    """What one look draws, and what there is in the end."""
    batches: list[Batch] = []
    end = watch_folder([run], inbox, settings_of(inbox.parent / "masks", **changes), on_batch=batches.append)
    return sorted(one.case_id for batch in batches for one in batch.predictions if not one.is_kept), end


def write_study(folder: Path, seed: int = 0, slices: int = 6) -> Path:
    array = np.random.default_rng(seed).integers(0, 500, size=(12, 14, slices)).astype(np.int16)
    write_series(array, Geometry(array.shape, np.diag([1.0, 1.0, 2.0, 1.0])), folder)
    return folder


def test_files_and_studies_are_predicted_once_and_can_be_delivered(run: Path, inbox: Path, tmp_path: Path) -> None:
    scan, study = write_image(inbox / "a.nii.gz"), write_study(inbox / "study")
    drawn, end = look(run, inbox)
    assert len(drawn) == 2
    assert end == Batch()
    assert look(run, inbox) == ([], Batch())
    predict_run(run, [scan, study], PredictSettings(out=tmp_path / "expected", device="cpu"))
    for case_id in drawn:
        name = f"{case_id}.nii.gz"
        assert (tmp_path / "masks" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()
    done = deliver_masks(tmp_path / "masks", DeliverSettings(out=tmp_path / "delivered", forms=("nifti",)))
    assert (len(done.delivered), done.failures) == (2, ())


def test_changed_study_is_taken_again_and_a_repeated_one_is_not(run: Path, inbox: Path) -> None:
    path = write_image(inbox / "a.nii.gz")
    assert look(run, inbox)[0] == ["a"]
    path.touch()
    assert look(run, inbox)[0] == []
    write_scan(np.ones((1, *GRID.shape), np.float32), GRID, path)
    assert look(run, inbox)[0] == ["a"]


def test_failure_is_listed_until_it_is_mended(run: Path, inbox: Path) -> None:
    (inbox / "a.nii.gz").write_bytes(b"\x1f\x8b torn")
    (inbox / "empty").mkdir()
    (inbox / "note.txt").write_text("hello")
    write_image(inbox / "b.nii.gz")
    drawn, end = look(run, inbox)
    assert drawn == ["b"]
    assert sorted(one.case_id for one in end.failures) == ["a", "empty"]
    drawn, end = look(run, inbox)
    assert (drawn, sorted(one.case_id for one in end.failures)) == ([], ["a", "empty"])
    write_image(inbox / "a.nii.gz")
    (inbox / "empty").rmdir()
    assert look(run, inbox) == (["a"], Batch())
    record = load_record(inbox.parent / "masks")
    assert record is not None
    assert (sorted(case.case_id for case in record.cases), record.failures) == (["a", "b"], ())
    assert [(one.path, one.reason) for one in record.passed_over] == [("note.txt", "it is no scan, nor a part of one")]


def test_case_keeps_its_id_when_another_of_its_name_arrives(run: Path, inbox: Path) -> None:
    write_image(inbox / "b" / "scan.nii.gz")
    assert look(run, inbox)[0] == ["scan"]
    write_image(inbox / "a" / "scan.nii.gz")
    assert look(run, inbox)[0] == ["a_scan"]
    shutil.rmtree(inbox / "b")
    assert look(run, inbox)[0] == []
    assert {path.name for path in (inbox.parent / "masks").glob("*.nii.gz")} == {"scan.nii.gz", "a_scan.nii.gz"}


def test_what_is_being_written_is_not_taken(run: Path, inbox: Path) -> None:
    whole = write_image(inbox.parent / "whole.nii.gz").read_bytes()
    (inbox / "study").mkdir()
    stop = Event()

    def write_slowly() -> None:
        with (inbox / "study" / "a.nii.gz").open("wb") as stream:
            for at in range(0, len(whole), len(whole) // 20):
                stream.write(whole[at : at + len(whole) // 20])
                stream.flush()
                time.sleep(0.05)

    writer = Thread(target=write_slowly)
    writer.start()
    batches: list[Batch] = []

    def end_after_a_mask(batch: Batch) -> None:
        batches.append(batch)
        if batch.predictions:
            stop.set()

    end = watch_folder(
        [run],
        inbox,
        settings_of(inbox.parent / "masks", settle_s=0.5, is_lasting=True),
        on_batch=end_after_a_mask,
        stop=stop,
    )
    writer.join()
    assert [len(batch.predictions) for batch in batches] == [1]
    assert (end.failures, [batch.failures for batch in batches]) == ((), [()])


@pytest.mark.parametrize("name", ["a.nii.gz.part", ".a.nii.gz.x7Gh2", "~a.nii.gz"])
def test_file_of_an_unfinished_upload_holds_its_study_back(run: Path, inbox: Path, name: str) -> None:
    write_image(inbox / "study" / "b.nii.gz")
    (inbox / "study" / name).touch()
    drawn, end = look(run, inbox)
    assert (drawn, end.waiting) == ([], (("study", f"holds {name}"),))
    (inbox / "study" / name).unlink()
    assert look(run, inbox)[0] == ["b"]


def test_marked_study_is_taken_when_its_mark_is_there(run: Path, inbox: Path) -> None:
    write_image(inbox / "a.nii.gz")
    write_image(inbox / "study" / "b.nii.gz")
    write_image(inbox / "other" / "c.nii.gz")
    drawn, end = look(run, inbox, marker=".done")
    assert (drawn, len(end.waiting)) == ([], 3)
    (inbox / "a.nii.gz.done").touch()
    (inbox / "study" / ".done").touch()
    drawn, end = look(run, inbox, marker=".done")
    assert drawn == ["a", "b"]
    assert end.waiting == (("other", "waits for other.done"),)
    (inbox / "other.done").touch()
    assert look(run, inbox, marker=".done") == (["c"], Batch())


def test_study_that_arrives_twice_is_drawn_once_and_a_part_of_it_by_its_own(run: Path, inbox: Path) -> None:
    shutil.copytree(write_study(inbox / "one"), inbox / "two")
    shutil.copytree(inbox / "one", inbox / "torn")
    for path in sorted((inbox / "torn").iterdir())[3:]:
        path.unlink()
    drawn, _ = look(run, inbox)
    assert drawn == ["MRN-0047110815", "torn_MRN-0047110815"]
    record = load_record(inbox.parent / "masks")
    assert record is not None
    assert [(one.path, one.reason) for one in record.passed_over] == [
        ("two", "it holds a series that has arrived as one, too")
    ]
    shutil.rmtree(inbox / "one")
    assert look(run, inbox) == ([], Batch())


def test_name_that_is_no_utf8_is_known_again(run: Path, inbox: Path) -> None:
    name = os.fsdecode(b"M\xfcller.nii.gz")
    write_image(inbox / name)
    assert len(look(run, inbox)[0]) == 1
    batches: list[Batch] = []
    watch_folder([run], inbox, settings_of(inbox.parent / "masks"), on_batch=batches.append)
    assert batches == []


def test_masks_within_a_study_do_not_make_it_new(run: Path, inbox: Path) -> None:
    write_image(inbox / "study" / "a.nii.gz")
    batches: list[Batch] = []
    for _ in range(2):
        watch_folder([run], inbox, settings_of(inbox / "study" / "masks"), on_batch=batches.append)
    assert [len(one.predictions) for one in batches] == [1]


def test_failure_of_the_machine_is_tried_again(run: Path, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(inbox / "a.nii.gz")
    (inbox / "b.nii.gz").write_bytes(b"torn")
    save = mask_folder.save_sidecar

    def refuse(*_: object) -> None:  # as a disk does that is full
        raise DeliveryError("a.json: must be writable, got: the disk is full")

    monkeypatch.setattr(mask_folder, "save_sidecar", refuse)
    assert sorted(one.case_id for one in look(run, inbox)[1].failures) == ["a", "b"]
    monkeypatch.setattr(mask_folder, "save_sidecar", save)
    drawn, end = look(run, inbox)
    assert (drawn, [one.case_id for one in end.failures]) == (["a"], ["b"])


def test_retries_are_rarer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("medseg.runs.segmentation.watch.retries.time.monotonic", lambda: now[0])
    retries, one = Retries(), Arrival("a", (), "")
    cases, failed = {"k": KnownCase(case_id="c", arrival="a")}, [Failure.of("c", "predict", MemoryError())]
    waits = []
    for _ in range(9):
        assert retries.after(failed, cases, taken={"a"}) == {"a"}
        begin = now[0]
        while not retries.is_due(one):
            now[0] += 30
        waits.append(now[0] - begin)
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    torn = [Failure.of("c", "predict", ScanError("torn"))]
    assert retries.after(torn, cases, taken={"a"}) == set()


def test_killed_watcher_draws_nothing_twice(run: Path, inbox: Path, tmp_path: Path) -> None:
    for number in range(12):
        write_image(inbox / f"{number:02d}" / "scan.nii.gz")
    script = "from medseg.workflows.cli import main; import sys; sys.argv = ['medseg', 'watch', *sys.argv[1:]]; main()"
    arguments = [run, inbox, "--out", tmp_path / "masks", "--settle", 0.1, "--every", 0.1, "--device", "cpu"]
    watcher = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while len(list((tmp_path / "masks").glob("*.json"))) < 4 and watcher.poll() is None:
        time.sleep(0.005)
    watcher.kill()
    watcher.wait()
    sidecars = [path for path in (tmp_path / "masks").glob("*.json") if path.name != "predictions.json"]
    before = {path: path.stat().st_mtime_ns for path in sidecars}
    drawn, end = look(run, inbox)
    assert (len(drawn) + len(before), end) == (12, Batch())
    assert {path: path.stat().st_mtime_ns for path in sidecars} == before
    names = {path.name for path in (tmp_path / "masks").iterdir()}
    assert len([name for name in names if name.endswith(".nii.gz")]) == 12
    assert not [name for name in names if name.endswith(".part")]


def test_stopped_watcher_finishes_the_case_in_work(run: Path, inbox: Path, tmp_path: Path) -> None:
    for number in range(9):
        write_image(inbox / f"{number}.nii.gz")
    stop = Event()
    out = tmp_path / "masks"
    until_a_mask(out, stop.set)
    end = watch_folder([run], inbox, settings_of(out, is_lasting=True), stop=stop)
    sidecars = {path.stem for path in out.glob("*.json")} - {"predictions"}
    assert {path.name.removesuffix(".nii.gz") for path in out.glob("*.nii.gz")} == sidecars
    assert end.failures == ()
    assert len(look(run, inbox)[0]) == 9 - len(sidecars)


def until_a_mask(out: Path, then: Callable[[], None]) -> None:
    def wait() -> None:
        while not list(out.glob("*.nii.gz")):
            time.sleep(0.002)
        then()

    Thread(target=wait, daemon=True).start()


def test_folder_that_cannot_be_read_stops_nothing(run: Path, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(inbox / "a.nii.gz")
    (inbox / "locked").mkdir()
    scandir = os.scandir

    def refuse_locked(path: str) -> object:  # as the system does for everybody but root
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_locked)
    drawn, end = look(run, inbox)
    assert (drawn, [one.case_id for one in end.failures]) == (["a"], ["locked"])
    monkeypatch.undo()
    write_image(inbox / "locked" / "b.nii.gz")
    assert look(run, inbox) == (["b"], Batch())


def test_one_watcher_writes_to_a_folder(run: Path, inbox: Path, tmp_path: Path) -> None:
    look(run, inbox)
    record = tmp_path / "masks" / "predictions.json"
    before = record.stat().st_mtime_ns
    with locked_folder(tmp_path / "masks" / ".watch"), pytest.raises(DeliveryError, match="another watcher"):
        look(run, inbox)
    assert record.stat().st_mtime_ns == before


def test_wrong_folders_are_refused(run: Path, inbox: Path, tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="must be a folder, found none"):
        watch_folder([run], tmp_path / "nowhere", settings_of(tmp_path / "masks"))
    with pytest.raises(ConfigError, match="must not lie around the inbox"):
        watch_folder([run], inbox, settings_of(tmp_path))


def test_command_does_what_is_there_and_tells_what_failed(
    medseg: Medseg, run: Path, inbox: Path, tmp_path: Path
) -> None:
    write_image(inbox / "a.nii.gz")
    (inbox / "b.nii.gz").write_bytes(b"torn")
    outcome = medseg("watch", run, inbox, "--out", tmp_path / "masks", "--once", "--settle", 0, "--device", "cpu")
    assert (outcome.code, outcome.out.splitlines()[1:]) == (1, ["1 mask(s) drawn; 1 failed; 0 not complete"])
    assert "failed: case b: file b.nii.gz must be" in outcome.err
