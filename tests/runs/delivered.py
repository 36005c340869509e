"""Masks that are delivered in tests: of a DICOM series, an oblique NIfTI file and a damaged one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from medseg.geometry import Geometry
from medseg.runs.segmentation.deliver import DeliverResult, DeliverSettings, deliver_masks
from medseg.runs.segmentation.predict import PredictSettings, predict_run
from medseg.scans import read_label, write_scan

from tests.ingest.sources import voxels, write_ct
from tests.remedies.inference import model_run

LABELS = {"background": 0, "liver": 1, "kidney left": 2, "kidney right": 5}
OBLIQUE = Geometry(
    (14, 12, 9),
    np.array([[0.9, -0.48, 0.0, 10.0], [0.675, 0.64, 0.0, 20.0], [0.0, 0.0, -3.0, -5.0], [0, 0, 0, 1.0]]),
)
STRAIGHT = Geometry((16, 12, 8), np.diag([-1.0, -1.5, 2.0, 1.0]))


def blobs(geometry: Geometry) -> np.ndarray:
    """A block for each structure, the left kidney on the patient's left."""
    labels = np.zeros(geometry.shape, np.uint8)
    x = geometry.world_mm(np.argwhere(np.ones(geometry.shape, bool)).astype(float))[:, 0].reshape(geometry.shape)
    middle = float(np.median(x))
    labels[2:6, 3:9, 2:4] = 1
    labels[3:11, 3:9, 5:7] = np.where(x[3:11, 3:9, 5:7] < middle, 2, 5)
    return labels


def draw_masks(place: Path) -> Path:
    """Masks of three scans, drawn by an untrained network and corrected."""
    run = model_run(place / "run", channels=("CT",), labels=LABELS, **_outputs(len(LABELS)))
    write_ct(place / "scans" / "study", STRAIGHT, PatientID="A", Modality="CT")
    write_scan(voxels(OBLIQUE)[np.newaxis], OBLIQUE, place / "scans" / "oblique.nii.gz")
    (place / "scans" / "broken.nii.gz").write_bytes(b"no image")
    done = predict_run(run, [place / "scans"], PredictSettings(out=place / "masks", device="cpu"))
    assert [one.case_id for one in done.failures] == ["broken"]
    for one in done.predictions:
        labels, _ = read_label(one.mask_path, case_id=one.case_id)
        image: Any = nibabel.load(one.mask_path)
        geometry = OBLIQUE if one.case_id == "oblique" else Geometry(labels.shape, image.affine)
        drawn = nibabel.Nifti1Image(blobs(geometry), image.affine, image.header)
        nibabel.save(drawn, one.mask_path)
    return place / "masks"


def _outputs(count: int) -> dict[str, Any]:
    from medseg.networks import NetworkConfig

    network = NetworkConfig(
        spatial_dims=3, in_channels=1, out_channels=count, channels=(2, 4), strides=((1, 1, 1), (2, 2, 2)),
        kernels=((3, 3, 3),) * 2, blocks=(1, 1), decoder_blocks=(1,),
    )  # fmt: skip
    return {"network": network}


def deliver(masks: Path, out: Path, *forms: str, **choices: Any) -> DeliverResult:
    return deliver_masks(masks, DeliverSettings(out=out, forms=forms or None, **choices))
