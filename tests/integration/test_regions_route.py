"""Overlapping regions through the whole route, and voxels that nobody has annotated."""

from __future__ import annotations

import json
from pathlib import Path

import medseg
import nibabel
import numpy as np
import pytest
from medseg.audit import audit_manifest
from medseg.cohort import SERIAL
from medseg.errors import TrainingError
from medseg.inference.segmentation import load_card
from medseg.manifest import load_manifest
from medseg.runs.segmentation.deliver import DeliverSettings, deliver_masks
from medseg.scans import read_label
from medseg.targets import Regions

from tests.integration.nested import REGIONS, write_nested

TINY = {
    "network": {"channels": (4, 8), "strides": ((1, 1, 1), (2, 2, 2)), "kernels": ((3, 3, 3),) * 2, "blocks": (1, 1),
                "decoder_blocks": (1,)},
    "training": {"patch_size": (16, 16, 16)},
    "inference": {"patch_size": (16, 16, 16)},
}  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nested(tmp_path_factory.mktemp("nested"), cases=4, validation=1)


@pytest.fixture(scope="module")
def run(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run")
    result = medseg.train(
        dataset, out=place / "run", fold=0, epochs=20, changes=TINY, store=place / "store", tracking=False, device="cpu"
    )
    assert {entry.label for entry in result.summary.labels} == set(REGIONS)
    return result.folder


def test_card_holds_the_regions_and_a_channel_for_each(run: Path) -> None:
    card = load_card(run)
    assert isinstance(card.target, Regions)
    assert (card.network.out_channels, card.regions) == (3, {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)})


def test_masks_are_written_measured_and_delivered_by_region(run: Path, dataset: Path, tmp_path: Path) -> None:
    medseg.predict(run, [dataset / "images" / "n3.nii.gz"], out=tmp_path / "masks", device="cpu")
    sidecar = json.loads((tmp_path / "masks" / "n3.json").read_text())
    values = np.asarray(nibabel.load(tmp_path / "masks" / "n3.nii.gz").dataobj)  # type: ignore[attr-defined]
    voxel_ml = 0.008
    assert sidecar["regions"] == REGIONS
    for name, held in REGIONS.items():
        assert sidecar["volume_ml"][name] == pytest.approx(np.isin(values, held).sum() * voxel_ml, rel=1e-4)

    done = medseg.evaluate(dataset, masks=tmp_path / "masks", out=tmp_path / "eval", fold=0, tracking=False)
    label = read_label(dataset / "labels" / "n3.nii.gz", case_id="n3")[0]
    for row in done.rows:
        inside, drawn = (np.isin(array, REGIONS[row.label]) for array in (label, values))
        assert row.values["dice"] == pytest.approx(2 * (inside & drawn).sum() / (inside.sum() + drawn.sum()))
    assert {row.label for row in done.rows} == set(REGIONS)

    forms = ("nifti", "seg-nrrd", "structures")
    delivered = deliver_masks(tmp_path / "masks", DeliverSettings(out=tmp_path / "out", forms=forms))
    assert not delivered.failures
    for name, held in REGIONS.items():
        alone = nibabel.load(tmp_path / "out" / "n3" / "structures" / f"{name}.nii.gz")
        assert np.array_equal(np.asarray(alone.dataobj) > 0, np.isin(values, held))  # type: ignore[attr-defined]


def test_region_that_is_empty_everywhere_is_refused(tmp_path: Path) -> None:
    dataset = write_nested(tmp_path / "nested", cases=3, validation=1)
    content = json.loads((dataset / "dataset.json").read_text())
    content["labels"]["oedema"], content["regions"]["oedema region"] = 4, [4]
    content["regions_order"].append(4)
    (dataset / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(TrainingError, match="region 'oedema region' must hold a voxel in some case, got none in 3"):
        medseg.train(dataset, out=tmp_path / "run", fold=0, epochs=1, changes=TINY, store=tmp_path / "store",
                     tracking=False, device="cpu")  # fmt: skip
    manifest = load_manifest(dataset)[0]
    found = audit_manifest(manifest, dataset, executor=SERIAL).findings
    assert [one.fact for one in found if one.check == "empty_region"] == [
        "region oedema region must hold a voxel in some case, got none"
    ]
