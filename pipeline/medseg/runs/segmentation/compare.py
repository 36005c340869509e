"""Evaluations of the same cases held against each other: tables, a page, and nothing of chance sold as progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from medseg.atomic import write_json
from medseg.delivery.comparison import ComparedEvaluation, Comparison, save_comparison_page
from medseg.errors import ConfigError, EvaluationError
from medseg.evaluation.segmentation import (
    StoredEvaluation,
    as_text,
    compare_pair,
    contract_differences,
    kind_of,
    load_evaluation,
    needed_patients,
    signed_text,
    summarise,
)
from medseg.runs.progress import Progress, Silence
from medseg.runs.run_folder import check_empty
from medseg.runs.segmentation.cost_text import cost_rows
from medseg.runs.segmentation.worst_pictures import PictureSource, draw_missing
from medseg.runs.tracking import Tracking, attach_pages


@dataclass(frozen=True, slots=True)
class ComparisonResult:
    """A comparison of evaluations.

    Attributes:
        folder: Folder of `compare.json` and `compare.html`.
        comparison: What was compared.
        warnings: Sentences for the person who started the comparison.
    """

    folder: Path
    comparison: Comparison
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        """A line per evaluation and structure, for a terminal."""
        found, metric = self.comparison, self.comparison.metric
        first, kind = found.evaluations[0], kind_of(metric)
        width = max(len(entry.label) for entry in first.summary.labels)
        lines = []
        for one in found.evaluations:
            lines.append(f"{one.name}" + (f", against {first.name}:" if one.against else ":"))
            for entry in one.summary.labels:
                if entry.metric == metric:
                    change = next((e for e in one.against if (e.structure, e.metric) == (entry.label, metric)), None)
                    value = f"{kind.title} {as_text(metric, entry.mean, 4)} {kind.unit}".rstrip()
                    lines.append(f"  {entry.label:>{width}} {value}" + (f", {change}" if change else ""))
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareSettings:
    """Choices of a comparison.

    Attributes:
        out: Folder of the tables and the page, new or empty.
        metric: Metric that is drawn and by which cases are ranked; every metric is in the tables.
        names: Name of each evaluation; the folders' if not given.
        dataset: Dataset of the evaluations, from which pictures are drawn that they do not hold; none if not given.
        masks: Folder of the masks of each evaluation, in their order; given with the dataset.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        tracking: MLflow store, in which the runs of the evaluations show the page.
    """

    out: Path
    metric: str = "dice"
    names: Sequence[str] | None = None
    dataset: Path | None = None
    masks: Sequence[Path] = ()
    data_root: Path | None = None
    tracking: Tracking = field(default_factory=Tracking)


def compare_evaluations(
    folders: Sequence[Path], settings: CompareSettings, *, progress: Progress | None = None
) -> ComparisonResult:
    """Hold evaluations against the first one, on the cases that all of them have.

    Args:
        folders: Folders that `evaluate` wrote, at least two, the baseline first.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Raises:
        ConfigError: If there are fewer than two, names repeat, none has the metric, or dataset and masks do not fit.
        EvaluationError: If tables cannot be read, contracts differ, or there is no common case.
        ManifestError: If the dataset cannot be read.
    """
    if len(folders) < 2:
        raise ConfigError(f"compare: needs at least two evaluations, got {len(folders)}")
    stored = [load_evaluation(folder) for folder in folders]
    titles = _titles(stored, settings.names)
    _check_contracts(stored, titles)
    common, left_out = _cases(stored)
    metric = settings.metric
    known = list(dict.fromkeys(name for row in stored[0].rows for name in row.values))
    if metric not in known:
        raise ConfigError(f"compare: metric must be one of {', '.join(known)}, got {metric!r}")
    source = PictureSource.of(settings.dataset, settings.masks, data_root=settings.data_root, stored=stored)
    folder = check_empty(settings.out)
    patients = {case_id: owner for one in reversed(stored) for case_id, owner in one.patients.items()}
    baseline = _rows(stored[0], common)
    evaluations = tuple(
        ComparedEvaluation(
            name=title,
            stored=one,
            summary=summarise(_rows(one, common), patients=patients),
            against=tuple(compare_pair(baseline, _rows(one, common), patients=patients))
            if one is not stored[0]
            else (),
            cost=cost_rows(one.notes.get("cost") or {}),
            pictures=_pictures(one, common),
        )
        for one, title in zip(stored, titles, strict=True)
    )
    dataset = str(stored[0].notes.get("dataset", {}).get("name", "the dataset"))
    found = Comparison(dataset, metric, stored[0].contract, evaluations, tuple(common), tuple(left_out))
    undrawn: list[str] = []
    if source is not None:
        found, undrawn = draw_missing(found, source, folder=folder / "overlays", progress=progress or Silence())
    write_json(folder / "compare.json", _content(found))
    page = folder / "compare.html"
    save_comparison_page(found, page)
    unshown = _show_in_mlflow(found, page, settings.tracking)
    return ComparisonResult(folder, found, (*_warnings(found, patients), *undrawn, *unshown))


def _show_in_mlflow(found: Comparison, page: Path, tracking: Tracking) -> list[str]:
    """Attach the page to the MLflow runs of the evaluations; one warning that names those that do not show it."""
    reasons: dict[str, str] = {}
    place = f"comparison/{page.parent.resolve().name}"
    for one in found.evaluations:
        if tracking.is_on and "mlflow_run_id" not in one.stored.notes:
            reasons[one.name] = "an earlier version of medseg did not note the run of the evaluation"
        for line in attach_pages(one.stored.notes.get("mlflow_run_id"), [page], folder=place, tracking=tracking):
            reasons[one.name] = line.removeprefix(f"{page.name} is not shown in MLflow; ")
    if not reasons:
        return []
    whole = "; ".join(dict.fromkeys(reasons.values()))
    return [f"{page.name} is not shown in MLflow by the runs of {', '.join(reasons)}: {whole}"]


def _titles(stored: Sequence[StoredEvaluation], names: Sequence[str] | None) -> list[str]:
    """A name for each evaluation; folders of one name are told apart by the folder that they lie in."""
    if names is not None and len(names) != len(stored):
        raise ConfigError(f"compare: names must be one for each of {len(stored)} evaluations, got {len(names)}")
    titles = list(names) if names is not None else [one.name for one in stored]
    if names is None and len(set(titles)) < len(titles):
        titles = [f"{one.folder.resolve().parent.name}/{one.name}" for one in stored]
    twice = [title for title, count in Counter(titles).items() if count > 1]
    if twice:
        raise ConfigError(f"compare: names must differ, got {twice[0]!r} twice", remedy="give names, or other folders")
    return titles


def _check_contracts(stored: Sequence[StoredEvaluation], titles: Sequence[str]) -> None:
    for one, title in zip(stored[1:], titles[1:], strict=True):
        differences = contract_differences(stored[0].contract, one.contract)
        if differences:
            fact = f"evaluations {titles[0]} and {title}: must be under one contract, got {'; '.join(differences)}"
            raise EvaluationError(fact, remedy="evaluate both again under the same contract")


def _cases(stored: Sequence[StoredEvaluation]) -> tuple[list[str], list[str]]:
    """Ids of the cases that all evaluations have, and of those that only some have."""
    ids = [dict.fromkeys(row.case_id for row in one.rows) for one in stored]
    common = [case_id for case_id in ids[0] if all(case_id in other for other in ids)]
    if not common:
        raise EvaluationError("evaluations: must have cases in common, got none", remedy="evaluate the same cases")
    every = dict.fromkeys(case_id for one in ids for case_id in one)
    return common, [case_id for case_id in every if case_id not in set(common)]


def _rows(one: StoredEvaluation, common: Sequence[str]) -> list[Any]:
    wanted = set(common)
    return [row for row in one.rows if row.case_id in wanted]


def _pictures(one: StoredEvaluation, common: Sequence[str]) -> dict[str, Path]:
    """Overlays of the evaluation by case id."""
    wanted = set(common)
    found = {}
    for path in sorted((one.folder / "overlays").glob("*.png")):
        _, _, case_id = path.stem.partition("_")
        if case_id in wanted:
            found[case_id] = path
    return found


def _content(found: Comparison) -> dict[str, Any]:
    return {
        "dataset": found.dataset,
        "contract": found.contract.model_dump(mode="json"),
        "contract_digest": found.contract.digest,
        "metric": found.metric,
        "cases": list(found.common),
        "left_out": list(found.left_out),
        "evaluations": [
            {
                "name": one.name,
                "model": one.stored.notes.get("model"),
                "structures": [asdict(entry) for entry in one.summary.labels],
                "against_first": [{**asdict(entry), "verdict": entry.verdict} for entry in one.against],
                "cost": one.stored.notes.get("cost"),
            }
            for one in found.evaluations
        ],
    }


def _warnings(found: Comparison, patients: dict[str, str]) -> list[str]:
    """What a reader of the numbers must know."""
    said = []
    if found.left_out:
        said.append(f"{len(found.left_out)} cases are left out, which only some evaluations have")
    datasets = {one.stored.notes.get("dataset", {}).get("digest") for one in found.evaluations}
    if len(datasets) > 1:
        said.append("the evaluations are of different versions of the dataset: labels may differ")
    flattered = [one.name for one in found.evaluations if one.stored.notes.get("trained_on")]
    if flattered:
        said.append(f"{', '.join(flattered)}: the model was trained on some of the cases, which flatters it")
    for one in found.evaluations[1:]:
        said += _undefined(one, found)
        said += _too_few(one, found, patients)
    return said


def _undefined(one: ComparedEvaluation, found: Comparison) -> list[str]:
    """Where cases do not enter because one evaluation has no number for them."""
    return [
        f"{one.name}, {entry.structure}: {entry.undefined_in_one} cases do not enter the difference, because only one "
        f"evaluation has a {kind_of(entry.metric).title} there, as where the other rightly draws nothing; a contract "
        "with both_empty: perfect counts them"
        for entry in one.against
        if entry.metric == found.metric and entry.undefined_in_one
    ]


def _too_few(one: ComparedEvaluation, found: Comparison, patients: dict[str, str]) -> list[str]:
    """How many patients would tell a difference of this size from chance, where these do not."""
    first = {(row.case_id, row.label): row.values[found.metric] for row in found.evaluations[0].stored.rows}
    said = []
    for entry in one.against:
        if entry.metric != found.metric or entry.verdict != "neither" or not entry.difference:
            continue
        changes = [
            (row.values[found.metric] - first[row.case_id, row.label], patients.get(row.case_id, row.case_id))
            for row in one.stored.rows
            if row.label == entry.structure and row.case_id in found.common
        ]
        known = [(change, owner) for change, owner in changes if change == change]
        count = needed_patients(
            [change for change, _ in known], [owner for _, owner in known], half_width=abs(entry.difference)
        )
        if count is not None and count > entry.patients:
            change = signed_text(entry.metric, entry.difference)
            said.append(
                f"{one.name}, {entry.structure}: {entry.patients} patients do not tell {change} from chance; about "
                f"{count} would"
            )
    return said
