"""A run as a page to hand round, the same as a PDF, and its model card."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medseg import __version__
from medseg.atomic import write_text
from medseg.delivery.report import Report, Section, Text, as_markdown, check_pdf, render_report, save_pdf
from medseg.errors import ConfigError
from medseg.inference.segmentation import ModelCard
from medseg.runs.describe import fold_text
from medseg.runs.report import classification, segmentation
from medseg.runs.report.card import card_section, card_sections
from medseg.runs.report.curves import curves_section
from medseg.runs.report.data import data_section
from medseg.runs.report.limits import limits_of, limits_section
from medseg.runs.report.plain import count, some_of
from medseg.runs.report.results import Result
from medseg.runs.report.settings import plan_section
from medseg.runs.report.source import ReportSource, open_run
from medseg.runs.report.training import NOT_ENDED, training_section, unfinished
from medseg.runs.report.update import update_sections
from medseg.runs.run_folder import check_empty
from medseg.runs.tracking import Tracking, attach_pages

PAGE_NAME, PDF_NAME, CARD_NAME = "report.html", "report.pdf", "model_card.md"


@dataclass(frozen=True, slots=True)
class ReportResult:
    """A report that was written.

    Attributes:
        folder: Folder of the files.
        files: Page, model card and, where it was asked for, the PDF.
        report: What the page shows.
        missing: Sentences of what the folders do not hold.
        warnings: Sentences for the reader of the numbers.
    """

    folder: Path
    files: tuple[Path, ...]
    report: Report
    missing: tuple[str, ...]
    warnings: tuple[str, ...]


def report_run(
    run: Path,
    out: Path,
    *,
    evaluations: Sequence[Path] = (),
    dataset: Path | None = None,
    data_root: Path | None = None,
    with_pdf: bool = False,
    tracking: Tracking | None = None,
) -> ReportResult:
    """Write the report of a run; it says what the folders hold and what they lack, and nothing of this machine.

    Args:
        run: Folder of a segmentation's or a classification's training.
        out: Folder of the report, new or empty.
        evaluations: Folders that an evaluation of the run's results wrote.
        dataset: Dataset that the run was trained on, for patients, sites, scanners, licence and source.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        with_pdf: Whether the page is written as PDF, too.
        tracking: MLflow store, in which the run shows the page; that of the training if not given.

    Raises:
        CheckpointError: If the folder holds no model card, or the trainings of all folds.
        ConfigError: If an evaluation is given twice, or the output folder holds something.
        DeliveryError: If a PDF cannot be made on this machine, or a file cannot be written.
        EvaluationError: If an evaluation is damaged, or of another task than the run.
        ManifestError: If the dataset is not the one that the run was trained on.
    """
    if with_pdf:
        check_pdf()
    if len({folder.resolve() for folder in evaluations}) < len(evaluations):
        raise ConfigError("report: an evaluation must be given once, got one twice", remedy="give each of them once")
    source = open_run(run, dataset, data_root)
    kind = segmentation if isinstance(source.card, ModelCard) else classification
    validation = kind.validation_result(source, with_pictures=not evaluations)
    measured = [kind.evaluation_result(folder, source) for folder in evaluations]
    check_empty(out)
    limits = limits_of(source, validation, measured)
    report = _report(source, validation, measured, limits)
    page = render_report(report)
    sections = card_sections(source, (validation, *measured), limits)
    card = as_markdown(f"Model card of {source.name}", [*sections, Section("Made by", [Text(report.maker)])])
    files = _write(out, page, card, with_pdf=with_pdf)
    missing = tuple(block.text for block in _texts(report) if block.tone == "missing")
    unshown = _attach(source, files, tracking or Tracking())
    warnings = (*unfinished(source), *(warning for one in measured for warning in one.warnings), *unshown)
    return ReportResult(out, files, report, missing, warnings)


def _write(folder: Path, page: str, card: str, *, with_pdf: bool) -> tuple[Path, ...]:
    """Write the files; the PDF first, because it may fail, and a folder that holds nothing can be used again."""
    pdf = [folder / PDF_NAME] if with_pdf else []
    for path in pdf:
        save_pdf(page, path)
    write_text(folder / PAGE_NAME, page)
    write_text(folder / CARD_NAME, card)
    return (folder / PAGE_NAME, folder / CARD_NAME, *pdf)


def _attach(source: ReportSource, files: Sequence[Path], tracking: Tracking) -> tuple[str, ...]:
    """Show the report with the training in MLflow, if its record can be read and it has a run there."""
    record = source.record
    if record is None:
        return ()
    place = replace(tracking, uri=tracking.uri or record.tracking_uri)
    return attach_pages(record.mlflow_run_id, files, folder="report", tracking=place)


def _report(source: ReportSource, validation: Result, measured: Sequence[Result], limits: Sequence[str]) -> Report:
    return Report(
        title=f"Report of {source.name}",
        subtitle=_subtitle(source),
        facts=_facts(source),
        sections=[
            data_section(source),
            plan_section(source),
            training_section(source),
            curves_section(source),
            validation.section,
            *update_sections(source),
            *(result.section for result in measured),
            limits_section(limits),
            card_section(source, (validation, *measured)),
        ],
        maker=(
            f"Made by medseg report {__version__} on {_today()} from the run's folder"
            f"{' and its dataset' if source.cases else ''}. Research software, not a medical device."
        ),
    )


def _texts(report: Report) -> list[Text]:
    return [block for section in report.sections for block in section.blocks if isinstance(block, Text)]


def _subtitle(source: ReportSource) -> str:
    what = "Segmentation" if isinstance(source.card, ModelCard) else "Slice classification"
    return f"{what} of {some_of(source.structures)} on {source.card.dataset}"


def _facts(source: ReportSource) -> dict[str, str]:
    """What identifies the run."""
    card, record = source.card, source.record
    facts = {"Dataset": card.dataset}
    if record is None:
        facts["Fold and length"] = source.missing["run.json"]
    else:
        facts["Fold"] = fold_text(record.fold)
        facts["Length"] = record.budget or (count(record.epochs, "epoch") if record.epochs else "the plan's")
        facts["MLflow run"] = record.mlflow_run_id or "none"
    if unfinished(source):
        facts["State"] = NOT_ENDED[0].lower() + NOT_ENDED[1:]
    network = card.own_network if isinstance(card, ModelCard) else None
    kind = card.network.kind if isinstance(card, ModelCard) else card.network.architecture
    cost = card.cost if isinstance(card, ModelCard) else None
    return facts | {
        **({"Parameters": f"{cost.parameters:,}"} if cost else {}),
        "Network": f"the user's own, {network}" if network else kind,
        "Trained with": f"medseg {card.medseg_version}",
        "Date of this report": _today(),
        "Digest of the plan": card.plan_digest[:12],
    }


def _today() -> str:
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()
