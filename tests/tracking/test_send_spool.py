"""What a run kept reaches the store, or the reason is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from medseg.errors import TrackingError
from medseg.runs.sync import sync_folder
from medseg.tracking import TrackedRun, send_spool
from medseg.tracking.entry import Entry
from medseg.tracking.spool import Spool

from tests.conftest import Medseg
from tests.tracking.test_store import server_that_says

LOST = "f" * 32
LOSS = Entry("metrics", {"values": {"loss": 1.0}, "step": 3, "at": 1})


def kept(folder: Path, run_id: str, uri: str, *entries: Entry) -> Path:
    """A spool that a run left."""
    spool = Spool(folder / "tracking.jsonl", run_id=run_id, tracking_uri=uri)
    for number, entry in enumerate(entries or (LOSS,), 1):
        spool.append(number, entry)
    spool.close(is_sent=False)
    return folder / "tracking.jsonl"


@pytest.fixture
def run(client: Any, uri: str) -> TrackedRun:
    return TrackedRun.start(experiment="kept", name="run", tracking_uri=uri)


def test_run_that_the_store_has_lost_is_made_anew_with_everything(client: Any, uri: str, tmp_path: Path) -> None:
    about = {"digest": "d", "source": "{}", "profile": "{}", "context": "training"}
    path = kept(
        tmp_path / "run", LOST, uri,
        Entry("parameters", {"values": {"seed": "1"}}),
        Entry("dataset", {"name": "livers of a wiped store (training)", **about}),
        LOSS,
    )  # fmt: skip
    with path.open("a") as stream:
        stream.write('{"sent": [1, 2]}\n')
    done = send_spool(path)
    assert (done.sent, done.left) == (3, 0)
    found = client.get_run(done.run_id)
    assert (found.data.params, found.data.metrics, found.info.run_name) == ({"seed": "1"}, {"loss": 1.0}, "run")
    assert client.get_experiment(found.info.experiment_id).name == "livers of a wiped store"
    assert LOST in done.notes[0]
    assert done.run_id in done.notes[0]
    assert not path.exists()


def test_run_made_anew_has_the_name_tags_and_experiment_that_it_began_with(
    client: Any, uri: str, run: TrackedRun, tmp_path: Path
) -> None:
    with run.recording(system_metrics=False):
        run.begin(tmp_path / "tracking.jsonl")
        text = (tmp_path / "tracking.jsonl").read_text().replace(run.run_id, LOST)
    (tmp_path / "tracking.jsonl").write_text(text)
    found = client.get_run(send_spool(tmp_path / "tracking.jsonl").run_id)
    assert found.info.run_name == "run"
    assert client.get_experiment(found.info.experiment_id).name == "kept"


def test_every_spool_at_any_depth_is_sent_and_a_bad_one_holds_up_no_other(
    uri: str, run: TrackedRun, tmp_path: Path, medseg: Medseg
) -> None:
    kept(tmp_path / "b" / "c" / "d", run.run_id, uri)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "tracking.jsonl").write_text('{"run_id": "x"}\n')
    ended = medseg("sync", tmp_path)
    assert ended.code == 1
    assert "1 of 1 kept entries sent" in ended.out
    assert f"error: {tmp_path / 'a'}: " in ended.err
    assert not (tmp_path / "b" / "c" / "d" / "tracking.jsonl").exists()
    (bad,) = sync_folder(tmp_path)
    assert bad.error is not None


def test_file_of_a_spool_can_be_given_and_another_is_refused(
    uri: str, run: TrackedRun, tmp_path: Path, medseg: Medseg
) -> None:
    path = kept(tmp_path, run.run_id, uri)
    assert "1 of 1 kept entries sent" in medseg("sync", path).out
    assert "no kept entries found in" in medseg("sync", tmp_path).out
    (tmp_path / "plan.yaml").touch()
    with pytest.raises(TrackingError, match=r"must be an output folder or its tracking.jsonl, got another file"):
        sync_folder(tmp_path / "plan.yaml")


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"", b"[]\n", b'{"run_id": "x"}\n', b'{"run_id": 3, "tracking_uri": 4}']
)
def test_spool_without_its_run_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tracking.jsonl").write_bytes(content)
    with pytest.raises(TrackingError, match="must begin with its MLflow run"):
        send_spool(tmp_path / "tracking.jsonl")


def test_spool_that_cannot_be_read_or_written_is_named(
    uri: str, run: TrackedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kept(tmp_path, run.run_id, uri)

    def refuse(*given: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied")

    for name in ("open", "read_bytes"):
        monkeypatch.setattr(Path, name, refuse)
        with pytest.raises(TrackingError, match=r"must be (readable|writable), got: Permission denied"):
            send_spool(path)
    monkeypatch.undo()


@pytest.mark.parametrize("bad", [b"\xff\xff\n", b'{"n": 9, "kind": "metrics", "content": {}}\n', b'{"n": "x"}\n'])
def test_damaged_line_is_told_and_the_others_are_sent(uri: str, run: TrackedRun, tmp_path: Path, bad: bytes) -> None:
    path = kept(tmp_path, run.run_id, uri)
    with path.open("ab") as stream:
        stream.write(bad)
    done = send_spool(path)
    assert (done.sent, done.left) == (1, 0)
    assert "1 lines cannot be read" in done.notes[0]


def test_entry_of_a_newer_version_stays(uri: str, run: TrackedRun, tmp_path: Path) -> None:
    path = kept(tmp_path, run.run_id, uri)
    with path.open("a") as stream:
        stream.write(json.dumps({"n": 2, "kind": "hologram", "content": {}}) + "\n")
    for sent in (1, 0):
        done = send_spool(path)
        assert (done.sent, done.left, done.reason) == (sent, 1, "written by a newer medseg")
    assert "hologram" in path.read_text()


def test_file_that_is_gone_is_dropped_with_a_note(uri: str, run: TrackedRun, tmp_path: Path) -> None:
    path = kept(tmp_path, run.run_id, uri, Entry("file", {"path": str(tmp_path / "gone.csv"), "folder": None}), LOSS)
    done = send_spool(path)
    assert (done.sent, done.left) == (1, 0)
    assert "gone.csv is gone" in done.notes[0]
    assert not path.exists()


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'{"experiments": 5, "experiment": 7, "run": "x"}'])
def test_server_that_is_not_mlflow_is_refused(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with server_that_says(head + body) as uri, pytest.raises(TrackingError, match="must be reachable, got: "):
        TrackedRun.start(experiment="x", name="x", tracking_uri=uri)
