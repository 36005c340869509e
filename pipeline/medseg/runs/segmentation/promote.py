"""The model of an evaluation put into use, if it is shown to be no worse than the one that is in use."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg import __version__
from medseg.errors import ConfigError, EvaluationError
from medseg.evaluation.segmentation import (
    NonInferiority,
    StoredEvaluation,
    contract_differences,
    kind_of,
    load_evaluation,
    non_inferiority,
    summarise,
)
from medseg.runs.segmentation.compare import CompareSettings, compare_evaluations
from medseg.runs.tracking import Tracking
from medseg.tracking import ModelRegistry, RegisteredVersion

PAGE_FOLDER = "promotion"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteSettings:
    """Choices of a promotion.

    Attributes:
        alias: Name under which the model is used, such as `candidate` or `clinical`.
        against: Evaluation of the model that holds the alias now; needed if there is one.
        metric: Metric that must not be lost.
        margin: Loss of the metric that is accepted, in its unit.
        name: Name of the registered model; that of the dataset if not given.
        tracking_uri: MLflow store; its own choice if not given.
    """

    alias: str = "candidate"
    against: Path | None = None
    metric: str = "dice"
    margin: float = 0.01
    name: str | None = None
    tracking_uri: str | None = None


@dataclass(frozen=True, slots=True)
class Promotion:
    """A model that was put into use.

    Attributes:
        version: Registered version.
        alias: Name under which it is used.
        replaced: Version that had the alias; None if there was none.
        answers: How the model compares with that version, for each structure.
        warnings: Sentences for the person who promoted it.
    """

    version: RegisteredVersion
    alias: str
    replaced: RegisteredVersion | None
    answers: tuple[NonInferiority, ...]
    warnings: tuple[str, ...]

    @property
    def address(self) -> str:
        """Address of the model for MLflow, and for `predict`."""
        return f"models:/{self.version.name}@{self.alias}"

    def __str__(self) -> str:
        """What was done, and on what evidence."""
        before = f", in place of version {self.replaced.version}" if self.replaced else ""
        return "\n".join([f"{self.version} is {self.alias}{before}: {self.address}", *map(str, self.answers)])


def promote_model(folder: Path, settings: PromoteSettings) -> Promotion:
    """Register the model of an evaluation, and let an alias name it.

    A model that replaces another must have been evaluated on the same cases under the same contract, and the whole
    interval of the paired difference must lie above a loss of `margin`, for every structure.

    Args:
        folder: Folder that `evaluate` wrote, of masks that the model drew.
        settings: Choices.

    Raises:
        ConfigError: If a setting is wrong.
        EvaluationError: If the evaluation is not of a tracked model, flatters it, or does not show that it is no worse.
        TrackingError: If the store cannot be used, or does not hold the model.
    """
    _check(settings)
    new = load_evaluation(folder)
    run_id = _run_of(new)
    registry = ModelRegistry(settings.tracking_uri)
    if registry.weights_of(run_id) != new.model_facts.get("weights_digest"):
        raise EvaluationError(
            f"evaluation {new.name}: must be of the weights that MLflow holds of run {run_id}, got others",
            remedy="predict with the run as it is now, by its last weights, and evaluate again",
        )
    name = settings.name or str(new.notes.get("dataset", {}).get("name", "model"))
    current = registry.version_of(name, settings.alias)
    is_same = current is not None and current.weights_digest == new.model_facts.get("weights_digest")
    answers: tuple[NonInferiority, ...] = ()
    if current is not None and not is_same:
        old = _evaluation_of(current, settings)
        answers = _answers(old, new, settings)
        with tempfile.TemporaryDirectory() as scratch:
            page = Path(scratch) / "comparison"
            names = (f"in use: {current}", f"new: {new.name}")
            asked = CompareSettings(out=page, metric=settings.metric, names=names, tracking=Tracking(is_on=False))
            compare_evaluations([old.folder, new.folder], asked)
            registry.log_page(run_id, page / "compare.html", folder=f"{PAGE_FOLDER}/{settings.alias}")
    tags = _tags(new, settings, current)
    description = _description(new, settings, current, answers)
    version = registry.register(run_id, name=name, tags=tags, heading=settings.alias, description=description)
    registry.point(settings.alias, version)
    return Promotion(version, settings.alias, None if is_same else current, answers, tuple(_warnings(new)))


def _check(settings: PromoteSettings) -> None:
    if not settings.margin >= 0:
        raise ConfigError(f"margin must be at least 0, got {settings.margin}")
    if kind_of(settings.metric).direction == 0:
        raise ConfigError(f"metric must have a better side, got {settings.metric}", remedy="take dice, or a distance")
    alias = settings.alias
    if not alias.replace("-", "").replace("_", "").isalnum() or (alias[0] == "v" and alias[1:].isdigit()):
        raise ConfigError(
            f"alias must be of letters, digits, - and _, and not be a version such as v3, got {alias!r}",
            remedy="take candidate or clinical",
        )


def _run_of(one: StoredEvaluation) -> str:
    """MLflow run of the evaluated model.

    Raises:
        EvaluationError: If it is not known, or the evaluation flatters the model.
    """
    run_id = one.model_facts.get("run_id")
    if not run_id:
        raise EvaluationError(
            f"evaluation {one.name}: must be of masks of a model that MLflow knows, got none",
            remedy="train with tracking, predict and evaluate again",
        )
    if seen := one.notes.get("trained_on"):
        raise EvaluationError(
            f"evaluation {one.name}: must be on patients that the model has not seen, got {len(seen)} cases of its "
            "training",
            remedy="evaluate its validation fold, or the test split",
        )
    return str(run_id)


def _evaluation_of(current: RegisteredVersion, settings: PromoteSettings) -> StoredEvaluation:
    """The evaluation of the version in use.

    Raises:
        EvaluationError: If it is missing, or of another model.
    """
    if settings.against is None:
        raise EvaluationError(
            f"{settings.alias}: {current} is in use, and must be compared with",
            remedy="evaluate it on the same cases under the same contract, and give that evaluation too",
        )
    old = load_evaluation(settings.against)
    if not current.weights_digest or old.model_facts.get("weights_digest") != current.weights_digest:
        raise EvaluationError(
            f"evaluation {old.name}: must be of {current}, which is {settings.alias}, got another model",
            remedy=f"predict with models:/{current.name}@{settings.alias} and evaluate again",
        )
    return old


def _answers(old: StoredEvaluation, new: StoredEvaluation, settings: PromoteSettings) -> tuple[NonInferiority, ...]:
    """How the new model compares with the old one.

    Raises:
        EvaluationError: If contracts or cases differ, or a loss is not ruled out.
    """
    if differences := contract_differences(old.contract, new.contract):
        fact = f"evaluations {old.name} and {new.name}: must be under one contract, got {'; '.join(differences)}"
        raise EvaluationError(fact, remedy="evaluate both again under the same contract")
    missing = {row.case_id for row in old.rows} - {row.case_id for row in new.rows}
    if missing:
        raise EvaluationError(
            f"evaluation {new.name}: must have every case of {old.name}, {len(missing)} are missing: "
            f"{', '.join(sorted(missing)[:3])}",
            remedy="predict and evaluate the same cases",
        )
    if not any(settings.metric in row.values for row in new.rows):
        raise ConfigError(f"metric must be one of the evaluations', got {settings.metric!r}")
    common = {row.case_id for row in old.rows}
    answers = non_inferiority(
        old.rows,
        [row for row in new.rows if row.case_id in common],
        patients=old.patients | new.patients,
        margin=settings.margin,
        metric=settings.metric,
    )
    failed = [str(answer) for answer in answers if not answer.is_shown]
    if failed:
        raise EvaluationError(
            f"{settings.alias}: the new model must be shown to be no worse than the one in use; {'; '.join(failed)}",
            remedy="evaluate both on more patients, or accept a wider margin",
        )
    return tuple(answers)


def _tags(new: StoredEvaluation, settings: PromoteSettings, current: RegisteredVersion | None) -> dict[str, str]:
    """What the version remembers."""
    dataset = new.notes.get("dataset", {})
    return {
        "medseg.version": __version__,
        "medseg.contract": new.contract.digest,
        "medseg.dataset": f"{dataset.get('name', '')} {dataset.get('version', '')}".strip(),
        "medseg.manifest_digest": str(dataset.get("digest", "")),
        "medseg.cases": str(len({row.case_id for row in new.rows})),
        f"medseg.{settings.alias}_after": str(current) if current else "none",
    }


def _description(
    new: StoredEvaluation,
    settings: PromoteSettings,
    current: RegisteredVersion | None,
    answers: Sequence[NonInferiority],
) -> str:
    """On what evidence the version has its alias, in Markdown."""
    dataset = new.notes.get("dataset", {})
    cases = len({row.case_id for row in new.rows})
    summary = summarise(new.rows, patients=new.patients)
    parts = [
        (
            f"By an evaluation of {cases} cases of {dataset.get('name', 'the dataset')}, contract "
            f"`{new.contract.digest}`."
        ),
        f"```\n{summary}\n```",
    ]
    if answers and current is not None:
        lines = "\n".join(f"- {answer}" for answer in answers)
        parts.append(f"Against {current}, which was {settings.alias}:\n\n{lines}\n\nThe page is in `{PAGE_FOLDER}`.")
    parts.append("Research software; not a medical device.")
    return "\n\n".join(parts)


def _warnings(new: StoredEvaluation) -> list[str]:
    """What a reader must know."""
    failures = new.notes.get("failures") or []
    if failures:
        return [f"{len(failures)} cases of the evaluation failed and are in no number"]
    return []
