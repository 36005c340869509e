"""Trials are kept, drawn and given out so that none is there twice and none is lost."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import medseg
import pytest
from medseg.errors import ConfigError, TrackingError
from medseg.records import Manifest
from medseg.runs.search.clock import SearchClock
from medseg.runs.search.desk import Desk, Work
from medseg.runs.search.locks import Claim
from medseg.runs.search.record import SearchFolder, SearchRecord
from medseg.runs.search.space import SearchSpace, Span
from medseg.runs.search.study import Study

from tests.tracking.postgresql import PASSWORD, Cluster, postgresql

SPACES = {"dice_weight": Span(low=0.25, high=4.0), "batch_factor": (0.5, 1.0, 2.0)}
PLANNED = {"dice_weight": 1.0, "batch_factor": 1.0}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with postgresql() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def database(cluster: Cluster) -> str:
    return cluster.new_database("search")


def open_study(folder: Path, storage: str | None = None) -> Study:
    return Study(storage, folder, name=folder.name, seed=0, validations=10)


def desk_of(folder: Path, study: Study, *, trials: int = 3, budget: str | None = None) -> Desk:
    place = SearchFolder(folder)
    place.save_record(
        SearchRecord(
            study="boxes", storage=None, manifest_digest="m", plan_digest="p", fold="0", trials=trials, budget=budget,
            trial_budget="10s" if budget else None, trial_epochs=1, space=SearchSpace(), asked="a", seed=0, finalists=1,
            repeats=0, mlflow_run_id=None, tracking_uri=None,
        )
    )  # fmt: skip
    return Desk(place, study, SearchClock(folder), spaces=SPACES, planned=PLANNED)


def work_of(desk: Desk) -> Work:
    work = desk.next()
    assert isinstance(work, Work)
    return work


def test_first_trial_is_the_plan_and_each_later_one_has_a_seed_of_its_own(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    drawn = [study.add(SPACES, PLANNED).choice for _ in range(3)]
    assert drawn[0] == PLANNED
    assert len({choice["dice_weight"] for choice in drawn}) == 3
    (tmp_path / "again").mkdir()
    again = open_study(tmp_path / "again")
    assert [again.add(SPACES, PLANNED).choice for _ in range(3)] == drawn


def two_workers(folder: Path, storage: str | None) -> None:
    """Two workers take three trials, one of them is lost, and the other takes it up with the same values."""
    studies = [open_study(folder, storage) for _ in range(2)]
    desks = [desk_of(folder, study) for study in studies]
    taken = [work_of(desk) for desk in (*desks, desks[0])]
    assert [work.name for work in taken] == ["trial_0000", "trial_0001", "trial_0002"]
    assert desks[1].next() == "wait"
    taken[1].claim.release()  # as the system does when its worker is killed
    found = work_of(desks[1])
    assert (found.name, found.choice) == ("trial_0001", taken[1].choice)
    study = studies[0]
    for number, work in enumerate([taken[0], found, taken[2]]):
        study.end(work.number, "complete", score=0.5 + number / 10, steps=6)
        work.claim.release()
    assert desks[0].next() == desks[1].next() == "done"
    assert [(trial.number, trial.state, trial.score) for trial in study.trials()] == [
        (0, "complete", 0.5), (1, "complete", 0.6), (2, "complete", 0.7),
    ]  # fmt: skip
    assert study.trials()[1].facts == {"steps": 6}
    for one in studies:
        one.close()


def test_trial_of_a_lost_worker_is_taken_up_with_its_values(tmp_path: Path) -> None:
    two_workers(tmp_path, None)


def test_workers_share_a_postgresql_database(database: str, tmp_path: Path) -> None:
    two_workers(tmp_path, database)
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert PASSWORD.encode() not in kept


def test_wrong_password_is_refused_and_not_shown(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(
        TrackingError, match=r"search storage .* must be reachable, got: .*; check the address"
    ) as found:
        open_study(tmp_path, cluster.uri.replace(PASSWORD, "falsch-5518"))
    assert "falsch" not in f"{found.value!r}{found.value}"


def test_wrong_password_leaves_the_folder_as_it_was(
    cluster: Cluster, cohort: tuple[Manifest, Path], tmp_path: Path
) -> None:
    out = tmp_path / "search"
    given: dict[str, Any] = {"out": out, "trials": 1, "trial_epochs": 1, "tracking": f"sqlite:///{tmp_path}/runs.db"}
    with pytest.raises(TrackingError, match="must be reachable"):
        medseg.search(cohort[1], **given, storage=cluster.uri.replace(PASSWORD, "falsch-5518"))
    assert not (out / "study.json").exists()
    assert not (out / "plan.yaml").exists()
    assert not (tmp_path / "runs.db").exists()  # no MLflow run is left open


def test_journal_whose_last_line_is_torn_goes_on(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    first = study.add(SPACES, PLANNED)
    with (tmp_path / "journal.log").open("ab") as stream:
        stream.write(b'{"op_code":9,"worker_id":"')  # as a kill or a full disk leaves it
    assert [trial.number for trial in open_study(tmp_path).trials()] == [0]
    again = open_study(tmp_path)
    again.end(first.number, "complete", score=0.5)
    assert [(trial.state, trial.score) for trial in study.trials()] == [("complete", 0.5)]
    assert all(json.loads(line) for line in (tmp_path / "journal.log").read_bytes().splitlines())


def test_worker_that_is_killed_while_it_writes_does_not_hold_the_others_up(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    code = (
        "import os, signal, sys; from pathlib import Path; from medseg.runs.search.journal import _JournalLock; "
        "_JournalLock(Path(sys.argv[1])).acquire(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "journal.log")], check=False)
    started = time.monotonic()
    study.add(SPACES, PLANNED)
    assert time.monotonic() - started < 10  # Optuna's own lock is given up after 30 s


def test_database_that_is_gone_lets_a_trial_go_on(cluster: Cluster, database: str, tmp_path: Path) -> None:
    study = open_study(tmp_path, database)
    trial = study.add(SPACES, PLANNED)
    cluster.kill()
    try:
        assert study.report(trial.number, 0.5, 1) is None
    finally:
        cluster.start()
    study.end(trial.number, "complete", score=0.75)
    assert study.trials()[0].score == 0.75
    study.close()


def test_trial_below_the_median_of_the_others_is_stopped_but_never_the_plan(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    plan = study.add(SPACES, PLANNED).number
    for score in (0.5, 0.6, 0.7, 0.8):
        number = study.add(SPACES, PLANNED).number
        assert study.report(number, score, 5) is None
        study.end(number, "complete", score=score)
    worse, better = study.add(SPACES, PLANNED).number, study.add(SPACES, PLANNED).number
    assert study.report(worse, 0.1, 1) is None  # too early to tell
    reason = study.report(worse, 0.4, 5)
    assert reason == "at validation 5 its best score 0.4000 was below the median of the earlier trials there"
    assert study.report(better, 0.9, 5) is None
    assert study.report(plan, 0.0, 5) is None
    study.end(worse, "pruned", score=0.4, reason=reason)
    assert (study.trials()[worse].state, study.trials()[worse].reason) == ("pruned", reason)


def test_report_of_a_resumed_trial_is_kept_once(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    number = study.add(SPACES, PLANNED).number
    for score in (0.5, 0.6):
        study.report(number, score, 2)
    assert study.trials()[number].curve == {2: 0.5}


def test_trial_that_ends_every_worker_is_given_up(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    desk = desk_of(tmp_path, study, trials=1)
    for _ in range(5):
        work_of(desk).claim.release()
    assert desk.next() == "done"
    (trial,) = study.trials()
    assert (trial.state, math.isnan(trial.score)) == ("failed", True)
    assert "5 workers ended" in trial.reason


def test_budget_that_is_spent_begins_no_trial(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    desk = desk_of(tmp_path, study, trials=9, budget="11s")
    begun = work_of(desk)
    (tmp_path / "clock.json").write_text('{"used_s": 5.0, "seen": 0.0}')
    assert desk.next() == "wait"
    assert [begun.number] == [trial.number for trial in study.trials()]


def test_time_without_a_worker_is_not_in_the_budget(tmp_path: Path) -> None:
    clock = SearchClock(tmp_path)
    assert clock.used_s() == 0
    (tmp_path / "clock.json").write_text('{"used_s": 40.0, "seen": 1000.0}')  # long ago
    assert clock.used_s() == 70
    assert 70 <= clock.used_s() < 75


def test_starts_that_a_person_has_stopped_are_not_counted(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    desk = desk_of(tmp_path, study, trials=1)
    for _ in range(8):
        work = work_of(desk)
        study.stopped(work.number)
        work.claim.release()
    assert study.trials()[0].state == "running"


def test_worker_counts_while_it_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medseg.runs.search.clock._BEAT_S", 0.02)
    clock = SearchClock(tmp_path)
    with clock.running():
        time.sleep(0.3)
    counted = json.loads((tmp_path / "clock.json").read_text(encoding="utf-8"))["used_s"]
    assert 0.05 < counted < 5


def test_claim_is_held_by_one(tmp_path: Path) -> None:
    first, second = Claim(tmp_path / "locks" / "a.lock"), Claim(tmp_path / "locks" / "a.lock")
    assert first.take()
    assert not second.take()
    first.release()
    assert second.take()


def test_missing_optuna_is_said_with_the_extra_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"needs the package optuna.*install medseg with its extra search"):
        open_study(tmp_path)
