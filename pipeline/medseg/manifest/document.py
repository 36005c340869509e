"""Our own dataset.json: a Decathlon datalist with more keys."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from medseg.errors import ManifestError
from medseg.quantity import Quantity
from medseg.records import Age, Case, LabelReview, Manifest, Sex, Split


class CaseEntry(BaseModel):
    """One entry of `training` or `test`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case_id: str = Field(min_length=1, description="Unique name of the case; masks are named after it.")
    patient_id: str | None = Field(
        None, min_length=1, description="Patient (or pseudonym); one patient's cases share a fold."
    )
    image: str | Annotated[list[str], Field(min_length=1)] = Field(
        description="Path of the image, or one per channel, relative to the data root."
    )
    label: str | None = Field(None, description="Path of the reference label, relative to the data root.")
    fold: int | None = Field(None, ge=0, description="Validation fold, from 0.")
    site: str | None = Field(None, description="Where the scan was made.")
    scanner: str | None = Field(None, description="What the scan was made with.")
    sex: Sex | None = Field(None, description="Sex of the patient, as DICOM (0010,0040): F, M, or O for another.")
    age_years: Age | None = Field(None, description="Age of the patient at the study, in years.")
    study_uid: str | None = Field(None, description="DICOM (0020,000D) or its pseudonym.")
    series_uid: str | None = Field(None, description="DICOM (0020,000E) or its pseudonym.")
    sha256: dict[str, str] | None = Field(None, description="SHA-256 of each file, by its relative path.")
    slice_labels: list[list[str]] | None = Field(None, description="Labels present on each slice along k.")
    modality: str | None = Field(None, description="DICOM (0008,0060), joined by '+' where the channels differ.")
    label_ml: dict[str, float] | None = Field(None, description="Millilitres of each label, by name.")
    study_date: str | None = Field(None, description="YYYYMMDD, moved by a number of days of the patient's own.")
    label_review: LabelReview | None = Field(None, description="Decision by which a model's mask became the label.")
    annotated_labels: list[str] | None = Field(
        None, description="Labels or regions that were annotated in this case; background says nothing of the others."
    )
    raters: dict[str, str] | None = Field(
        None, description="Path of each rater's label by name; fused into the reference where there is no label."
    )
    quantities: dict[str, str] | None = Field(
        None, description="Path of the values of each quantity by its name, relative to the data root; NaN: not known."
    )
    study_labels: list[str] | None = Field(
        None, description="Study classes that the case shows; those that are not named are absent."
    )


class ManifestDocument(BaseModel):
    """A medseg dataset.json."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="medseg dataset manifest")

    name: str = Field(min_length=1, description="Name of the dataset.")
    version: str = Field("1", description="Version of the dataset.")
    description: str = Field("", description="What is in it.")
    licence: str = Field("", description="Under which terms it may be used.")
    source: str = Field("", description="Where it comes from.")
    channel_names: dict[str, str] = Field(description="Channel names by index: {'0': 'CT'}.")
    labels: dict[str, StrictInt] = Field(
        {"background": 0}, description="Label values by name; 'background' is 0. Only a regression may leave them out."
    )
    regions: dict[str, list[StrictInt]] | None = Field(
        None, description="Structures that overlap: the label values that make up each one."
    )
    regions_order: list[StrictInt] | None = Field(
        None, description="Value that each region writes where no value stands for the combination of regions."
    )
    ignore: StrictInt | None = Field(None, description="Value of voxels that nobody has annotated.")
    fusion: Literal["majority", "staple"] | None = Field(
        None, description="How the labels of several raters become the reference; majority if not given."
    )
    quantities: dict[str, Quantity] | None = Field(
        None, description="Quantities with a value in every voxel, which a regression learns, by name."
    )
    study_classes: list[str] | None = Field(None, description="Classes of whole cases that study_labels name.")
    task: Literal["segmentation", "classification", "regression"] = Field(
        "segmentation", description="What is learned."
    )
    instances: bool = Field(False, description="Every positive value is one object of the only foreground label.")
    allow_empty_labels: bool = Field(False, description="A training label may hold no labelled voxel.")
    training: list[CaseEntry] = Field(description="Cases for training and validation folds.")
    test: list[CaseEntry] = Field(default_factory=list, description="Cases held out.")


def manifest_schema() -> dict[str, Any]:
    """The JSON schema of `ManifestDocument`, as it stands in `data_manifests/schema.json`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ManifestDocument.model_json_schema()}


def to_manifest(document: ManifestDocument) -> Manifest:
    """The manifest of a document."""
    entries: list[tuple[CaseEntry, Split]] = [(entry, "training") for entry in document.training]
    entries += [(entry, "test") for entry in document.test]
    missing = [entry.case_id for entry, _ in entries if entry.patient_id is None]
    if missing and len(missing) < len(entries):
        raise ManifestError(
            "patient_id must be given for all cases or none", remedy="add it or remove all", case_id=missing[0]
        )
    return Manifest(
        name=document.name,
        version=document.version,
        description=document.description,
        licence=document.licence,
        source=document.source,
        channels=ordered_channels(document.channel_names),
        labels=document.labels,
        regions=document.regions,
        regions_order=document.regions_order,
        ignore=document.ignore,
        fusion=document.fusion,
        quantities=document.quantities,
        study_classes=document.study_classes,
        task=document.task,
        instances=document.instances,
        allow_empty_labels=document.allow_empty_labels,
        has_patients=not missing,
        cases=tuple(_to_case(entry, split) for entry, split in entries),
    )


def to_document(manifest: Manifest) -> ManifestDocument:
    """The document of a manifest."""
    entries: dict[Split, list[CaseEntry]] = {"training": [], "test": []}
    for case in manifest.cases:
        entries[case.split].append(_to_entry(case, has_patients=manifest.has_patients))
    shared = manifest.model_dump(exclude={"channels", "cases", "has_patients"})
    names = {str(index): name for index, name in enumerate(manifest.channels)}
    return ManifestDocument(channel_names=names, training=entries["training"], test=entries["test"], **shared)


def ordered_channels(names: dict[str, str]) -> tuple[str, ...]:
    """Channel names sorted by their index.

    Raises:
        ManifestError: If the keys are not 0, 1, 2, …
    """
    if not names or names.keys() != {str(index) for index in range(len(names))}:
        raise ManifestError(f"channel names must be keyed '0', '1', …, got {sorted(names)}", remedy="renumber them")
    return tuple(names[str(index)] for index in range(len(names)))


# Fields are copied directly instead of being dumped first, since a manifest may hold a hundred thousand cases.
def _to_case(entry: CaseEntry, split: Split) -> Case:
    content = vars(entry).copy()
    image = content.pop("image")
    patient_id = content.pop("patient_id") or entry.case_id
    images = (image,) if isinstance(image, str) else tuple(image)
    return Case(images=images, patient_id=patient_id, split=split, **content)


def _to_entry(case: Case, *, has_patients: bool) -> CaseEntry:
    content = vars(case).copy()
    del content["split"]
    images = content.pop("images")
    content["patient_id"] = case.patient_id if has_patients else None
    if case.slice_labels is not None:
        content["slice_labels"] = [list(names) for names in case.slice_labels]
    if case.annotated_labels is not None:
        content["annotated_labels"] = list(case.annotated_labels)
    if case.study_labels is not None:
        content["study_labels"] = list(case.study_labels)
    return CaseEntry(image=images[0] if len(images) == 1 else list(images), **content)
