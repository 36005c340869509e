"""Remedies of the errors of preparing cases and reading the truth of slices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from medseg.cohort import SERIAL
from medseg.geometry import Geometry
from medseg.preprocess import ChannelNormalisation, PreprocessConfig, network_grid
from medseg.preprocess.classification.table import read_target_table
from medseg.preprocess.classification.targets import LabelTargets, ManifestTargets
from medseg.preprocess.segmentation import prepare_cases
from medseg.preprocess.segmentation.stored_case import open_case
from medseg.targets import SliceClasses

from tests.grids import OBLIQUE
from tests.manifest.datasets import manifest_of, write_case
from tests.preprocess.classification.test_targets import case_with, stored_with
from tests.remedies.attempts import covers, tries

covers("preprocess")
Again = Iterator[Callable[[], object]]
LABEL = np.zeros(OBLIQUE.shape, np.uint8)
LABEL[1:4, 2:5, 1:3] = 1
CONFIG = PreprocessConfig(spacing_mm=(1.0, 1.0, 1.0), normalisation=(ChannelNormalisation(kind="zscore"),))
BOTH = SliceClasses(classes=("liver", "spleen"))
ONE_OF = SliceClasses(kind="multiclass", classes=("liver", "spleen"))


@tries("preprocess/grid.py", "check the voxel size in the header")
def _voxel_size(place: Path) -> Again:
    metres = Geometry((512, 512, 600), np.diag([800.0, 800.0, 2000.0, 1.0]))  # a header that says mm and means µm
    yield lambda: network_grid(metres, CONFIG)
    yield lambda: network_grid(metres.scaled(0.001), CONFIG)


@tries("preprocess/store.py", "delete that folder")
def _damaged_entry(place: Path) -> Again:
    case = write_case(place, label=LABEL)
    manifest = manifest_of([case])

    def prepare() -> Path:
        done = prepare_cases([case], manifest, place, config=CONFIG, store=place / "store", executor=SERIAL)
        return open_case(done.cases[0].folder, case_id="c").folder

    folder = prepare()
    (folder / "image.b2nd").write_bytes(b"nothing")
    yield lambda: open_case(folder, case_id="c")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    yield prepare


def table(place: Path, content: str | bytes) -> Callable[[], Any]:
    """A function that writes a CSV file of classes and reads it."""

    def read() -> object:
        (place / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_target_table(place / "t.csv")

    return read


@tries("preprocess/classification/table.py", "export it so")
def _encoding(place: Path) -> Again:
    yield table(place, "case_id,größe\na,1\n".encode("cp1252"))
    yield table(place, "case_id,größe\na,1\n")


@tries("preprocess/classification/table.py", "export it so")
def _separator(place: Path) -> Again:
    yield table(place, "case_id;liver\na;1\n")
    yield table(place, "case_id,liver\na,1\n")


@tries("preprocess/classification/table.py", "name it or take it out")
def _nameless_column(place: Path) -> Again:
    yield table(place, "case_id,liver,\na,1,0\n")
    yield table(place, "case_id,liver,spleen\na,1,0\n")
    yield table(place, "case_id,liver\na,1\n")


@tries("preprocess/classification/table.py", "give a column per class of 1 and 0 instead")
def _one_class(place: Path) -> Again:
    yield table(place, "case_id,class\na,liver\nb,liver\n")
    yield table(place, "case_id,liver\na,1\nb,1\n")


@tries("preprocess/classification/table.py", "add it")
def _no_row(place: Path) -> Again:
    stored = stored_with(None, count=3)
    yield lambda: table(place, "case_id,liver\nb,1\n")().read(stored, case_with(None))
    yield lambda: table(place, "case_id,liver\nb,1\na,0\n")().read(stored, case_with(None))


@tries("preprocess/classification/table.py", "check the plane and whether the file counts from 1")
def _counted_from_one(place: Path) -> Again:
    stored = stored_with(None, count=3)
    rows = "case_id,slice,liver\n" + "".join(f"a,{n},1\n" for n in (1, 2, 3))
    yield lambda: table(place, rows)().read(stored, case_with(None))
    yield lambda: table(place, rows.replace("a,3", "a,0"))().read(stored, case_with(None))


AREAS = {"liver": [0.0, 5.0], "spleen": [3.0, 0.0]}


@tries("preprocess/classification/targets.py", "add it or drop it")
def _no_label(place: Path) -> Again:
    yield lambda: LabelTargets(BOTH).read(stored_with(None, count=2), case_with(None))
    yield lambda: LabelTargets(BOTH).read(stored_with(AREAS), case_with(None))


@tries("preprocess/classification/targets.py", "plan for this manifest")
def _other_classes(place: Path) -> Again:
    yield lambda: LabelTargets(SliceClasses(classes=("lung",))).read(stored_with(AREAS), case_with(None))
    yield lambda: LabelTargets(BOTH).read(stored_with(AREAS), case_with(None))


@tries("preprocess/classification/targets.py", "add {} to the classes")
def _bare_slice(place: Path) -> Again:
    stored = stored_with({"liver": [0.0, 5.0], "spleen": [0.0, 0.0]})
    yield lambda: LabelTargets(ONE_OF).read(stored, case_with(None))
    with_background = SliceClasses(kind="multiclass", classes=("background", "liver", "spleen"))
    yield lambda: LabelTargets(with_background).read(stored, case_with(None))


def from_manifest(config: SliceClasses, slice_labels: list[list[str]] | None, *, axis: int = 2) -> Callable[[], object]:
    return lambda: ManifestTargets(config).read(stored_with(None, count=2, axis=axis), case_with(slice_labels))


@tries("preprocess/classification/targets.py", "add them")
def _no_slice_labels(place: Path) -> Again:
    yield from_manifest(BOTH, None)
    yield from_manifest(BOTH, [["liver"], []])


@tries("preprocess/classification/targets.py", "choose the plane that the scan was taken in")
def _other_plane(place: Path) -> Again:
    yield from_manifest(BOTH, [["liver"], []], axis=0)
    yield from_manifest(BOTH, [["liver"], []])


@tries("preprocess/classification/targets.py", "fix the manifest")
def _too_few(place: Path) -> Again:
    yield from_manifest(BOTH, [["liver"]])
    yield from_manifest(BOTH, [["liver"], []])


@tries("preprocess/classification/targets.py", "name them in the manifest or fix them")
def _unknown_name(place: Path) -> Again:
    yield from_manifest(BOTH, [["livre"], []])
    yield from_manifest(BOTH, [["liver"], []])


@tries("preprocess/classification/targets.py", "choose the kind multilabel")
def _two_classes(place: Path) -> Again:
    yield from_manifest(ONE_OF, [["liver", "spleen"], ["liver"]])
    yield from_manifest(BOTH, [["liver", "spleen"], ["liver"]])
