from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from medseg.tracking.entry import Entry
from medseg.tracking.sender import Sender
from medseg.tracking.spool import Spool, read_spool


class Store:
    """A store in memory, which can be silent or refuse."""

    def __init__(self) -> None:
        self.got: list[Entry] = []
        self.requests = 0
        self.is_silent = self.is_failing = False
        self.failed = 0
        self.refused: tuple[str, ...] = ()
        self.delay_s = 0.0

    def post(self, entries: Sequence[Entry]) -> None:
        time.sleep(self.delay_s)
        if self.is_silent:
            raise ConnectionRefusedError("Connection refused")
        if self.is_failing:
            self.failed += 1
            raise OSError("HTTP 500")
        if any(name in self.refused for entry in entries for name in entry.content["values"]):
            raise FileNotFoundError("no such run")
        self.requests += 1
        self.got += entries

    def answers(self) -> bool:
        return not self.is_silent


def metric(name: str, step: int = 0) -> Entry:
    return Entry("metrics", {"values": {name: 1.0}, "step": step, "at": step})


@pytest.fixture
def remote() -> Store:
    return Store()


@pytest.fixture
def sender(remote: Store) -> Iterator[Sender]:
    sender = Sender(remote.post, remote.answers, store="the store")
    yield sender
    sender.close(grace_s=0.0, stall_s=0.0)


def test_everything_arrives_once_and_in_order(remote: Store, sender: Sender) -> None:
    entries = [metric("loss", step) for step in range(50)]
    for entry in entries:
        sender.put(entry)
    assert sender.close() == []
    assert remote.got == entries


def test_putting_does_not_wait_for_a_slow_store(remote: Store, sender: Sender) -> None:
    remote.delay_s = 0.3
    start = time.monotonic()
    for step in range(20):
        sender.put(metric("loss", step))
    assert time.monotonic() - start < 0.2
    assert sender.close() == []
    assert len(remote.got) == 20
    assert remote.requests < 20  # what has gathered goes in one request


def test_silence_in_the_middle_costs_nothing(remote: Store, sender: Sender, caplog: pytest.LogCaptureFixture) -> None:
    sender.put(metric("loss", 0))
    _until(lambda: len(remote.got) == 1)
    remote.is_silent = True
    with caplog.at_level(logging.WARNING):
        for step in range(1, 4):
            sender.put(metric("loss", step))
        _until(lambda: "does not answer" in caplog.text)
        remote.is_silent = False
        assert sender.close() == []
    assert [entry.content["step"] for entry in remote.got] == [0, 1, 2, 3]
    assert "answers again" in caplog.text


def test_store_that_never_returns_ends_the_wait_and_says_what_is_left(remote: Store, sender: Sender) -> None:
    remote.is_silent = True
    entries = [metric("loss", step) for step in range(3)]
    for entry in entries:
        sender.put(entry)
    start = time.monotonic()
    assert sender.close(grace_s=0.5) == entries
    assert time.monotonic() - start < 5
    assert "Connection refused" in sender.reason


def test_store_that_hangs_ends_the_wait(remote: Store) -> None:
    hang = threading.Event()
    sender = Sender(lambda entries: hang.wait() and None, remote.answers, store="the store")
    sender.put(metric("loss"))
    assert len(sender.close(stall_s=0.3)) == 1
    assert "no answer" in sender.reason
    hang.set()


def test_refused_entry_holds_up_no_other(remote: Store, sender: Sender) -> None:
    remote.refused = ("bad",)
    for name in ("a", "bad", "b"):
        sender.put(metric(name))
    assert [list(entry.content["values"]) for entry in sender.close()] == [["bad"]]
    assert sorted(name for entry in remote.got for name in entry.content["values"]) == ["a", "b"]
    assert sender.reason == "no such run"


def test_store_that_answers_but_fails_at_every_entry_is_given_up_soon(remote: Store, sender: Sender) -> None:
    remote.is_failing = True
    entries = [metric("loss", step) for step in range(200)]
    for entry in entries:
        sender.put(entry)
    begun = time.monotonic()
    assert sender.close() == entries
    assert time.monotonic() - begun < 15
    assert "HTTP 500" in sender.reason


def test_store_that_fails_for_a_while_takes_what_waited(remote: Store, sender: Sender) -> None:
    remote.is_failing = True
    entries = [metric("loss", step) for step in range(20)]
    for entry in entries:
        sender.put(entry)
    _until(lambda: remote.failed >= 4)
    remote.is_failing = False
    unsent = sender.close()
    assert len(unsent) < 10
    assert [entry for entry in entries if entry not in unsent] == remote.got


def test_only_what_the_store_has_taken_gives_the_end_more_time(remote: Store) -> None:
    remote.refused = ("bad",)
    remote.delay_s = 0.2
    sender = Sender(remote.post, remote.answers, store="the store")
    for step in range(50):
        sender.put(metric("bad", step))
    begun = time.monotonic()
    assert len(sender.close(stall_s=0.5)) == 50
    assert time.monotonic() - begun < 3


def test_end_has_a_longest_time(remote: Store) -> None:
    remote.delay_s = 0.2
    sender = Sender(remote.post, remote.answers, store="the store")
    for step in range(50):
        sender.put(Entry("tags", {"values": {"a": str(step)}}))
    begun = time.monotonic()
    assert 0 < len(sender.close(stall_s=5, total_s=0.7)) < 50
    assert time.monotonic() - begun < 3


def test_spool_is_gone_once_the_store_has_everything(remote: Store, sender: Sender, tmp_path: Path) -> None:
    sender.put(metric("before"))
    sender.keep_in(Spool(tmp_path / "spool", run_id="r", tracking_uri="u"), {})
    sender.put(metric("after"))
    assert sender.close() == []
    assert not (tmp_path / "spool").exists()
    names = [name for entry in remote.got for name in entry.content["values"]]
    assert sorted(set(names)) == ["after", "before"]


def test_spool_keeps_what_is_left_and_the_next_sender_begins_with_it(remote: Store, tmp_path: Path) -> None:
    first = Sender(remote.post, remote.answers, store="the store")
    first.keep_in(Spool(tmp_path / "spool", run_id="r", tracking_uri="u"), {})
    first.put(metric("loss", 0))
    _until(lambda: len(remote.got) == 1)
    remote.is_silent = True
    for step in (1, 2):
        first.put(metric("loss", step))
    assert len(first.close(grace_s=0.1)) == 2
    kept = read_spool(tmp_path / "spool")
    assert kept is not None
    assert [entry.content["step"] for entry in kept.entries.values()] == [1, 2]

    remote.is_silent = False
    second = Sender(remote.post, remote.answers, store="the store")
    second.keep_in(Spool(tmp_path / "spool", run_id="r", tracking_uri="u"), kept.entries)
    second.put(metric("loss", 3))
    assert second.close() == []
    assert [entry.content["step"] for entry in remote.got] == [0, 1, 2, 3]
    assert not (tmp_path / "spool").exists()


def test_full_disk_loses_no_number_that_the_store_takes(
    remote: Store, sender: Sender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise OSError(28, "No space left on device")

    sender.keep_in(Spool(tmp_path / "spool", run_id="r", tracking_uri="u"), {})
    monkeypatch.setattr(Spool, "_write", fail)
    sender.put(metric("loss"))
    assert sender.close() == []
    assert len(remote.got) == 1


def _until(is_so: object, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)
