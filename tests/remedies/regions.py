"""Remedies of regions, unannotated voxels and partly annotated cases in a manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from medseg.audit.label_checks import check_annotated
from medseg.manifest import read_case
from medseg.manifest.region_checks import require_plain
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.segmentation import prepare_cases
from medseg.records import Case
from medseg.runs.segmentation.filled_regions import check_regions_filled

from tests.audit.made_up import label_of
from tests.manifest.datasets import manifest_of, own_content, write_case
from tests.manifest.test_msd import msd_content
from tests.remedies.attempts import covers, tries
from tests.remedies.audit import check_facts, cohort, refuse
from tests.remedies.manifest import LABEL, entry, loading

covers("manifest")
Again = Iterator[Callable[[], object]]
REGIONS = {"labels": {"background": 0, "edge": 1, "core": 2}, "regions": {"whole": [1, 2], "core": [2]}}


def own(**changes: Any) -> dict[str, Any]:
    return own_content(**{**REGIONS, "regions_order": [1, 2], **changes})


@tries("manifest/label_scheme.py", "give voxels that nobody has annotated the next higher value, in the files too")
def _lower_ignore(place: Path) -> Again:
    yield loading(place, msd_content(labels={"background": 0, "ignore": 1, "a": 2}))
    yield loading(place, msd_content(labels={"background": 0, "a": 2, "ignore": 3}))


@tries("manifest/label_scheme.py", "list under {} the value that each region writes, later ones over earlier ones")
def _no_order(place: Path) -> Again:
    labels = {"background": 0, "whole": [1, 2], "core": 2}
    yield loading(place, msd_content(labels=labels))
    yield loading(place, msd_content(labels=labels, regions_class_order=[1, 2]))


@tries("manifest/label_scheme.py", "list the values of the label files")
def _no_values(place: Path) -> Again:
    yield loading(place, msd_content(labels={"background": 0, "whole": ["a"], "core": [2]}, regions_class_order=[1, 2]))
    yield loading(place, msd_content(labels={"background": 0, "whole": [1, 2], "core": 2}, regions_class_order=[1, 2]))


@tries(
    "manifest/region_checks.py",
    "take the label out of labels, or give unannotated voxels another value, in the files too",
)
def _ignored_label(place: Path) -> Again:
    labels = {"background": 0, "edge": 1, "unknown": 2}
    yield loading(place, own_content(labels=labels, ignore=2))
    yield loading(place, own_content(labels={"background": 0, "edge": 1}, ignore=2))
    yield loading(place, own_content(labels=labels, ignore=3))


@tries("manifest/region_checks.py", "give unannotated voxels another value, in the files too")
def _ignored_value(place: Path) -> Again:
    yield loading(place, own_content(ignore=-1))
    yield loading(place, own_content(ignore=255))


@tries(
    "manifest/region_checks.py",
    "take the value out of the region, or give unannotated voxels another one, in the files too",
)
def _ignored_in_region(place: Path) -> Again:
    yield loading(place, own(labels={"background": 0, "edge": 1}, regions={"whole": [1, 2], "core": [1]}, ignore=2))
    yield loading(place, own(labels={"background": 0, "edge": 1}, regions={"whole": [1], "core": [1]},
                             regions_order=[1, 1], ignore=2))  # fmt: skip
    yield loading(place, own(ignore=3))


@tries(
    "manifest/label_scheme.py",
    "take the value out of the region, or give unannotated voxels another one, in the files too",
)
def _ignored_in_listed_region(place: Path) -> Again:
    def listed(whole: list[int], ignore: int) -> Callable[[], object]:
        labels = {"background": 0, "whole": whole, "core": [2], "ignore": ignore}
        return loading(place, msd_content(labels=labels, regions_class_order=[1, 2]))

    yield listed([1, 2, 3], 3)
    yield listed([1, 2], 3)
    yield listed([1, 2, 3], 4)


@tries("manifest/region_checks.py", "list the values in the order of regions")
def _turned_order(place: Path) -> Again:
    yield loading(place, own(regions_order=[2, 1]))
    yield loading(place, own(regions_order=[1, 2]))


@tries("manifest/case_scans.py", "annotate a part of the scan, or drop the case")
def _all_ignored(place: Path) -> Again:
    case = write_case(place, label=np.full_like(LABEL, 9))
    manifest = manifest_of([case], ignore=9)
    yield lambda: read_case(case, manifest, place)
    write_case(place, label=np.where(LABEL == 2, 9, LABEL))
    yield lambda: read_case(case, manifest, place)


@tries("manifest/region_checks.py", "add regions")
def _order_alone(place: Path) -> Again:
    yield loading(place, own_content(regions_order=[1]))
    yield loading(place, own())


@tries("manifest/region_checks.py", "list fewer, or plain labels alone")
def _many_regions(place: Path) -> Again:
    names = [f"r{n}" for n in range(17)]
    yield loading(place, own(regions={name: [1] for name in names}, regions_order=[1] * 17))
    yield loading(place, own(regions={name: [1] for name in names[:16]}, regions_order=[1] * 16))
    yield loading(place, own_content())


@tries("manifest/region_checks.py", "list the values that make it up, each of them named under labels")
def _unknown_values(place: Path) -> Again:
    yield loading(place, own(regions={"whole": [1, 2, 7], "core": [2]}))
    yield loading(place, own())


@tries("manifest/region_checks.py", "list the value that each region writes, later ones over earlier ones")
def _short_order(place: Path) -> Again:
    yield loading(place, own(regions_order=[1]))
    yield loading(place, own(regions_order=[1, 2]))


@tries("manifest/region_checks.py", "leave {} out of the manifest, with label files that fit")
def _later_stage(place: Path) -> Again:
    yield lambda: require_plain(manifest_of([], ignore=9), "a stage")
    yield lambda: require_plain(manifest_of([]), "a stage")


@tries(
    "manifest/region_checks.py",
    "name the structures that were annotated in this case, or leave annotated_labels out if all were",
)
def _annotated(place: Path) -> Again:
    yield loading(place, own_content(training=[entry(annotated_labels=["spleen"])]))
    yield loading(place, own(training=[entry(annotated_labels=["core"])]))
    yield loading(place, own_content(training=[entry()]))


@tries("manifest/case_scans.py", "name them in annotated_labels too, or take them out of the label")
def _drawn_beside(place: Path) -> Again:
    case = write_case(place, label=LABEL).model_copy(update={"annotated_labels": ("liver",)})
    yield lambda: read_case(case, manifest_of([case]), place)
    both = case.model_copy(update={"annotated_labels": ("liver", "tumour")})
    yield lambda: read_case(both, manifest_of([both]), place)
    write_case(place, label=np.where(LABEL == 2, 0, LABEL))
    yield lambda: read_case(case, manifest_of([case]), place)


@tries("audit/label_checks.py", "name them in annotated_labels too, or take them out of the label")
def _audited_beside(place: Path) -> Again:
    def check(case: Case, label: np.ndarray) -> Callable[[], None]:
        return lambda: refuse(check_annotated(case, label, manifest_of([case])), "annotated_labels")

    case = Case(case_id="c", patient_id="p", images=("i.nii.gz",), annotated_labels=("liver",))
    yield check(case, LABEL)
    yield check(case.model_copy(update={"annotated_labels": ("liver", "tumour")}), LABEL)
    yield check(case, np.where(LABEL == 2, 0, LABEL))


@tries("audit/cohort_checks.py", "draw it, or take it out of regions and regions_order")
def _audited_empty_region(place: Path) -> Again:
    labels = {"background": 0, "liver": 1, "tumour": 2}
    regions = {"regions": {"lesion": (2,), "organ": (1, 2)}, "regions_order": (2, 1)}
    drawn = {"liver": label_of(9.0), "tumour": label_of(3.0)}
    yield lambda: check_facts("empty_region", cohort(), labels=labels, **regions)
    yield lambda: check_facts("empty_region", cohort({"labels": drawn}), labels=labels, **regions)
    yield lambda: check_facts("empty_region", cohort(), labels=labels, regions={"organ": (1, 2)}, regions_order=(1,))


@tries("audit/cohort_checks.py", "annotate some background too, such as a scribble beside each structure")
def _audited_without_background(place: Path) -> Again:
    scribbles = {"labels": {"liver": label_of(2.0)}, "annotated_share": 2000 / 8000}
    yield lambda: check_facts("no_background", cohort(**scribbles))
    yield lambda: check_facts("no_background", cohort({"annotated_share": None}, **scribbles))
    yield lambda: check_facts("no_background", cohort(**{**scribbles, "annotated_share": 2001 / 8000}))


@tries("runs/segmentation/filled_regions.py", "draw it, or take it out of regions and regions_order")
def _trained_empty_region(place: Path) -> Again:
    regions = {"regions": {"lesion": (2,), "organ": (1, 2)}, "regions_order": (2, 1)}

    def check(label: np.ndarray, **more: Any) -> Callable[[], None]:
        case = write_case(place, label=label)
        manifest = manifest_of([case], **more)
        config = PreprocessConfig(normalisation=(ChannelNormalisation(kind="zscore"),))
        prepared = prepare_cases([case], manifest, place, config=config, store=place / "store").cases
        return lambda: check_regions_filled(prepared, manifest)

    yield check(np.where(LABEL == 2, 0, LABEL), **regions)
    yield check(LABEL, **regions)
    yield check(np.where(LABEL == 2, 0, LABEL), regions={"organ": (1, 2)}, regions_order=(1,))
