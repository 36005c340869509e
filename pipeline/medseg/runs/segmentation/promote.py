"""The model of an evaluation put into use, if it is shown to be no worse than the one that is in use."""

from __future__ import annotations

import re
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
from medseg.runs.describe import shortened
from medseg.runs.segmentation.compare import CompareSettings, compare_evaluations
from medseg.runs.tracking import Tracking
from medseg.tracking import ModelRegistry, RegisteredVersion

PAGE_FOLDER = "promotion"
_ALIAS = re.compile(r"(?!latest$|v\d+$)[a-z][a-z0-9_-]*")


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

    A model that replaces another must have been evaluated on the same cases under the same contract, neither may have
    seen the patients, and for every structure the whole interval of the paired difference must lie above a loss of
    `margin`.

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
    run_id, digest = _model_of(new)
    _check_unseen(new)
    registry = ModelRegistry(settings.tracking_uri)
    model_id = registry.model_id(run_id, digest)
    if model_id is None:
        raise EvaluationError(
            f"evaluation {new.name}: must be of weights that MLflow holds of run {run_id}, got others",
            remedy="predict with the run as it is now, by its last weights, and evaluate again",
        )
    name = settings.name or str(_dataset(new).get("name", "model"))
    current = registry.version_of(name, settings.alias)
    if current is not None and current.weights_digest == digest:
        return Promotion(current, settings.alias, None, (), ("this model has the alias already",))
    answers: tuple[NonInferiority, ...] = ()
    if current is not None:
        old = _evaluation_of(current, settings)
        answers = _answers(old, new, settings)
        with tempfile.TemporaryDirectory() as scratch:
            page = Path(scratch) / "comparison"
            names = (f"in use: {current}", f"new: {new.name}")
            off = Tracking(is_on=False)
            asked = CompareSettings(out=page, metric=settings.metric, names=names, tracking=off)
            compare_evaluations([old.folder, new.folder], asked)
            registry.log_page(run_id, page / "compare.html", folder=f"{PAGE_FOLDER}/{settings.alias}")
    version = registry.register(
        model_id,
        name=name,
        tags=_tags(new, settings, current),
        heading=settings.alias,
        description=_description(new, settings, current, answers),
    )
    registry.point(settings.alias, version)
    return Promotion(version, settings.alias, current, answers, tuple(_warnings(new)))


def _check(settings: PromoteSettings) -> None:
    if not settings.margin >= 0:
        raise ConfigError(f"margin must be at least 0, got {settings.margin}")
    if kind_of(settings.metric).direction == 0:
        raise ConfigError(f"metric must have a better side, got {settings.metric}", remedy="take dice, or a distance")
    if not _ALIAS.fullmatch(settings.alias):
        raise ConfigError(
            f"alias must be of small letters, digits, - and _, neither latest nor a version, got {settings.alias!r}",
            remedy="take candidate or clinical",
        )


def _model_of(one: StoredEvaluation) -> tuple[str, str]:
    """MLflow run and digest of the weights of the evaluated model.

    Raises:
        EvaluationError: If they are not known, or no case was measured.
    """
    if not one.rows:
        raise EvaluationError(
            f"evaluation {one.name}: must have measured a case, got none", remedy="predict and evaluate again"
        )
    run_id, digest = one.model_facts.get("run_id"), one.model_facts.get("weights_digest")
    if not run_id or not digest:
        raise EvaluationError(
            f"evaluation {one.name}: must be of masks of a model that MLflow knows, got none",
            remedy="train with tracking (resume the run of an earlier version once), predict and evaluate again",
        )
    return str(run_id), str(digest)


def _check_unseen(one: StoredEvaluation) -> None:
    """Hold an evaluation to patients that its model has not seen.

    Raises:
        EvaluationError: If the model was trained on some of them.
    """
    if seen := one.notes.get("trained_on"):
        raise EvaluationError(
            f"evaluation {one.name}: must be on patients that the model has not seen, got {len(seen)} cases of its "
            "training",
            remedy="evaluate its validation fold, or the test split",
        )


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
    _check_unseen(old)
    return old


def _answers(old: StoredEvaluation, new: StoredEvaluation, settings: PromoteSettings) -> tuple[NonInferiority, ...]:
    """How the new model compares with the old one.

    Raises:
        EvaluationError: If contracts, datasets or cases differ, or a loss is not ruled out.
    """
    _check_alike(old, new)
    if not any(settings.metric in row.values for row in new.rows):
        raise ConfigError(f"metric must be one of the evaluations', got {settings.metric!r}")
    answers = non_inferiority(
        old.rows, new.rows, patients=old.patients | new.patients, margin=settings.margin, metric=settings.metric
    )
    structures = dict.fromkeys([*(new.contract.labels or {}), *(row.label for row in (*old.rows, *new.rows))])
    silent = [name for name in structures if name not in {answer.difference.structure for answer in answers}]
    failed = [str(answer) for answer in answers if not answer.is_shown]
    failed += [f"{name}: no case has a number in both evaluations" for name in silent]
    if failed:
        is_worse = any(answer.is_worse for answer in answers)
        raise EvaluationError(
            f"{settings.alias}: the new model must be shown to be no worse than the one in use; {'; '.join(failed)}",
            remedy="keep the one in use" if is_worse else "evaluate both on more patients, or accept a wider margin",
        )
    return tuple(answers)


def _check_alike(old: StoredEvaluation, new: StoredEvaluation) -> None:
    """Hold two evaluations to one contract, one version of the dataset, and the same cases.

    Raises:
        EvaluationError: If they differ.
    """
    both = f"evaluations {old.name} and {new.name}"
    if differences := contract_differences(old.contract, new.contract):
        fact = f"{both}: must be under one contract, got {'; '.join(differences)}"
        raise EvaluationError(fact, remedy="evaluate both again under the same contract")
    if _dataset(old).get("digest") != _dataset(new).get("digest"):
        raise EvaluationError(
            f"{both}: must be on one version of one dataset, got two", remedy="evaluate both again on the same dataset"
        )
    cases = [{row.case_id for row in one.rows} for one in (old, new)]
    if cases[0] != cases[1]:
        odd = sorted(cases[0] ^ cases[1])
        raise EvaluationError(
            f"{both}: must have the same cases, {len(odd)} are in one of them alone: {', '.join(odd[:3])}",
            remedy="predict and evaluate the same cases",
        )


def _dataset(one: StoredEvaluation) -> dict[str, str]:
    return dict(one.notes.get("dataset") or {})


def _tags(new: StoredEvaluation, settings: PromoteSettings, current: RegisteredVersion | None) -> dict[str, str]:
    """What the version remembers."""
    dataset = _dataset(new)
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
    cases = len({row.case_id for row in new.rows})
    parts = [
        (
            f"By an evaluation of {cases} cases of {_dataset(new).get('name', 'the dataset')}, contract "
            f"`{new.contract.digest}`. Research software; not a medical device."
        )
    ]
    if answers and current is not None:
        lines = shortened("\n".join(f"- {answer}" for answer in answers), most=12)
        parts.append(f"Against {current}, which was {settings.alias}; the page is in `{PAGE_FOLDER}`:\n\n{lines}")
    parts.append(f"```\n{shortened(str(summarise(new.rows, patients=new.patients)), most=16)}\n```")
    return "\n\n".join(parts)


def _warnings(new: StoredEvaluation) -> list[str]:
    """What a reader must know."""
    failures = new.notes.get("failures") or []
    if failures:
        return [f"{len(failures)} cases of the evaluation failed and are in no number"]
    return []
