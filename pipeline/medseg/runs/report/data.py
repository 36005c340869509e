"""The data of a run: cases, channels and labels from its folder; patients, sites and licence from the dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from statistics import median

from medseg.delivery.report import Block, Facts, Row, Section, Table, Text
from medseg.inference.segmentation import ModelCard
from medseg.inference.segmentation.initialised_from import InitialisedFrom
from medseg.planning import Plan
from medseg.records import Case, Manifest
from medseg.runs.report.plain import count, some_of
from medseg.runs.report.source import ReportSource
from medseg.runs.training_cases import TrainingCases

_GROUPS = ("site", "scanner", "modality", "sex")
_MOST_GROUPS = 40


def data_section(source: ReportSource) -> Section:
    """Cases, channels, labels and, with the dataset, patients, sites, scanners, licence and source."""
    blocks: list[Block] = [Facts(data_facts(source))]
    if source.record is None:
        unknown = "fold, length, validation cases and MLflow run of the training are not known"
        blocks.append(Text(f"{source.missing['run.json']}: {unknown}.", "missing"))
    blocks += _structures(source)
    if source.cases is None:
        blocks.append(
            Text(
                "Patients, sites, scanners, licence and source stand in the dataset's manifest, which a run folder "
                "does not hold; the dataset was not given to this report.",
                "missing",
            )
        )
    else:
        blocks += _groups(source, source.cases)
    if isinstance(source.card, ModelCard) and source.card.initialised_from is not None:
        blocks.append(Text(_beginning(source.card.initialised_from)))
    return Section("Data", blocks)


def data_facts(source: ReportSource) -> dict[str, str]:
    """What the model was trained and validated on."""
    card, validation = source.card, source.validation
    facts = {
        "Dataset": card.dataset,
        "Image channels": ", ".join(card.channels),
        "Labels" if isinstance(card, ModelCard) else "Classes": some_of(source.structures),
        "Training": count(len(source.training), "case"),
        "Validation": "run.json does not say" if validation is None else count(len(validation), "case"),
    }
    if not isinstance(card, ModelCard):
        facts["Truth of the classes"] = _TRUTH[card.targets.source]
    facts["Digest of the manifest"] = card.manifest_digest[:12]
    return facts | (_dataset_facts(source, source.cases) if source.cases else {})


_TRUTH = {
    "label": "label volumes, slice by slice",
    "slice_labels": "slice labels of the manifest",
    "csv": "a CSV file of classes",
}


def patients_of(cases: tuple[Case, ...], manifest: Manifest) -> str:
    """Count of the patients of some cases, and what it rests on."""
    if not manifest.has_patients:
        return "unknown patients; every case counts as one"
    return count(len({case.patient_id for case in cases}), "patient")


def _dataset_facts(source: ReportSource, given: TrainingCases) -> dict[str, str]:
    manifest = given.manifest
    training = source.training_cases
    ages = [case.age_years for case in training if case.age_years is not None]
    facts = {
        "Training patients": patients_of(training, manifest),
        "Validation patients": _validation_patients(source, given),
        "Held out for testing": count(len(manifest.select("test")), "case"),
        "Licence": manifest.licence or "not stated in the manifest",
        "Source": manifest.source or "not stated in the manifest",
        "Description": manifest.description or "not stated in the manifest",
    }
    return facts | (
        {"Median age in training": f"{median(ages):.0f} years, of {count(len(ages), 'case')}"} if ages else {}
    )


def _validation_patients(source: ReportSource, given: TrainingCases) -> str:
    if source.validation is None:
        return "not known without run.json"
    return patients_of(given.validation, given.manifest) if given.validation else "none"


def _structures(source: ReportSource) -> Iterator[Block]:
    """A row per label, with what the plan's fingerprint knows of it."""
    card, plan = source.card, source.plan
    if not isinstance(card, ModelCard):
        return
    if card.regions is not None:
        made_of = {name: ", ".join(map(str, values)) for name, values in card.regions.items()}
        yield Table("Regions", ("Region", "Values of the mask"), [Row(one) for one in made_of.items()])
    profile = plan.fingerprint if isinstance(plan, Plan) else None
    if profile is None:
        rows = [Row((name, str(value))) for name, value in card.labels.items()]
        yield Table("Labels", ("Label", "Value"), rows)
        yield Text("plan.yaml holds no sizes of the labels.", "missing")
        return
    is_flat = any(label.median_pixels is not None for label in profile.labels.values())
    rows = []
    for name, value in card.labels.items():
        label = profile.labels.get(name)
        if label is None:
            continue
        size = label.median_pixels if is_flat else label.median_ml
        parts = "" if label.components is None else f"{label.components:g}"
        cells = (str(value), str(label.cases), "" if size is None else f"{size:g}", parts)
        rows.append(Row((name, ", ".join(label.neighbours) or "none", *cells)))
    columns = ("Label", "Touches", "Value", "Cases with it", "Median pixels" if is_flat else "Median ml", "Components")
    looked = f"Of {count(profile.cases, 'training case')}; components and neighbours of {profile.structured_cases}."
    yield Table("Labels in the training cases", columns, rows, words=2, note=looked)


def _groups(source: ReportSource, given: TrainingCases) -> Iterator[Block]:
    """Cases by site, scanner, modality and sex, where the manifest says them."""
    manifest = given.manifest
    columns = {"Training": source.training_cases, "Validation": given.validation, "Test": manifest.select("test")}
    if source.validation is None:
        del columns["Validation"]
    unknown, rows = [], []
    for by in _GROUPS:
        counts = {name: Counter(getattr(case, by) or "not stated" for case in cases) for name, cases in columns.items()}
        groups = sorted({group for found in counts.values() for group in found})
        if groups in ([], ["not stated"]):
            unknown.append(by)
            continue
        rows += [Row((by, group, *(str(found[group]) for found in counts.values()))) for group in groups]
    if rows:
        note = f"{len(rows) - _MOST_GROUPS} more groups stand in the manifest." if len(rows) > _MOST_GROUPS else ""
        yield Table("Cases by group", ("By", "Group", *columns), rows[:_MOST_GROUPS], words=2, note=note)
    if unknown:
        yield Text(f"The manifest does not state: {', '.join(unknown)}.", "missing")


def _beginning(earlier: InitialisedFrom) -> str:
    return (
        f"The training began with the {earlier.weights} weights of a model of {earlier.dataset}, which was trained on "
        f"{count(len(earlier.trained_on), 'case')}; {100 * earlier.taken_share:.1f} % of the parameters were taken."
    )
