"""A case that runs out of memory ends no loop over cases: the others are delivered, and it is listed."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from medseg.audit import audit_manifest, fix_dataset, load_for_audit
from medseg.cohort import SERIAL, ProcessExecutor
from medseg.delivery.classification import ComparedNetwork
from medseg.errors import DeliveryError
from medseg.evaluation.segmentation import evaluate_cases
from medseg.inference import CaseInput
from medseg.inference.classification import SlicePredictor
from medseg.inference.segmentation import InferenceConfig, ModelCard, Predictor, predict_cases
from medseg.manifest import save_manifest
from medseg.networks import NetworkConfig
from medseg.planning import take_fingerprint
from medseg.preprocess import PreprocessConfig
from medseg.preprocess.classification import SliceConfig, prepare_slices
from medseg.preprocess.classification.targets import LabelTargets, read_targets
from medseg.preprocess.segmentation import prepare_cases
from medseg.records import Case, Manifest
from medseg.runs.classification import compare
from medseg.runs.classification.gate import GateSettings, try_gate
from medseg.runs.classification.triage import triage
from medseg.runs.classification.trial import Trial
from medseg.runs.tracking import Tracking
from medseg.scans import write_scan
from medseg.split import measure_labels
from medseg.targets import SliceClasses

from tests.conftest import Medseg
from tests.grids import grid
from tests.inference.classification.knowing import CPU, card_of, knowing_predictor
from tests.inference.classification.test_reviewed_cases import SPLEEN_LIVER, Steps
from tests.ingest.sources import run_ingest
from tests.preprocess.classification.scans import NONE

NAMES = ("a", "b", "c")
HUNGRY = "b"
LABELS = {"background": 0, "spleen": 3, "liver": 7}
SLICES = SliceConfig(plane="axial", pixel_mm=1.0, size=(16, 16), normalisation=(NONE,))


class Came(NamedTuple):
    """What came of the cases: names of those that were delivered, and of those that are listed."""

    delivered: Sequence[str]
    listed: Sequence[str]


class Place(NamedTuple):
    """Three small cases, and a folder to write to."""

    manifest: Manifest
    root: Path
    out: Path

    @property
    def cases(self) -> tuple[Case, ...]:
        return self.manifest.cases

    @property
    def inputs(self) -> list[CaseInput]:
        return [CaseInput(case.case_id, (self.root / case.images[0],)) for case in self.cases]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Cases of one slice more each, spleen and liver in all of them, and their labels as masks."""
    root = tmp_path / "data"
    cases = []
    for number, name in enumerate(NAMES):
        geometry = grid((9, 10, 10 + number))
        classes = np.zeros(geometry.shape, np.uint8)
        classes[1:5, 2:6, 3:5] = 1
        classes[5:8, 6:9, 6:8] = 2
        label = np.array([0, 3, 7], np.uint8)[classes]
        write_scan(classes[None].astype(np.float32), geometry, root / f"{name}_image.nii.gz")
        write_scan(label[None], geometry, root / f"{name}_label.nii.gz")
        write_scan(label[None], geometry, root / "masks" / f"{name}.nii.gz")
        files = {"images": (f"{name}_image.nii.gz",), "label": f"{name}_label.nii.gz"}
        cases.append(Case(case_id=name, patient_id=f"p_{name}", fold=number, **files))
    manifest = Manifest(name="small", channels=("MR",), labels=LABELS, cases=tuple(cases))
    save_manifest(manifest, root / "dataset.json")
    return Place(manifest, root, tmp_path / "out")


def ids(things: Sequence[Any]) -> list[str]:
    return [one.case_id for one in things]


def model_card() -> ModelCard:
    network = NetworkConfig(
        spatial_dims=3,
        in_channels=1,
        out_channels=3,
        channels=(4, 8),
        strides=((1, 1, 1), (2, 2, 2)),
        kernels=((3, 3, 3), (3, 3, 3)),
        blocks=(1, 1),
        decoder_blocks=(1,),
    )
    return ModelCard(
        medseg_version="0.1.0",
        dataset="small",
        channels=("MR",),
        labels=LABELS,
        network=network,
        preprocess=PreprocessConfig(axcodes="RAS", normalisation=(NONE,)),
        inference=InferenceConfig(patch_size=(8, 8, 8)),
        trained_on=(),
        manifest_digest="m" * 64,
        plan_digest="p" * 64,
    )


def segmenter() -> Predictor:
    return Predictor(Steps(), model_card(), device=CPU, precision="fp32")


def classifier() -> SlicePredictor:
    return knowing_predictor(card_of(targets=SPLEEN_LIVER, slices=SLICES))


