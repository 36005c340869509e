"""An evaluation as its folder holds it: read again to be compared with another."""

from __future__ import annotations

import csv
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.configuration import parse_config
from medseg.errors import ConfigError, EvaluationError
from medseg.evaluation.segmentation.contract import EvaluationContract
from medseg.records import CaseMetrics

METRICS_NAME = "metrics.csv"
SUMMARY_NAME = "summary.json"
COSTS = ("seconds_per_case", "peak_memory_bytes", "parameters", "multiply_adds_per_window", "training_minutes")
_KEYS = ("case_id", "label", "label_voxels", "mask_voxels")


@dataclass(frozen=True, slots=True)
class StoredEvaluation:
    """What `medseg evaluate` left in a folder.

    Attributes:
        folder: The folder.
        contract: What was measured, and how.
        rows: Metrics per case and structure.
        patients: Patient of each case.
        notes: The other fields of `summary.json`: dataset, model, cost and more.
    """

    folder: Path
    contract: EvaluationContract
    rows: tuple[CaseMetrics, ...]
    patients: dict[str, str]
    notes: dict[str, Any]

    @property
    def model_facts(self) -> dict[str, Any]:
        """Identity of the model that drew the masks; empty for masks from elsewhere."""
        return dict(self.notes.get("model") or {})

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name


def load_evaluation(folder: Path) -> StoredEvaluation:
    """Read the tables of an evaluation.

    Raises:
        EvaluationError: If they are missing, damaged, of quantities, or of a version without a contract.
    """
    try:
        content = json.loads((folder / SUMMARY_NAME).read_text(encoding="utf-8"))
        _check_of_masks(content, folder)
        rows = read_metrics(folder / METRICS_NAME)
        contract = parse_config(EvaluationContract, content["contract"], source=SUMMARY_NAME)
        patients = dict(content["patients"])
        _check_notes(content)
    except FileNotFoundError as error:
        missing = Path(str(error.filename)).name
        fact = f"evaluation {folder.name}: must hold {SUMMARY_NAME} and {METRICS_NAME}, found no {missing}"
        raise EvaluationError(fact, remedy="give the folder that evaluate wrote") from error
    except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
        fact = f"evaluation {folder.name}: its tables must be as evaluate writes them, got: {error}"
        raise EvaluationError(fact, remedy="evaluate the masks again") from error
    return StoredEvaluation(folder, contract, rows, patients, content)


def _check_of_masks(content: Any, folder: Path) -> None:
    """Refuse an evaluation of quantities, whose numbers are others.

    Raises:
        EvaluationError: If it is one.
    """
    if isinstance(content, dict) and content.get("task") == "regression":
        fact = f"evaluation {folder.name}: must be of masks, got one of quantities"
        raise EvaluationError(fact, remedy="give evaluations of masks; those of quantities are read as tables")


def _check_notes(content: dict[str, Any]) -> None:
    """Refuse fields that are not as `evaluate` writes them; those of other versions may be missing.

    Raises:
        ValueError: If one is of another kind.
    """
    for key, is_optional in {"dataset": False, "model": True, "cost": True}.items():
        value = content.get(key, {})
        if not (isinstance(value, dict) or (value is None and is_optional)):
            raise ValueError(f"{key} in {SUMMARY_NAME} must be a mapping, got {value!r}")
    for key in COSTS:
        value = (content.get("cost") or {}).get(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (is_number and 0 <= value <= sys.float_info.max):
            raise ValueError(f"cost.{key} in {SUMMARY_NAME} must be a number of at least 0, got {value!r}")


def read_metrics(path: Path) -> tuple[CaseMetrics, ...]:
    """Read a table of metrics per case and structure.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it lacks a column, or holds what is no number.
    """
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        if not {*_KEYS} <= {*(table.fieldnames or ())}:
            raise ValueError(f"{path.name} without the columns {', '.join(_KEYS)}")
        return tuple(_row(line) for line in table)


def _row(line: dict[str, str]) -> CaseMetrics:
    values = {name: float(text) if text else math.nan for name, text in line.items() if name not in _KEYS}
    return CaseMetrics(
        case_id=line["case_id"],
        label=line["label"],
        values=values,
        label_voxels=int(line["label_voxels"]),
        mask_voxels=int(line["mask_voxels"]),
    )
