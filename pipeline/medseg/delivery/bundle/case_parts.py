"""What MONAI does with one case of a bundle: transforms and an inferer that give the mask of `medseg predict`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import MapTransform
from torch import Tensor, nn

from medseg.inference import CaseInput, read_input
from medseg.inference.inputs import check_channels
from medseg.inference.requests import only_case
from medseg.inference.segmentation.card import ModelCard, load_card
from medseg.inference.segmentation.postprocess import postprocess
from medseg.inference.segmentation.sliding import whole_volume_probabilities
from medseg.preprocess import crop_to_body, part_of, preprocess_scan
from medseg.preprocess.body import slices_of
from medseg.preprocess.segmentation.restore import restore_mask
from medseg.records import Labelmap
from medseg.scans import scan_stem, write_mask


class PrepareScand(MapTransform):  # type: ignore[misc]  # MONAI ships no types
    """Reads a scan and brings it onto the network's grid.

    An entry may be a case, the path of a file or of a folder with a DICOM study, or a list of the files of its
    channels. It becomes a `MetaTensor` `(C, I, J, K)`, whose `meta` keeps the scan's own grid and header.

    Args:
        keys: Keys of the entries.
        models: Folder of the bundle's card and weights.
    """

    def __init__(self, keys: KeysCollection, models: str) -> None:
        super().__init__(keys)
        self.card = load_card(Path(models))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Exchange each entry for its image."""
        return dict(data) | {key: self._image(data[key]) for key in self.key_iterator(data)}

    def _image(self, given: CaseInput | str | Path | Sequence[str]) -> MetaTensor:
        case = _case(given, self.card)
        scan = read_input(case, channels=self.card.channels)
        check_channels(scan, self.card.channels, case_id=case.case_id)
        seen = crop_to_body(scan, self.card.preprocess)
        image, grid, _ = preprocess_scan(seen.scan, self.card.preprocess)
        empty = np.empty((len(scan.array), 0, 0, 0), scan.array.dtype)
        meta = {"filename_or_obj": str(case.files[0]), "case_id": case.case_id, "grid": grid, "box": seen.box}
        return MetaTensor(image, affine=grid.affine.copy(), meta=meta | {"scan": replace(scan, array=empty)})


class WindowInferer(Inferer):  # type: ignore[misc]  # MONAI ships no types
    """Slides the window of the card over an image.

    Args:
        models: Folder of the bundle's card and weights.
    """

    def __init__(self, models: str) -> None:
        super().__init__()
        self.card = load_card(Path(models))

    def __call__(self, inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """Images `(B, C, I, J, K)` to probabilities `(B, classes, I, J, K)`."""
        return torch.stack([self._probabilities(image, network) for image in inputs])

    def _probabilities(self, image: Tensor, network: nn.Module) -> Tensor:
        i, j, k = image.shape[1:]
        windows = self.card.inference.for_image((i, j, k), multiple=self.card.network.patch_multiple)
        plain = image.as_tensor() if isinstance(image, MetaTensor) else image
        return whole_volume_probabilities(
            network, plain, windows, target=self.card.target, device=image.device, precision=self.card.precision
        )


class RestoreMaskd(MapTransform):  # type: ignore[misc]  # MONAI ships no types
    """Turns probabilities on the network's grid into label values `(1, I, J, K)` on the scan's own.

    Args:
        keys: Keys of the probabilities.
        models: Folder of the bundle's card and weights.
        image_key: Key of the image that `PrepareScand` made.
    """

    def __init__(self, keys: KeysCollection, models: str, image_key: str = "image") -> None:
        super().__init__(keys)
        self.card, self.image_key = load_card(Path(models)), image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Exchange each entry for its mask."""
        meta = data[self.image_key].meta
        return dict(data) | {key: self._mask(data[key], meta) for key in self.key_iterator(data)}

    def _mask(self, probabilities: Tensor, meta: Mapping[str, Any]) -> MetaTensor:
        geometry, target = meta["scan"].geometry, self.card.target
        mask = target.blank(geometry.shape)
        values = probabilities.as_tensor() if isinstance(probabilities, MetaTensor) else probabilities
        part = restore_mask(values, meta["grid"], part_of(geometry, meta["box"]), target=target)
        mask[slices_of(meta["box"])] = part
        if self.card.postprocessing is not None:
            mask, _ = postprocess(mask, self.card.postprocessing, target=target, voxel_ml=geometry.voxel_ml)
        kept = {key: value for key, value in meta.items() if key != "affine"}
        return MetaTensor(torch.from_numpy(mask.astype(np.int32))[None], affine=geometry.affine.copy(), meta=kept)


class SaveMaskd(MapTransform):  # type: ignore[misc]  # MONAI ships no types
    """Writes masks as `medseg predict` does, with the header of the scan; `path` in an entry's meta names the file.

    Args:
        keys: Keys of the masks that `RestoreMaskd` made.
        output_dir: Target folder, created if missing.
    """

    def __init__(self, keys: KeysCollection, output_dir: str) -> None:
        super().__init__(keys)
        self.folder = Path(output_dir)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write each entry."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for key in self.key_iterator(data):
            mask = data[key]
            labels: Labelmap = mask.as_tensor()[0].cpu().numpy()
            path = write_mask(labels, mask.meta["scan"], self.folder, case_id=mask.meta["case_id"])
            mask.meta["path"] = str(path)
        return dict(data)


def _case(given: CaseInput | str | Path | Sequence[str], card: ModelCard) -> CaseInput:
    if isinstance(given, CaseInput):
        return given
    if isinstance(given, str | Path):
        return only_case(Path(given), channels=card.channels)
    files = tuple(map(Path, given))
    return CaseInput(scan_stem(files[0]), files)
