"""Remedies of the errors of a report."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import medseg
from medseg.delivery.report import pdf

from tests.remedies.attempts import by_a_person, tries
from tests.remedies.classification_runs import evaluate as evaluate_classifier
from tests.remedies.classification_runs import trained
from tests.remedies.evaluation import evaluated
from tests.remedies.runs import train, write_patients

Again = Iterator[Callable[[], object]]


def report(place: Path, out: str, **settings: Any) -> Callable[[], object]:
    return lambda: medseg.report(place / "run", out=place / out, **settings)


@tries(
    "runs/report/source.py", "give the dataset.json that the run was trained on, unchanged, or leave the dataset out"
)
def _other_dataset(place: Path) -> Again:
    write_patients(place)
    train(place, "run")
    before = (place / "dataset.json").read_text()
    (place / "dataset.json").write_text(json.dumps(json.loads(before) | {"licence": "CC0-1.0"}))
    yield report(place, "one", dataset=place)
    yield report(place, "two")
    (place / "dataset.json").write_text(before)
    yield report(place, "three", dataset=place)


@tries(
    "runs/report/source.py",
    "give the folder of one fold, such as {}, and {} as an evaluation",
)
def _all_folds(place: Path) -> Again:
    write_patients(place)
    train(place, "run", fold="all-folds")
    yield report(place, "out")
    yield lambda: medseg.report(place / "run" / "fold_0", out=place / "out", evaluations=[place / "run"])


@tries("runs/report/report.py", "give each of them once")
def _twice(place: Path) -> Again:
    write_patients(place)
    train(place, "run")
    one = evaluated(place / "one", "c0")
    yield report(place, "out", evaluations=[one, place / "two" / ".." / "one"])
    yield report(place, "out", evaluations=[one])


@tries("runs/report/results.py", "evaluate again")
def _damaged(place: Path) -> Again:
    write_patients(place)
    train(place, "run")
    path = evaluated(place / "one", "c0") / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"structures": [{}]}))
    yield report(place, "out", evaluations=[place / "one"])
    evaluated(place / "one", "c0")
    yield report(place, "out", evaluations=[place / "one"])


@tries("runs/report/classification.py", "give the folder that classify evaluate wrote")
def _other_task(place: Path) -> Again:
    trained(place)
    yield report(place, "out", evaluations=[evaluated(place / "one", "c0")])
    evaluate_classifier(place, "two")()
    yield report(place, "out", evaluations=[place / "two"])


@tries("delivery/report/pdf.py", "install it with pip install weasyprint, or leave the PDF out")
def _no_package(place: Path) -> Again:
    write_patients(place)
    train(place, "run")
    with patch.dict(sys.modules, {"weasyprint": None}):
        yield report(place, "one", with_pdf=True)
        yield report(place, "two")
    yield report(place, "three", with_pdf=True)


by_a_person(
    "a system library is installed by whoever runs the machine",
    pdf.__name__.removeprefix("medseg.").replace(".", "/") + ".py",
    "install it, on Debian and Ubuntu with apt-get install libpangoft2-1.0-0 libharfbuzz-subset0, or leave the PDF out",
)
