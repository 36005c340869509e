"""What is measured and how: the settings without which two results cannot be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, StrictInt, field_validator, model_validator

from medseg.configuration import Config, parse_config
from medseg.errors import ConfigError

CaseMetricName = Literal[
    "dice",
    "iou",
    "accuracy",
    "sensitivity",
    "specificity",
    "precision",
    "hd95_mm",
    "hd_mm",
    "assd_mm",
    "surface_dice",
    "volume_difference_ml",
    "volume_similarity",
    "centre_distance_mm",
]
"""Metrics of a structure in a case; `case_metrics` says what each one means."""

METRICS: tuple[CaseMetricName, ...] = get_args(CaseMetricName)
_Millimetres = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]


class EvaluationContract(Config):
    """Everything that decides what a number means; results under other contracts are not compared.

    Attributes:
        version: Version of this form.
        labels: Value of each foreground label by name; the manifest's if None.
        regions: Unions of labels that are measured like labels, such as a whole tumour, by name.
        measured: Whether labels are measured beside the regions that they make up. Regions alone may have names of
            labels.
        metrics: Metrics of each structure in each case.
        tolerances_mm: Distances within which two surfaces agree, for the surface Dice.
        tolerances_by_structure_mm: The same for single labels and regions, in place of `tolerances_mm`.
        both_empty: A structure that is empty in label and mask is left out and counted, or counts as perfect.
        one_empty: A structure that is empty in one of the two counts as the worst, 0 for shares and the diagonal of the
            scan for distances, or is left out and counted.
        objects: Structures whose connected objects are matched and counted, such as lesions.
        match_iou: IoU above which an object of the mask is one of the label; at least one half, so that none has two.
        aggregation: Order of the means.
    """

    version: Literal[1] = 1
    labels: dict[str, StrictInt] | None = None
    regions: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    measured: Literal["labels and regions", "regions"] = Field(
        "labels and regions", exclude_if=lambda kind: kind == "labels and regions"
    )
    metrics: tuple[CaseMetricName, ...] = METRICS
    tolerances_mm: tuple[_Millimetres, ...] = (1.0, 3.0)
    tolerances_by_structure_mm: dict[str, tuple[_Millimetres, ...]] = Field(default_factory=dict)
    both_empty: Literal["left out", "perfect"] = "left out"
    one_empty: Literal["worst", "left out"] = "worst"
    objects: tuple[str, ...] = ()
    match_iou: float = Field(0.5, ge=0.5, lt=1)
    aggregation: Literal["cases, then structures"] = "cases, then structures"

    @field_validator("metrics")
    @classmethod
    def _holds_dice(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if "dice" not in values:
            raise ValueError(f"must hold dice, by which cases are ranked, got {list(values)}")
        return values

    @field_validator("metrics", "tolerances_mm", "objects")
    @classmethod
    def _no_twins(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"must name each once, got {list(values)}")
        return values

    @field_validator("regions")
    @classmethod
    def _parts_differ(cls, values: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, parts in values.items():
            if len(set(parts)) < len(parts):
                raise ValueError(f"{name} must join each label once, got {list(parts)}")
        return values

    @model_validator(mode="after")
    def _tolerances_have_names(self) -> Self:
        for values in (self.tolerances_mm, *self.tolerances_by_structure_mm.values()):
            names = [surface_dice_name(mm) for mm in values]
            if len(set(names)) < len(names) or ("surface_dice" in self.metrics and not names):
                raise ValueError(f"tolerances must be at least one and differ in six digits, got {list(values)}")
        return self

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        if "mean" in self.regions:
            raise ValueError("regions must not be called 'mean', which is the mean over structures")
        if self.labels is None:
            return self
        if not self.labels:
            raise ValueError("labels must name at least one label, got none")
        if self.measured == "regions" and not self.regions:
            raise ValueError("regions must be there where they alone are measured, got none")
        both = sorted(self.labels.keys() & self.regions.keys())
        if both and self.measured == "labels and regions":
            raise ValueError(f"regions must have names of their own, got {both[0]!r}, which is a label")
        for name, parts in self.regions.items():
            unknown = [part for part in parts if part not in self.labels]
            if unknown or not parts:
                raise ValueError(f"regions.{name} must join labels of {sorted(self.labels)}, got {list(parts)}")
        for key, names in (("objects", self.objects), ("tolerances_by_structure_mm", self.tolerances_by_structure_mm)):
            unknown = [name for name in names if name not in self.structures]
            if unknown:
                raise ValueError(f"{key} must name labels or regions, got {unknown[0]!r}")
        return self

    @property
    def structures(self) -> dict[str, tuple[int, ...]]:
        """Label values of each structure by name: labels, then regions."""
        labels = self.labels or {}
        regions = {name: tuple(labels[part] for part in parts) for name, parts in self.regions.items()}
        if self.measured == "regions":
            return regions
        return {name: (value,) for name, value in labels.items()} | regions

    def bound_to(self, labels: Mapping[str, int], *, source: str = "contract") -> EvaluationContract:
        """The contract with a manifest's foreground labels, unless it has its own.

        Args:
            labels: Value of each foreground label by name.
            source: Name of the contract's file, for messages.

        Raises:
            ConfigError: If it names labels, or values of labels, that the manifest does not have.
        """
        if self.labels is None:
            content = self.model_dump(mode="json") | {"labels": dict(labels)}
            return parse_config(EvaluationContract, content, source=source)
        strange = [name for name, value in self.labels.items() if labels.get(name) != value]
        if strange:
            fact = f"{source}: labels must be those of the manifest, {dict(labels)}, got {strange[0]!r}"
            raise ConfigError(fact, remedy="correct them, or leave labels out to take the manifest's")
        return self

    def tolerances_of(self, structure: str) -> tuple[float, ...]:
        """Tolerances of the surface Dice of a structure, in millimetres."""
        return self.tolerances_by_structure_mm.get(structure, self.tolerances_mm)

    def values_of(self, structure: str) -> tuple[str, ...]:
        """Names of the values of a structure that `metrics` give, without those of its objects."""
        surface = tuple(surface_dice_name(mm) for mm in self.tolerances_of(structure))
        return tuple(name for metric in self.metrics for name in (surface if metric == "surface_dice" else (metric,)))

    @property
    def digest(self) -> str:
        """Checksum of the content, the same for the same settings in any order of their keys."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def surface_dice_name(tolerance_mm: float) -> str:
    """Name of the surface Dice at a tolerance, such as `surface_dice_1mm`."""
    return f"surface_dice_{tolerance_mm:g}mm"


def contract_differences(one: EvaluationContract, other: EvaluationContract) -> list[str]:
    """A line per setting in which two contracts differ; none if they are the same."""
    first, second = one.model_dump(mode="json"), other.model_dump(mode="json")
    keys = dict.fromkeys([*first, *second])
    return [f"{key}: {first.get(key)} against {second.get(key)}" for key in keys if first.get(key) != second.get(key)]
