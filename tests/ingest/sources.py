"""Small hospital exports for the tests of ingest, and one call that ingests them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
from medseg.geometry import Geometry
from medseg.ingest import IngestOptions, IngestReport, Progress, Pseudonyms, ingest
from medseg.manifest import load_manifest
from medseg.records import Case, Manifest
from medseg.scans import read_label, read_scan, write_scan
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage, generate_uid

from tests.dicom_files import save, write_series, write_structure_set
from tests.grids import grid

KEY = bytes(range(32))
SHAPE = (12, 10, 6)
GRID = grid(SHAPE, spacing_mm=(1.5, 1.5, 4.0), origin_mm=(-20, 30, 100), axcodes="LPS")


class Ingested(NamedTuple):
    """What an ingest wrote."""

    report: IngestReport
    folder: Path

    @property
    def manifest(self) -> Manifest:
        return load_manifest(self.folder)[0]

    @property
    def document(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "ingest.json").read_text())
        return content

    @property
    def case(self) -> Case:
        """The only case."""
        (case,) = self.manifest.cases
        return case

    def label(self, case: Case | None = None) -> np.ndarray:
        case = case or self.case
        assert case.label is not None
        return read_label(self.folder / case.label, case_id=case.case_id)[0]

    def image(self, case: Case | None = None) -> np.ndarray:
        case = case or self.case
        return read_scan([self.folder / name for name in case.images], case_id=case.case_id).array


def run_ingest(
    source: Path,
    out: Path,
    *,
    key: bytes = KEY,
    keep_ids: bool = False,
    mapping: Path | str | None = None,
    progress: Progress | None = None,
    private: Path | None = None,
    **options: Any,
) -> Ingested:
    """Ingest with a fixed key; a mapping may be given as YAML."""
    if isinstance(mapping, str):
        path = out.with_name(f"{out.name}_mapping.yaml")
        path.write_text(mapping, encoding="utf-8")
        mapping = path
    if "repair" in options:
        options["repair"] = frozenset(options["repair"])
    report = ingest(
        source,
        out,
        names=Pseudonyms(key, keep_ids=keep_ids),
        mapping_file=mapping,
        options=IngestOptions(**options),
        private=private,
        progress=progress or Progress(),
    )
    return Ingested(report, out)


def voxels(geometry: Geometry = GRID, *, seed: int = 0) -> np.ndarray:
    """Noise that differs in every voxel, int16."""
    count = int(np.prod(geometry.shape))
    return np.random.default_rng(seed).permutation(count).reshape(geometry.shape).astype(np.int16)


def block(*sides: slice, geometry: Geometry = GRID) -> np.ndarray:
    """A box of True."""
    mask = np.zeros(geometry.shape, bool)
    mask[sides] = True
    return mask


def write_ct(folder: Path, geometry: Geometry = GRID, *, seed: int = 0, **values: Any) -> list[Dataset]:
    """A CT series of noise; UIDs differ from those of every other series unless given."""
    own = {
        "StudyInstanceUID": generate_uid(),
        "FrameOfReferenceUID": generate_uid(),
        "SeriesDescription": "CT Abdomen",
        **values,
    }
    return write_series(voxels(geometry, seed=seed), geometry, folder, **own)


def write_rtstruct(
    boxes: dict[str, tuple[int, int, int, int, int, int]],
    images: Sequence[Dataset],
    path: Path,
    *,
    geometry: Geometry = GRID,
    refer: bool = True,
    contour_kind: str = "CLOSED_PLANAR",
    **values: Any,
) -> Dataset:
    """Draw boxes of voxels (first and last along i, j, k, all inside) as contours; `values` replace what it says."""
    contours = {name: _contours(box, geometry) for name, box in boxes.items()}
    dataset = write_structure_set(contours, images, path, refer=refer, kind=contour_kind)
    if values:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        save(dataset, path)
    return dataset


def _contours(box: tuple[int, int, int, int, int, int], geometry: Geometry) -> list[np.ndarray]:
    """Half a voxel around the centres of the box in every slice, LPS+ millimetres."""
    i0, i1, j0, j1, k0, k1 = box
    corners = [(i0 - 0.4, j0 - 0.4), (i1 + 0.4, j0 - 0.4), (i1 + 0.4, j1 + 0.4), (i0 - 0.4, j1 + 0.4)]
    flip = np.array([-1.0, -1.0, 1.0])
    return [geometry.world_mm(np.array([(i, j, k) for i, j in corners])) * flip for k in range(k0, k1 + 1)]


def box_mask(box: tuple[int, int, int, int, int, int], geometry: Geometry = GRID) -> np.ndarray:
    """The voxels of a box that `write_rtstruct` draws."""
    i0, i1, j0, j1, k0, k1 = box
    return block(slice(i0, i1 + 1), slice(j0, j1 + 1), slice(k0, k1 + 1), geometry=geometry)


def write_seg(
    masks: dict[str, np.ndarray],
    images: Sequence[Dataset],
    path: Path,
    *,
    refer: bool = True,
    **values: Any,
) -> Any:
    """Write a DICOM SEG with highdicom, one binary segment per mask of shape `(I, J, K)` on the grid of the images."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    segments = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, name in enumerate(masks, start=1)
    ]
    pixels = np.stack([mask.transpose(2, 1, 0) for mask in masks.values()], axis=-1).astype(np.uint8)
    dataset = hd.seg.Segmentation(
        source_images=[_complete(image) for image in images],
        pixel_array=pixels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=generate_uid(),
        series_number=9,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="Maker",
        manufacturer_model_name="Model",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=True,
    )
    assert dataset.SOPClassUID == SegmentationStorage
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    if not refer:
        _forget_references(dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path)
    return dataset


def _complete(image: Dataset) -> Dataset:
    """The attributes that highdicom asks of a source image, empty where the writer leaves them out."""
    for keyword in ("PatientSex", "StudyID", "StudyTime", "SeriesNumber"):
        if keyword not in image:
            setattr(image, keyword, None)
    return image


def _forget_references(dataset: Dataset) -> None:
    for keyword in ("ReferencedSeriesSequence", "SourceImageSequence"):
        if keyword in dataset:
            delattr(dataset, keyword)
    for group in dataset.PerFrameFunctionalGroupsSequence:
        for keyword in ("DerivationImageSequence",):
            if keyword in group:
                delattr(group, keyword)


def write_nifti(path: Path, array: np.ndarray, geometry: Geometry = GRID, *, descrip: str = "") -> None:
    """A NIfTI file; `descrip` is its free text field."""
    write_scan(array[np.newaxis], geometry, path)
    if descrip:
        image: Any = nibabel.load(path)
        image = nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
        image.header["descrip"] = descrip.encode()[:79]
        image.header["aux_file"] = descrip.encode()[:23]
        image.to_filename(path)


def write_itk(path: Path, array: np.ndarray, geometry: Geometry = GRID, **keys: str) -> None:
    """A NRRD or MetaImage file through SimpleITK, with metadata."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array.transpose(2, 1, 0))
    affine, spacing = geometry.to_lps(), geometry.spacing_mm
    image.SetSpacing(spacing)
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    for key, value in keys.items():
        image.SetMetaData(key, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), useCompression=True)
