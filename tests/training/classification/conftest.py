"""Toy cases in a store, and trainings on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from medseg.preprocess.classification import StoredSlices
from medseg.preprocess.classification.targets import SliceTargets
from medseg.records import Case
from medseg.training.classification import ClassificationInputs

from tests.training.classification.toys import BOTH, inputs_of, prepare, toy_case, toy_truth

Toys = tuple[tuple[Case, ...], tuple[StoredSlices, ...], dict[str, SliceTargets]]


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Toys:
    """Six cases of nine slices, in a store, with their truth; read-only."""
    root = tmp_path_factory.mktemp("toys")
    cases = tuple(toy_case(root, number) for number in range(6))
    stored = prepare(cases, root)
    return cases, stored, toy_truth(stored, cases, BOTH)


@pytest.fixture
def build_inputs(toys: Toys, tmp_path: Path) -> Callable[..., ClassificationInputs]:
    """A function that makes a training on four toys, validated on two, in a folder of its own."""
    _, stored, truth = toys

    def build(name: str = "run", *, validation: int = 2, **settings: Any) -> ClassificationInputs:
        return inputs_of(tmp_path / name, stored[:4], stored[4 : 4 + validation], truth, **settings)

    return build
