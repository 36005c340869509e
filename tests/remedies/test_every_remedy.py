"""Rule 17: a remedy that an error names exists and fits, because it is carried out here."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

import pytest
from medseg.errors import PipelineError

import tests.remedies
from tests.remedies.attempts import ATTEMPTS, BY_A_PERSON, ROOMS, Attempt, Remedy, remedies_of

for _module in pkgutil.iter_modules(tests.remedies.__path__):
    if not _module.name.startswith("test_"):
        import_module(f"tests.remedies.{_module.name}")  # which registers its attempts

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