def prepared(place: Place) -> Came:
    config = PreprocessConfig(normalisation=(NONE,))
    found = prepare_cases(place.cases, place.manifest, place.root, config=config, store=place.out)
    return Came(ids(found.cases), ids(found.failures))


def sliced(place: Place) -> Came:
    found = prepare_slices(place.cases, place.manifest, place.root, config=SLICES, with_labels=True, store=place.out)
    return Came(ids(found.cases), ids(found.failures))


def known(place: Place) -> Came:
    stored = prepare_slices(
        place.cases, place.manifest, place.root, config=SLICES, with_labels=True, store=place.out
    ).cases
    truth, missing = read_targets(LabelTargets(SliceClasses(classes=("spleen", "liver"))), stored, place.cases)
    return Came(list(truth), list(missing))


def fingerprinted(place: Place) -> Came:
    found = take_fingerprint(place.cases, place.manifest, place.root)
    return Came([NAMES[case.shape[2] - 10] for case in found.cases], ids(found.failures))


def measured(place: Place) -> Came:
    found = measure_labels(place.manifest, place.root, by=("volume",))
    return Came(ids([case for case in found.manifest.cases if case.label_ml]), ids(found.failures))


def audited(place: Place) -> Came:
    source = load_for_audit(place.root)
    audit = audit_manifest(source.manifest, source.root)
    crashed = [found.case_id for found in audit.findings if found.check == "crashed"]
    return Came(ids([facts for facts in audit.cases if facts.geometry]), [str(case_id) for case_id in crashed])


def export(place: Place, *kinds: str) -> Path:
    """The files as a hospital would give them: a folder per patient."""
    source = place.root / "source"
    for name in NAMES:
        (source / name).mkdir(parents=True)
        for kind in kinds:
            (place.root / f"{name}_{kind}.nii.gz").rename(source / name / f"{name}_{kind}.nii.gz")
    return source


def ingested(place: Place) -> Came:
    done = run_ingest(export(place, "image"), place.out, keep_ids=True)
    return Came([case.patient_id for case in done.manifest.cases], [f.case_id[0] for f in done.report.failures])


def predicted(place: Place) -> Came:
    delivered, failures = predict_cases(segmenter(), place.inputs, place.out)
    assert sorted(path.name for path in place.out.glob("*.nii.gz")) == [f"{one.case_id}.nii.gz" for one in delivered]
    record = json.loads((place.out / "predictions.json").read_text(encoding="utf-8"))
    assert [case["case_id"] for case in record["failures"]] == ids(failures)
    return Came(ids(delivered), ids(failures))


def evaluated(place: Place) -> Came:
    rows, failures = evaluate_cases(place.cases, place.manifest, place.root, masks=place.root / "masks")
    return Came(ids(rows)[::2], ids(failures))


def ranked(place: Place) -> Came:
    studies, failures = triage(classifier(), place.inputs, place.out)
    assert all(failure.case_id in (place.out / "triage.html").read_text(encoding="utf-8") for failure in failures)
    return Came(ids(studies), ids(failures))


