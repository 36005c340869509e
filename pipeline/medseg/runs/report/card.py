"""The model card of a run: intended use, training population, metrics, limits and licences."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.delivery.report import Block, Bullets, Facts, Section, Text
from medseg.inference.segmentation import ModelCard
from medseg.runs.report.data import data_facts
from medseg.runs.report.plain import some_of
from medseg.runs.report.results import Result
from medseg.runs.report.source import ReportSource
from medseg.runs.report.usual import usual_structures

_DATA_LICENCE = "not known: it stands in the dataset's manifest, which was not given to this report"


def card_section(source: ReportSource, results: Sequence[Result]) -> Section:
    """The card in a few lines, as the page shows it; numbers and limits stand above it."""
    facts = {
        "Intended use": _use(source),
        "Not for": _NOT_FOR,
        "Training population": _population(source),
        "Metrics": "; ".join(_headlines(results)) or "none were measured",
        **_licences(source),
    }
    return Section("Model card", [Facts(facts), *usual_structures(source)])


def card_sections(source: ReportSource, results: Sequence[Result], limits: Sequence[str]) -> list[Section]:
    """The card as a document of its own.

    Args:
        source: The run.
        results: Validation and evaluations.
        limits: Sentences of what they do not show.
    """
    metrics: list[Block] = []
    for result in results:
        why = result.headline or next(iter(result.limits), "nothing was measured")
        metrics += [Text(f"{result.section.title}: {why.rstrip('.')}."), *result.tables]
        metrics += [Text(f"Warning: {warning}") for warning in result.warnings]
    return [
        Section("Intended use", [Text(f"{_use(source)}."), Text(f"Not for: {_NOT_FOR}.")]),
        Section("Training population", [Facts(data_facts(source)), *usual_structures(source)]),
        Section("Metrics", metrics),
        Section("Limits", [Bullets(limits)]),
        Section("Licences", [Facts(_licences(source))]),
    ]


_NOT_FOR = "diagnosis, treatment or any other clinical use; it is research software, not a medical device"


def _use(source: ReportSource) -> str:
    channels, names = ", ".join(source.card.channels), some_of(source.structures, 40)
    if isinstance(source.card, ModelCard):
        scans = "pictures" if source.is_flat else "scans"
        return f"Research: masks of {names} on {scans} with the channels {channels}, on the {scans}' own grids"
    plane = source.card.slices.plane
    return f"Research: probabilities of {names} on {plane} slices of scans with the channels {channels}"


def _population(source: ReportSource) -> str:
    facts = data_facts(source)
    patients = facts.get("Training patients", "patients not known")
    return f"{facts['Training']} of {source.card.dataset} ({patients})"


def _headlines(results: Sequence[Result]) -> list[str]:
    return [f"{result.section.title}: {result.headline}" for result in results if result.headline]


def _licences(source: ReportSource) -> dict[str, str]:
    facts = data_facts(source)
    return {
        "Licence of the data": facts.get("Licence", _DATA_LICENCE),
        "Source of the data": facts.get("Source", _DATA_LICENCE),
        "Licence of the weights": "not stated in the run folder",
    }
