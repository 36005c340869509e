"""Remedies of classes beside masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import medseg
import numpy as np
import torch
from medseg.audit.label_checks import check_label_given
from medseg.inference.case_record import CaseRecord
from medseg.inference.head_record import HeadRecord
from medseg.inference.segmentation import Predictor
from medseg.inference.segmentation.ensemble import check_heads
from medseg.inference.segmentation.head.card import HeadCard
from medseg.inference.segmentation.head.refuse import refuse_head
from medseg.planning import CaseFingerprint, Fingerprint, Plan, make_plan
from medseg.preprocess.segmentation.head_truth import listed_truth
from medseg.records import Case
from medseg.runs.segmentation.head.inputs import check_teaches, with_mask
from medseg.runs.segmentation.head.plan import check_head, complete_head, with_level
from medseg.runs.segmentation.head.tables import head_of
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.settings import TrainingSettings
from medseg.runs.training_cases import TrainingCases
from medseg.targets import HeadClasses
from medseg.training.segmentation import SegmentationParts
from medseg.training.segmentation.head.config import HeadConfig

from tests.integration.listed import write_listed
from tests.manifest.datasets import manifest_of, own_content
from tests.remedies.attempts import tried_elsewhere, tries
from tests.remedies.audit import refuse
from tests.remedies.inference import model_card, model_run
from tests.remedies.manifest import entry, loading
from tests.remedies.runs import SMALL

Again = Iterator[Callable[[], object]]
CARD = HeadCard(level="slice", classes=("liver",))
CPU = torch.device("cpu")


def plan_of(network: Any = "unet") -> Plan:
    case = CaseFingerprint((40, 40, 40), (1.0, 1.0, 1.0), np.ones((1, 5)))
    return make_plan(Fingerprint((case,), (), is_2d=False), manifest_of([]), device="cpu", network=network)


def train(dataset: Path, out: Path, head: str | None = "slice", **settings: Any) -> object:
    config = {**SMALL, **settings.pop("config", {})}
    return medseg.train(
        dataset, out=out, store=out.parent / "store", fold=0, epochs=1, config=config, device="cpu", tracking=False,
        head=head, **settings,
    )  # fmt: skip


@tries("manifest/study_checks.py", "name each class once, or leave study_classes out")
def _repeated(place: Path) -> Again:
    yield loading(place, own_content(study_classes=["sick", "sick"]))
    yield loading(place, own_content(study_classes=["sick"]))
    yield loading(place, own_content())


@tries("manifest/study_checks.py", "name the classes under study_classes too, or correct the case")
def _unnamed(place: Path) -> Again:
    yield loading(place, own_content(study_classes=["sick"], training=[entry(study_labels=["ill"])]))
    yield loading(place, own_content(study_classes=["sick", "ill"], training=[entry(study_labels=["ill"])]))
    yield loading(place, own_content(study_classes=["sick"], training=[entry(study_labels=["sick"])]))


def _truth(*names: tuple[str, ...], classes: tuple[str, ...] = ("liver",)) -> Callable[[], object]:
    case = Case(case_id="c", patient_id="p", images=("c.nii.gz",), slice_labels=names)
    return lambda: listed_truth(case, manifest_of([]), HeadClasses(level="slice", classes=classes), slices=2)


@tries("preprocess/segmentation/head_truth.py", "list what each slice along the array's last axis shows")
def _short_list(place: Path) -> Again:
    yield _truth(("liver",))
    yield _truth(("liver",), ())


@tries(
    "runs/segmentation/head/inputs.py",
    "give it a label, slice_labels or, for study classes, study_labels; or drop the case",
)
def _says_nothing(place: Path) -> Again:
    head = HeadConfig(level="study", classes=("liver", "sick"))

    def check(**facts: object) -> None:
        case = Case.model_validate({"case_id": "c", "patient_id": "p", "images": ("c.nii.gz",), **facts})
        manifest = manifest_of([], study_classes=("sick",))
        check_teaches(listed_truth(case, manifest, head.target, slices=2), head, case_id="c")

    yield lambda: check()
    yield lambda: check(slice_labels=(("liver",), ()))
    yield lambda: check(study_labels=())


@tries("preprocess/segmentation/head_truth.py", "name them under head.classes, or correct them")
def _unknown_slice_label(place: Path) -> Again:
    yield _truth(("artefact",), ())
    yield _truth(("artefact",), (), classes=("liver", "artefact"))
    yield _truth(("liver",), ())


@tries("audit/label_checks.py", "train with a head, or add the label")
def _without_label(place: Path) -> Again:
    case = Case(case_id="c", patient_id="p", images=("c.nii.gz",), study_labels=())

    def check(case: Case) -> None:
        refuse(check_label_given(case, manifest_of([])), "missing_label", "train with a head")

    yield lambda: check(case)
    yield lambda: check(case.model_copy(update={"label": "l.nii.gz"}))
    yield lambda: complete_head(with_level(plan_of(), "slice"), manifest_of([]))


@tries("inference/segmentation/ensemble.py", "predict with each model into a folder of its own, or out of fold")
def _two_heads(place: Path) -> Again:
    card = model_card()
    network = card.network.model_copy(update={"head_classes": 1})  # type: ignore[union-attr]
    one = Predictor.load(model_run(place / "one", network=network, head=CARD), device=CPU)
    yield lambda: check_heads([one, one])
    yield lambda: check_heads([one])


@tries("inference/segmentation/head/refuse.py", "draw masks and classes by predict, or train without a head")
def _lost_classes(place: Path) -> Again:
    yield lambda: refuse_head(CARD, "a package")
    yield lambda: refuse_head(None, "a package")


def _record(*classes: str) -> CaseRecord:
    head = HeadRecord(level="study", classes=classes, positions_mm=(), slices=(), study=(0.5,) * len(classes))
    return CaseRecord(
        case_id="c", mask="c.nii.gz", volume_ml={}, in_training=False, seconds=0.0, peak_memory_bytes=0, head=head
    )


@tries("runs/segmentation/head/tables.py", "predict with one model into a folder of its own")
def _two_kinds(place: Path) -> Again:
    yield lambda: head_of([_record("a"), _record("b")])
    yield lambda: head_of([_record("a"), _record("a")])


tried_elsewhere(
    "tests/integration/test_head_route.py",
    "refused",
    "runs/segmentation/predict.py",
    "leave the gate out, or give the classifier as check",
)


@tries("runs/segmentation/job.py", "choose slice or study")
def _no_such_level(place: Path) -> Again:
    yield lambda: SegmentationJob(head="slices")  # type: ignore[arg-type]
    yield lambda: SegmentationJob(head="slice")
    yield lambda: SegmentationJob(head="study")


@tries("runs/segmentation/head/plan.py", "ask for none, or plan again")
def _other_level(place: Path) -> Again:
    plan = with_level(plan_of(), "slice")
    yield lambda: with_level(plan, "study")
    yield lambda: with_level(plan, None)
    yield lambda: with_level(plan_of(), "study")


@tries("runs/segmentation/head/plan.py", "name no network, or no head")
def _other_network(place: Path) -> Again:
    yield lambda: complete_head(with_level(plan_of("dynunet"), "slice"), manifest_of([]))
    yield lambda: complete_head(with_level(plan_of(), "slice"), manifest_of([]))
    yield lambda: complete_head(plan_of("dynunet"), manifest_of([]))


@tries("runs/segmentation/head/plan.py", "name study_classes in the manifest, with study_labels of its cases")
def _no_classes(place: Path) -> Again:
    plan = with_level(plan_of(), "study")
    yield lambda: complete_head(plan, manifest_of([]))
    yield lambda: complete_head(plan, manifest_of([], study_classes=("sick",)))


@tries("runs/segmentation/head/plan.py", "train again on all cases, or fine-tune the run")
def _update(place: Path) -> Again:
    plan, parts = with_level(plan_of(), "slice"), SegmentationParts()
    yield lambda: check_head(plan, TrainingSettings(out=place / "out", update=place), parts)
    yield lambda: check_head(plan, TrainingSettings(out=place / "out"), parts)
    yield lambda: check_head(plan, TrainingSettings(out=place / "out", initial=place), parts)


@tries("runs/segmentation/head/plan.py", "leave it out, or train without a head")
def _own_network(place: Path) -> Again:
    plan, settings = with_level(plan_of(), "slice"), TrainingSettings(out=place / "out")
    own = SegmentationParts(transform=lambda image, label, /, *, seed: (image, label))
    yield lambda: check_head(plan, settings, own)
    yield lambda: check_head(plan, settings, SegmentationParts())
    yield lambda: check_head(plan_of(), settings, own)


@tries("runs/segmentation/head/plan.py", "start one process")
def _several_processes(place: Path) -> Again:
    from unittest.mock import patch

    plan, settings = with_level(plan_of(), "slice"), TrainingSettings(out=place / "out")

    def several() -> None:
        with patch("medseg.runs.segmentation.head.plan.is_alone", return_value=False):
            check_head(plan, settings, SegmentationParts())

    yield several
    yield lambda: check_head(plan, settings, SegmentationParts())


@tries("runs/segmentation/head/inputs.py", "give some cases a label; without any, train a slice classifier")
def _no_mask(place: Path) -> Again:
    dataset = write_listed(place / "data", cases=3, masked=0, validation=1)
    yield lambda: train(dataset, place / "none")
    masked = write_listed(place / "masked", cases=3, masked=1, validation=1)
    yield lambda: train(masked, place / "some")


@tries(
    "runs/segmentation/head/inputs.py",
    "choose another fold, or train on all of it with the fold all, which validates nothing",
)
def _no_validated_mask(place: Path) -> Again:
    def checked(*folds: int) -> None:
        labelled, bare = (
            tuple(Case(case_id=f"{n}", patient_id=f"{n}", images=("i",), label=name) for n in folds)
            for name in ("l", None)
        )
        with_mask(TrainingCases(manifest_of([]), place, labelled, bare if len(folds) > 1 else labelled[:0]))

    yield lambda: checked(0, 1)
    yield lambda: checked(0)


@tries("runs/segmentation/head/inputs.py", "leave the class out of head.classes")
def _never_shown(place: Path) -> Again:
    dataset = write_listed(place / "data", cases=3, masked=1, validation=1)
    yield lambda: train(dataset, place / "both", config={"head": {"classes": ["lesion", "artefact"]}})
    yield lambda: train(dataset, place / "one", config={"head": {"classes": ["lesion"]}})


@tries(
    "runs/segmentation/head/inputs.py",
    "set training.patch_size and inference.patch_size so large that they hold them",
)
def _larger_than_a_patch(place: Path) -> Again:
    dataset = write_listed(place / "data", cases=3, masked=1, validation=1)
    training = SMALL["training"]
    small = {"training": {**training, "patch_size": [8, 8, 8]}, "inference": {"patch_size": [8, 8, 8]}}
    yield lambda: train(dataset, place / "part", "study", config=small)
    yield lambda: train(dataset, place / "whole", "study")
