"""Draw the masks of `masks_of_nnunet.npz` with nnU-Net itself; runs in an environment that has nnunetv2."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch


def main() -> None:
    """Draw one mask for each folder that `export.py` wrote."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    masks = {}
    for place in sorted(source.iterdir()):
        earlier = place / "nnUNetTrainer__nnUNetPlans__3d_lowres"
        folder = place / place.name
        if earlier.is_dir():
            draw(earlier, place / "scans", place / "earlier", None)
            folder = place / "nnUNetTrainer__nnUNetPlans__3d_cascade_fullres"
        masks[place.name] = draw(
            folder, place / "scans", place / "masks", place / "earlier" if earlier.is_dir() else None
        )
    np.savez_compressed(target, **masks)


def draw(model: Path, scans: Path, out: Path, earlier: Path | None) -> np.ndarray:
    """The mask of one case, `(I, J, K)`."""
    import SimpleITK as sitk
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    out.mkdir(exist_ok=True)
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(model), None)
    predictor.predict_from_files_sequential(
        str(scans), str(out), folder_with_segs_from_prev_stage=None if earlier is None else str(earlier)
    )
    return sitk.GetArrayFromImage(sitk.ReadImage(str(out / "case.nii.gz"))).transpose(2, 1, 0)


if __name__ == "__main__":
    main()
