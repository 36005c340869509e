from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from medseg.errors import TrackingError
from medseg.tracking.entry import Entry
from medseg.tracking.spool import Spool, read_spool

LOSS = Entry("metrics", {"values": {"loss": 0.5}, "step": 3, "at": 1700000000000})


@contextmanager
def spool_in(folder: Path) -> Iterator[Spool]:
    spool = Spool(folder / "tracking.jsonl", run_id="r", tracking_uri="u")
    yield spool
    spool.close(is_sent=False)


def test_entries_are_on_the_disk_at_once(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(1, LOSS)
        kept = read_spool(tmp_path / "tracking.jsonl")
    assert kept is not None
    assert (kept.run_id, kept.tracking_uri, kept.entries) == ("r", "u", {1: LOSS})


def test_sent_entries_are_not_read_again(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        for number in (1, 2, 3):
            spool.append(number, LOSS)
        spool.note_sent([1, 3])
    kept = read_spool(spool.path)
    assert kept is not None
    assert list(kept.entries) == [2]


def test_folder_may_be_moved_with_its_files(tmp_path: Path) -> None:
    with spool_in(tmp_path / "run") as spool:
        spool.append(1, Entry("file", {"path": str(tmp_path / "run" / "plan.yaml"), "folder": None}))
        spool.append(2, Entry("model", {"path": str(tmp_path / "elsewhere"), "version": "1"}))
    (tmp_path / "run").rename(tmp_path / "moved")
    kept = read_spool(tmp_path / "moved" / "tracking.jsonl")
    assert kept is not None
    assert kept.entries[1].content["path"] == str(tmp_path / "moved" / "plan.yaml")
    assert kept.entries[2].content["path"] == str(tmp_path / "elsewhere")


def test_line_that_a_crash_cut_short_harms_no_other(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.append(1, LOSS)
    with spool.path.open("a", encoding="utf-8") as stream:
        stream.write('{"n": 2, "kind": "metr')
    with spool_in(tmp_path) as again:
        again.append(3, LOSS)
    kept = read_spool(spool.path)
    assert kept is not None
    assert list(kept.entries) == [1, 3]


def test_spool_of_a_run_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    with (
        spool_in(tmp_path),
        pytest.raises(TrackingError, match="must not be in use, got a run that goes on; wait for its end"),
        spool_in(tmp_path),
    ):
        pass
    with spool_in(tmp_path):
        pass


def test_file_that_is_no_spool_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tracking.jsonl").write_text("something\n", encoding="utf-8")
    with pytest.raises(TrackingError, match="must begin with its MLflow run; remove the file"):
        read_spool(tmp_path / "tracking.jsonl")
