"""Remedies of the evaluation of quantities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import medseg
import numpy as np
from medseg.errors import PipelineError
from medseg.evaluation.regression import QuantityContract, evaluate_quantity_cases, quantity_metrics
from medseg.evaluation.segmentation import EvaluationContract, load_evaluation
from medseg.manifest import load_manifest
from medseg.runs.segmentation.evaluate import EvaluateSettings, evaluate_masks
from medseg.runs.tracking import Tracking

from tests.evaluation.regression.made_dataset import GRID, LABELS, QUANTITIES, write_dataset, write_map
from tests.evaluation.regression.made_doses import beam
from tests.remedies.attempts import tries

Again = Iterator[Callable[[], object]]
DOSE = beam(GRID.shape, GRID.spacing_mm)[0]
_CASES = "evaluation/regression/evaluate_cases.py"


def evaluating(place: Path, name: str = "out", **choices: Any) -> Callable[[], object]:
    return lambda: medseg.evaluate(place, masks=place / "maps", out=place / name, tracking=False, **choices)


class _CaseError(PipelineError):
    """The error of a case as its failure holds it."""


def measuring(place: Path) -> Callable[[], None]:
    """Measure the only case; what makes it fail is raised with its parts."""

    def measure() -> None:
        manifest, root = load_manifest(place)
        contract = QuantityContract()
        found = evaluate_quantity_cases(manifest.cases, manifest, root, maps=place / "maps", contract=contract)
        for failure in found.failures:
            fact, _, remedy = failure.reason.partition("; ")
            raise _CaseError(fact, remedy=remedy)

    return measure


@tries("evaluation/regression/same_grid.py", "put both on one grid first")
def _other_shape(place: Path) -> Again:
    yield lambda: quantity_metrics(DOSE, DOSE[:-1], spacing_mm=(1, 1, 1))
    yield lambda: quantity_metrics(DOSE[:-1], DOSE[:-1], spacing_mm=(1, 1, 1))


@tries(_CASES, "run predict on this case first")
def _no_map(place: Path) -> Again:
    write_dataset(place, errors={"a": 1.0})
    (place / "maps" / "dose" / "a.nii.gz").unlink()
    yield measuring(place)
    write_map(place / "maps", "dose", "a", DOSE)
    yield measuring(place)


@tries(_CASES, "predict this case again")
def _not_finite(place: Path) -> Again:
    write_dataset(place, errors={"a": 1.0})
    write_map(place / "maps", "dose", "a", DOSE * np.float32(np.nan))
    yield measuring(place)
    write_map(place / "maps", "dose", "a", DOSE)
    yield measuring(place)


@tries(_CASES, "convert the values, or correct the unit in the manifest")
def _other_unit(place: Path) -> Again:
    write_dataset(place, errors={"a": 1.0})
    write_map(place / "maps", "dose", "a", DOSE * 100, unit="cGy")
    yield measuring(place)
    write_map(place / "maps", "dose", "a", DOSE)
    yield measuring(place)
    write_dataset(place, errors={"a": 1.0}, quantities={**QUANTITIES, "dose": {"unit": "cGy", "prescription": 6000.0}})
    write_map(place / "maps", "dose", "a", DOSE * 100, unit="cGy")
    yield measuring(place)


@tries("runs/regression/evaluate.py", "rename the label or region")
def _structure_called_all(place: Path) -> Again:
    write_dataset(place, errors={"a": 1.0}, labels={**LABELS, "all": 4})
    yield evaluating(place)
    write_dataset(place, errors={"a": 1.0}, labels={**LABELS, "body": 4})
    yield evaluating(place)


@tries("runs/evaluate.py", "leave them out, or give a dataset of masks")
def _choices_of_masks(place: Path) -> Again:
    write_dataset(place, errors={"a": 1.0})
    yield evaluating(place, contract=EvaluationContract())
    yield evaluating(place)
    write_dataset(place, errors={"a": 1.0}, task="segmentation", quantities=None)
    path = place / "dataset.json"
    path.write_text(path.read_text().replace(f', "quantities": {_FILES}', ""))
    yield evaluating(place, "masks", contract=EvaluationContract())


_FILES = '{"dose": "a_dose.nii.gz", "ct": "a_ct.nii.gz"}'


@tries("runs/segmentation/evaluate.py", "give an EvaluationContract, or leave it out")
def _contract_of_quantities(place: Path) -> Again:
    write_dataset(place, errors={"a": 1.0}, task="segmentation", quantities=None)
    path = place / "dataset.json"
    path.write_text(path.read_text().replace(f', "quantities": {_FILES}', ""))

    def evaluating_masks(**choices: Any) -> Callable[[], object]:
        name = f"out_{len(list(place.iterdir()))}"
        settings = EvaluateSettings(masks=place / "maps", out=place / name, tracking=Tracking(is_on=False), **choices)
        return lambda: evaluate_masks(place, settings)

    yield evaluating_masks(contract=QuantityContract())
    yield evaluating_masks(contract=EvaluationContract())
    (place / "another").mkdir()
    yield evaluating_masks()


@tries("evaluation/segmentation/stored.py", "give evaluations of masks; those of quantities are read as tables")
def _of_quantities(place: Path) -> Again:
    write_dataset(place / "doses", errors={"a": 1.0})
    evaluating(place / "doses")()
    yield lambda: load_evaluation(place / "doses" / "out")
    (place / "masks").mkdir()
    write_dataset(place / "masks", errors={"a": 1.0}, task="segmentation", quantities=None)
    path = place / "masks" / "dataset.json"
    path.write_text(path.read_text().replace(f', "quantities": {_FILES}', ""))
    evaluating(place / "masks")()
    yield lambda: load_evaluation(place / "masks" / "out")
