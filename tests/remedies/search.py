"""Remedies of the errors of searches."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import medseg
from medseg.runs.search.locks import Claim
from medseg.runs.search.record import SearchFolder
from medseg.runs.search.settings import SearchSettings
from medseg.runs.search.study import Study, check_storage

from tests.remedies.attempts import tries
from tests.remedies.runs import SMALL, train, write_patients

Again = Iterator[Callable[[], object]]


def search(place: Path, out: str, **settings: Any) -> object:
    given = {"trials": 1, "trial_epochs": 1, "repeats": 0, "config": SMALL, **settings}
    return medseg.search(place, out=place / out, store=place / "store", device="cpu", tracking=False, **given)


def study(place: Path, storage: str | None = None) -> Study:
    place.mkdir(exist_ok=True)
    check_storage(storage, place)
    return Study(storage, place, name="boxes", seed=0, validations=10)


@tries("runs/search/settings.py", "give one, or both")
def _endless(place: Path) -> Again:
    yield lambda: SearchSettings(out=place)
    yield lambda: SearchSettings(out=place, budget="1h")
    yield lambda: SearchSettings(out=place, trials=3)
    yield lambda: SearchSettings(out=place, budget="1h", trials=3)


@tries("runs/search/settings.py", "give one of them")
def _two_lengths(place: Path) -> Again:
    yield lambda: SearchSettings(out=place, trials=3, trial_budget="1m", trial_epochs=2)
    yield lambda: SearchSettings(out=place, trials=3, trial_budget="1m")
    yield lambda: SearchSettings(out=place, trials=3, trial_epochs=2)


@tries("runs/search/settings.py", "give one fold")
def _every_fold(place: Path) -> Again:
    yield lambda: SearchSettings(out=place, trials=3, fold="all-folds")
    yield lambda: SearchSettings(out=place, trials=3, fold="1")


@tries("runs/search/search.py", "choose another")
def _folder_that_holds_something(place: Path) -> Again:
    write_patients(place)
    SearchFolder(place / "out").lock("search").parent.mkdir(parents=True)
    SearchFolder(place / "out").lock("search").touch()
    (place / "out" / "mine.txt").touch()
    yield lambda: search(place, "out")
    yield lambda: search(place, "other")


@tries("runs/search/search.py", "give the same settings again, or choose another folder")
def _other_settings(place: Path) -> Again:
    write_patients(place)
    search(place, "out")
    yield lambda: search(place, "out", seed=3)
    yield lambda: search(place, "out")
    yield lambda: search(place, "other", seed=3)


@tries("runs/search/search.py", "give the trials more time, or train the plan alone to see what is wrong with it")
def _no_time(place: Path) -> Again:
    write_patients(place)
    wild = {**SMALL, "training": {**SMALL["training"], "learning_rate": 1e30}}
    yield lambda: search(place, "out", config=wild, trial_epochs=3)
    yield lambda: search(place, "other", trial_epochs=4)
    yield lambda: train(place, "alone")


@tries("runs/search/record.py", "start a new search in another folder")
def _damaged_record(place: Path) -> Again:
    write_patients(place)
    search(place, "out")
    (place / "out" / "study.json").write_text(json.dumps({"study": "boxes"}))
    yield lambda: search(place, "out")
    yield lambda: search(place, "other")


@tries("runs/search/locks.py", "choose a folder on another disk, such as one of NFS 4")
def _no_locks(place: Path) -> Again:
    with patch("filelock.FileLock.acquire", side_effect=OSError(37, "No locks available")):
        yield lambda: Claim(place / "a" / "locks" / "x.lock").take()
    yield lambda: Claim(place / "b" / "locks" / "x.lock").take()


@tries("runs/search/study.py", "check the address of the storage")
def _no_such_storage(place: Path) -> Again:
    yield lambda: study(place, f"sqlite:///{place}/no/such/folder/a.db")
    yield lambda: study(place, f"sqlite:///{place}/a.db").close()


@tries("runs/search/study.py", "check that the folder can be written")
def _journal_that_is_a_folder(place: Path) -> Again:
    (place / "a" / "journal.log").mkdir(parents=True)
    yield lambda: study(place / "a")
    (place / "a" / "journal.log").rmdir()
    yield lambda: study(place / "a")


@tries("runs/search/study.py", "start a new search in another folder")
def _damaged_journal(place: Path) -> Again:
    place.mkdir(exist_ok=True)
    (place / "journal.log").write_text("not a line of a journal\n")
    yield lambda: study(place)
    yield lambda: study(place / "other")


@tries("runs/search/study.py", "install medseg with its extra search")
def _no_optuna(place: Path) -> Again:
    with patch.dict(sys.modules, {"optuna": None}):
        yield lambda: study(place)
    yield lambda: study(place)