def gated(place: Place) -> Came:
    settings = GateSettings(out=place.out, sensitivities=(0.95,), device="cpu", tracking=Tracking(is_on=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Predictor, "load", lambda *given, **settings: segmenter())
        patch.setattr(SlicePredictor, "load", lambda *given, **settings: classifier())
        try_gate(place.root, place.root, place.root, settings)
    lines = (place.out / "gate.csv").read_text(encoding="utf-8").splitlines()[1:]
    failures = json.loads((place.out / "gate.json").read_text(encoding="utf-8"))["failures"]
    return Came([line[0] for line in lines][::2], [failure["case_id"] for failure in failures])


# What runs the loop, and what is read in it.
LOOPS: list[tuple[Callable[[Place], Came], str]] = [
    (prepared, "medseg.preprocess.segmentation.prepare.read_case_readings"),
    (sliced, "medseg.preprocess.classification.prepare.read_case"),
    (known, "medseg.preprocess.classification.targets.LabelTargets.read"),
    (fingerprinted, "medseg.planning.fingerprint.read_case"),
    (measured, "medseg.split.label_volumes.read_case_label"),
    (audited, "medseg.audit.examine.read_scan"),
    (ingested, "medseg.ingest.build_image.read_scan"),
    (ingested, "medseg.ingest.image_source.read_grid"),
    (predicted, "medseg.inference.segmentation.case_stages.read_input"),
    (predicted, "medseg.inference.segmentation.case_stages.write_mask"),
    (evaluated, "medseg.evaluation.segmentation.evaluate_cases.read_case_label"),
    (ranked, "medseg.runs.classification.triage.read_input"),
    (gated, "medseg.runs.classification.gate.read_case"),
]
every_loop = pytest.mark.parametrize(
    ("loop", "reader"), LOOPS, ids=[f"{loop.__name__}-{reader.rsplit('.', 1)[1]}" for loop, reader in LOOPS]
)


def is_about(name: str, given: Sequence[Any]) -> bool:
    """Whether arguments are of a case, by its id or its files."""
    ids = [getattr(one, "case_id", one) for one in given]
    return name in [one for one in ids if isinstance(one, str)] or any(
        one.name.startswith(f"{name}_") for one in ids if isinstance(one, Path)
    )


def raising_for(name: str, error: BaseException, path: str, patch: pytest.MonkeyPatch) -> None:
    """Let a function raise an error for one of the cases."""
    owner, attribute = path.rsplit(".", 1)
    try:
        holder: Any = importlib.import_module(owner)
    except ModuleNotFoundError:
        holder = getattr(importlib.import_module(owner.rsplit(".", 1)[0]), owner.rsplit(".", 1)[1])
    real = getattr(holder, attribute)

    def hungry(*given: Any, **named: Any) -> Any:
        if is_about(name, [*given, *named.values()]):
            raise error
        return real(*given, **named)

    patch.setattr(holder, attribute, hungry)


@every_loop
def test_every_case_is_delivered_where_none_fails(loop: Callable[[Place], Came], reader: str, place: Place) -> None:
    assert loop(place) == (list(NAMES), [])


@every_loop
def test_case_without_memory_is_listed_and_the_others_delivered(
    loop: Callable[[Place], Came], reader: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising_for(HUNGRY, MemoryError(), reader, monkeypatch)
    assert loop(place) == (["a", "c"], [HUNGRY])


@every_loop
def test_interrupt_in_a_case_surfaces(
    loop: Callable[[Place], Came], reader: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising_for(HUNGRY, KeyboardInterrupt(), reader, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        loop(place)


@every_loop
def test_mistake_in_the_code_surfaces(
    loop: Callable[[Place], Came], reader: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising_for(HUNGRY, TypeError(), reader, monkeypatch)
    if loop is audited:  # whatever a damaged file makes a library raise is a finding
        assert loop(place) == (["a", "c"], [HUNGRY])
    else:
        with pytest.raises(TypeError):
            loop(place)


def test_mask_without_memory_is_a_label_in_no_case(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    source = export(place, "image", "label")
    raising_for(HUNGRY, MemoryError(), "medseg.ingest.label_source.read_label", monkeypatch)
    done = run_ingest(source, place.out, keep_ids=True)
    assert [case.patient_id for case in done.manifest.cases if case.label] == ["a", "c"]
    (lost,) = done.report.lost_labels
    assert "memory must hold it" in lost


def test_new_version_is_whole_or_not_there(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    source = load_for_audit(place.root)
    audit = audit_manifest(source.manifest, source.root)
    raising_for(HUNGRY, MemoryError(), "medseg.audit.fix.copy_repaired", monkeypatch)
    with pytest.raises(DeliveryError, match="case b: memory must hold it"):
        fix_dataset(audit, source.root, place.out, folder=source.folder)
    assert not place.out.exists()


def test_network_without_memory_leaves_the_comparison_of_the_others(
    place: Place, medseg: Medseg, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(candidate: Any, **settings: Any) -> Trial:
        if candidate.case_id == "plain18":
            raise MemoryError
        numbers = {"parameters": 10, "multiply_adds": 20, "error": 0.2, "train_error": 0.1, "low": 0.1, "high": 0.3}
        network = ComparedNetwork(name=candidate.case_id, family="residual", depth=18, seconds=1.0, **numbers)
        return Trial(network, 2, (1.0, 0.5), (1.0, 1.0))

    monkeypatch.chdir(place.root)
    monkeypatch.setattr(compare, "try_network", train)
    done = medseg(
        "classify", "compare", place.root, "--networks", "plain18,resnet18", "--out", place.out, "--no-tracking"
    )  # fmt: skip
    assert done.code == 1
    assert "case plain18: memory must hold it" in done.err
    found = json.loads((place.out / "comparison.json").read_text(encoding="utf-8"))
    assert [network["name"] for network in found["networks"]] == ["resnet18"]


def test_labels_measured_in_processes_are_those_measured_here(place: Place) -> None:
    here, there = (
        measure_labels(place.manifest, place.root, by=("volume",), executor=executor)
        for executor in (SERIAL, ProcessExecutor(2))
    )
    assert here == there
    assert here.failures == ()
