"""Rule 17: a remedy that an error names exists and fits, because it is carried out here."""

from __future__ import annotations

from pathlib import Path

import pytest
from medseg.errors import PipelineError

from tests.remedies import evaluation, manifest, planning, preprocess, runs, scans, split  # noqa: F401 (they register attempts)
from tests.remedies.attempts import ATTEMPTS, BY_A_PERSON, Attempt, Remedy, remedies_of

ROOMS = (
    "manifest", "split", "planning", "preprocess", "evaluation", "geometry.py",
    "scans/read.py", "scans/label_values.py", "scans/fourth_axis.py", "scans/nifti.py", "scans/nifti_repair.py",
    "runs/settings.py", "runs/machine.py", "runs/run_folder.py", "runs/audit.py", "runs/segmentation", "runs/train.py",
)  # fmt: skip
CASES = [(remedy, attempt) for remedy, attempts in ATTEMPTS.items() for attempt in attempts]


def test_every_remedy_is_tried_or_a_person_s() -> None:
    missing = remedies_of(*ROOMS) - ATTEMPTS.keys() - BY_A_PERSON.keys()
    assert sorted(missing) == []


def test_no_attempt_is_at_a_remedy_that_is_gone() -> None:
    assert sorted((ATTEMPTS.keys() | BY_A_PERSON.keys()) - remedies_of(*ROOMS)) == []


@pytest.mark.parametrize(("remedy", "attempt"), CASES, ids=[f"{one.file}: {one.text}" for one, _ in CASES])
@pytest.mark.filterwarnings("ignore")
def test_remedy_helps(remedy: Remedy, attempt: Attempt, tmp_path: Path) -> None:
    tries = attempt(tmp_path)
    with pytest.raises(PipelineError) as caught:
        next(tries)()
    assert remedy.fits(caught.value.remedy), caught.value.remedy
    helped = [again() for again in tries]
    assert helped, "the remedy must be carried out"
