"""A contract from its YAML file; what is wrong in the file is said in the words of a contract."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from medseg.configuration import describe_problems, read_yaml
from medseg.errors import ConfigError
from medseg.evaluation.segmentation.contract import METRICS, EvaluationContract

_RULES = {
    "version": "must be 1",
    "labels": "must give the value of each label by its name, such as {liver: 1, tumour: 2}",
    "regions": "must give the labels of each region by its name, such as {whole: [tumour, oedema]}",
    "measured": "must be 'labels and regions' or 'regions'",
    "metrics": f"must be a list of metrics among {', '.join(METRICS)}",
    "tolerances_mm": "must be a list of distances above 0 in millimetres, such as [1.0, 3.0]",
    "tolerances_by_structure_mm": "must give a list of distances above 0 in millimetres by structure, such as "
    "{tumour: [1.0, 2.0]}",
    "both_empty": "must be 'left out' or 'perfect'",
    "one_empty": "must be 'worst' or 'left out'",
    "objects": "must be a list of labels and regions, such as [tumour]",
    "match_iou": "must be a number from 0.5 to below 1",
    "aggregation": "must be 'cases, then structures'",
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "measured": ("labels and regions", "regions"),
    "metrics": METRICS,
    "both_empty": ("left out", "perfect"),
    "one_empty": ("worst", "left out"),
}
_LONGEST = 80


def load_contract(path: Path) -> EvaluationContract:
    """Read a contract from YAML; what it leaves out has the default.

    Raises:
        ConfigError: If the file cannot be read, or a key or value is wrong; all are listed.
    """
    content = read_yaml(path, what="contract")
    try:
        return EvaluationContract.model_validate(content)
    except ValidationError as error:
        general = describe_problems(EvaluationContract, error)
        problems = zip(error.errors(), general, strict=True)
        clauses = dict.fromkeys(_clause(problem) or known for problem, known in problems)
        raise ConfigError(f"contract {path}: " + "; ".join(clauses)) from error


def _clause(problem: Any) -> str | None:
    """A wrong value in the words of a contract; None where the general words fit, as for an unknown key."""
    place = problem["loc"]
    if problem["type"] in ("extra_forbidden", "value_error") or not place or place[0] not in _RULES:
        return None
    key, given = str(place[0]), problem["input"]
    near = difflib.get_close_matches(str(given), _CHOICES.get(key, ()), n=1)
    is_list_wanted = problem["type"] == "tuple_type"
    meant = [f"[{name}]" if is_list_wanted else repr(name) for name in near]
    text = repr(given)
    shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return f"{key} {_RULES[key]}, got {shown}" + (f"; did you mean {meant[0]}?" if meant else "")
