"""DICOM files of made-up patients: the sources of the ingest tests."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Sequence
from math import ceil, isqrt
from pathlib import Path
from typing import Any

import numpy as np
from medseg.geometry import Geometry
from medseg.scans.dicom import FoundSeries, SeriesRules, SeriesScan, find_series, read_instance, read_series
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    NuclearMedicineImageStorage,
    RTStructureSetStorage,
    generate_uid,
)
from pydicom.valuerep import format_number_as_ds

PATIENT: dict[str, Any] = {
    "PatientID": "MRN-0047110815",
    "PatientName": "Mustermann^Erika",
    "PatientBirthDate": "19640812",
    "InstitutionName": "Klinikum Beispielstadt",
    "ReferringPhysicianName": "Zuweiser^Zacharias",
    "AccessionNumber": "ACC9988776",
    "StudyDate": "20240517",
}


def write_series(
    array: np.ndarray,
    geometry: Geometry,
    folder: Path,
    *,
    order: Sequence[int] | None = None,
    series_uid: str | None = None,
    slopes: Sequence[tuple[float, float]] | None = None,
    **values: Any,
) -> list[Dataset]:
    """Write a volume of shape `(I, J, K)` as one file per slice.

    Args:
        array: Stored values, int16 or uint16.
        geometry: Where they lie; `affine` in RAS+.
        folder: Made if missing; files are named by the order of writing, without an ending.
        order: In which slices are written and numbered; shuffle it.
        series_uid: A new one if not given.
        slopes: Rescale slope and intercept per slice.
        values: DICOM keywords that replace the defaults, the patient's among them.

    Returns:
        The data sets, by slice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    affine, spacing = geometry.to_lps(), geometry.spacing_mm
    shared = {
        **PATIENT,
        "Modality": "CT",
        "SOPClassUID": CTImageStorage,
        "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.1",
        "SeriesInstanceUID": series_uid or generate_uid(),
        "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.2",
        **values,
    }
    written: dict[int, Dataset] = {}
    for number, k in enumerate(order if order is not None else range(array.shape[2])):
        dataset = slice_dataset(array[:, :, k].T, number + 1)
        dataset.ImagePositionPatient = decimals(affine[:3, 3] + k * affine[:3, 2])
        dataset.ImageOrientationPatient = decimals([*(affine[:3, 0] / spacing[0]), *(affine[:3, 1] / spacing[1])])
        dataset.PixelSpacing = decimals([spacing[1], spacing[0]])
        dataset.SliceThickness = decimals([spacing[2]])[0]
        if slopes is not None:
            dataset.RescaleSlope, dataset.RescaleIntercept = slopes[k]
        for keyword, value in shared.items():
            setattr(dataset, keyword, value)
        save(dataset, folder / f"{number:05d}")
        written[k] = dataset
    return [written[k] for k in sorted(written)]


def decimals(values: Iterable[float]) -> list[str]:
    """Numbers as decimal strings of at most 16 characters (PS3.5, VR DS)."""
    return [format_number_as_ds(float(value)) for value in values]


def instances_in(folder: Path) -> list[Any]:
    """Every DICOM file of a folder as ingest reads it."""
    return [instance for path in sorted(folder.rglob("*")) if path.is_file() and (instance := read_instance(path))]


def found_in(folder: Path, rules: SeriesRules | None = None) -> list[FoundSeries]:
    """The volumes of a folder."""
    return find_series(instances_in(folder), rules or SeriesRules())


def read_folder(folder: Path, *, repair: frozenset[str] = frozenset()) -> SeriesScan:
    """The only volume of a folder."""
    (found,) = found_in(folder)
    return read_series(found, repair=repair)


def assert_same_voxels(scan: SeriesScan, array: np.ndarray, geometry: Geometry) -> None:
    """Each voxel lies at its millimetres with its value; slices may have been read in reverse.

    Args:
        scan: What was read.
        array: What was written, `(I, J, K)`.
        geometry: Where it lies.
    """
    voxels = np.stack(np.meshgrid(*(np.arange(n) for n in array.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    places = scan.scan.geometry.voxels(geometry.world_mm(voxels.astype(float)))
    found = np.rint(places).astype(int)
    assert scan.scan.array.shape == (1, *scan.scan.geometry.shape)
    assert scan.scan.geometry.shape == array.shape
    np.testing.assert_allclose(places, found, atol=1e-4)
    np.testing.assert_array_equal(scan.scan.array[0][tuple(found.T)], array[tuple(voxels.T)])


def slice_dataset(pixels: np.ndarray, number: int) -> Dataset:
    """A data set with pixels of shape `(rows, columns)` and no place in the patient."""
    dataset = Dataset()
    dataset.SOPInstanceUID = generate_uid()
    dataset.InstanceNumber = number
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.PixelData = np.ascontiguousarray(pixels).astype("<i2" if pixels.dtype.kind == "i" else "<u2").tobytes()
    return dataset


def write_enhanced(
    array: np.ndarray,
    geometry: Geometry,
    path: Path,
    *,
    order: Sequence[int] | None = None,
    shared: Collection[str] = ("PixelMeasures", "PlaneOrientation"),
    slopes: Sequence[tuple[float, float]] | None = None,
    **values: Any,
) -> Dataset:
    """Write a volume `(I, J, K)`, or time points `(T, I, J, K)`, as one Enhanced CT file (PS3.3 A.38).

    Args:
        array: Stored values, int16 or uint16.
        geometry: Of one time point.
        path: The file.
        order: In which the T × K planes are stored.
        shared: Macros that all frames share; all others stand with each frame. Without any there is no shared sequence.
        slopes: Rescale slope and intercept per slice.
        values: DICOM keywords that replace the defaults.
    """
    times = array if array.ndim == 4 else array[np.newaxis]
    count = times.shape[3]
    frames = [divmod(n, count) for n in (order if order is not None else range(len(times) * count))]
    dataset = slice_dataset(np.concatenate([times[t, :, :, k].T for t, k in frames]), 1)
    del dataset.RescaleSlope, dataset.RescaleIntercept
    dataset.Rows, dataset.NumberOfFrames = times.shape[2], len(frames)
    dataset.DimensionIndexSequence = DicomSequence([_index(0x00209128), _index(0x00209057)])
    macros = [_macros(geometry, t, k, (slopes or [(1, 0)] * count)[k]) for t, k in frames]
    if shared:
        dataset.SharedFunctionalGroupsSequence = DicomSequence([_groups(macros[0], shared)])
    own = [name for name in macros[0] if name not in shared]
    dataset.PerFrameFunctionalGroupsSequence = DicomSequence([_groups(one, own) for one in macros])
    _fill(dataset, SOPClassUID=EnhancedCTImageStorage, **values)
    save(dataset, path)
    return dataset


def write_mosaic(
    array: np.ndarray, geometry: Geometry, path: Path, *, csa: bool = True, is_reversed: bool = False, **values: Any
) -> Dataset:
    """Write a volume of shape `(I, J, K)` as one Siemens mosaic.

    Args:
        array: Stored values, int16 or uint16.
        geometry: With k along i × j in LPS, or against it where `is_reversed`.
        path: The file.
        csa: Whether the count and the normal stand in a CSA header, else only the count in (0019,100A).
        is_reversed: Whether the CSA header's normal runs against the cross product of row and column direction.
        values: DICOM keywords that replace the defaults.

    Source: NiBabel's notes on the CSA header and on mosaics.
    """
    columns, rows, count = array.shape
    side = isqrt(count - 1) + 1
    picture = np.zeros((side * rows, side * columns), array.dtype)
    for k in range(count):
        top, left = k // side * rows, k % side * columns
        picture[top : top + rows, left : left + columns] = array[:, :, k].T
    affine, spacing = geometry.to_lps(), geometry.spacing_mm
    dataset = slice_dataset(picture, 1)
    corner = affine @ [-(side - 1) * columns / 2, -(side - 1) * rows / 2, 0, 1]
    dataset.ImagePositionPatient = decimals(corner[:3])
    dataset.ImageOrientationPatient = decimals([*(affine[:3, 0] / spacing[0]), *(affine[:3, 1] / spacing[1])])
    dataset.PixelSpacing = decimals([spacing[1], spacing[0]])
    dataset.SpacingBetweenSlices = decimals([spacing[2]])[0]
    if csa:
        normal = np.cross(affine[:3, 0] / spacing[0], affine[:3, 1] / spacing[1]) * (-1 if is_reversed else 1)
        tags = {
            "AcquisitionMatrixText": ("SH", [f"{rows}p*{columns}"]),
            "NumberOfImagesInMosaic": ("US", [str(count)]),
            "SliceNormalVector": ("FD", [f"{value:.8f}" for value in normal]),
        }
        dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", csa_header(tags))
    else:
        dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", count)
    kind = {"SOPClassUID": MRImageStorage, "Modality": "MR", "ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}
    _fill(dataset, **(kind | values))
    save(dataset, path)
    return dataset


def write_reconstructed_nm(array: np.ndarray, geometry: Geometry, path: Path, *, sign: int = 1, **values: Any) -> None:
    """Write a volume of shape `(I, J, K)` as one NM image of type RECON TOMO (PS3.3 C.8.4)."""
    affine, spacing = geometry.to_lps(), geometry.spacing_mm
    dataset = slice_dataset(np.concatenate([array[:, :, k].T for k in range(array.shape[2])]), 1)
    dataset.Rows, dataset.NumberOfFrames = array.shape[1], array.shape[2]
    dataset.PixelSpacing = decimals([spacing[1], spacing[0]])
    dataset.SpacingBetweenSlices = decimals([sign * spacing[2]])[0]
    detector = Dataset()
    detector.ImagePositionPatient = decimals(affine[:3, 3])
    detector.ImageOrientationPatient = decimals([*(affine[:3, 0] / spacing[0]), *(affine[:3, 1] / spacing[1])])
    dataset.DetectorInformationSequence = DicomSequence([detector])
    _fill(dataset, SOPClassUID=NuclearMedicineImageStorage, Modality="NM", **values)
    save(dataset, path)


def write_structure_set(
    contours: dict[str, list[np.ndarray]],
    images: Sequence[Dataset],
    path: Path,
    *,
    refer: bool = True,
    kind: str = "CLOSED_PLANAR",
) -> Dataset:
    """Write an RTSTRUCT.

    Args:
        contours: Closed contours of each structure, each of shape `(N, 3)` in LPS+ millimetres.
        images: The series that it was drawn on.
        path: The file.
        refer: Whether it names the images; else only their frame of reference.
        kind: (3006,0042) of all contours.
    """
    first = images[0]
    dataset = Dataset()
    if "SpecificCharacterSet" in first:
        dataset.SpecificCharacterSet = first.SpecificCharacterSet
    for keyword in (*PATIENT, "StudyInstanceUID", "FrameOfReferenceUID"):
        setattr(dataset, keyword, getattr(first, keyword))
    dataset.Modality, dataset.SOPClassUID = "RTSTRUCT", RTStructureSetStorage
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.ReferencedFrameOfReferenceSequence = DicomSequence([_references(images, refer)])
    dataset.StructureSetROISequence, dataset.ROIContourSequence = DicomSequence(), DicomSequence()
    for number, (name, polygons) in enumerate(contours.items(), start=1):
        roi = Dataset()
        roi.ROINumber, roi.ROIName = number, name
        roi.ReferencedFrameOfReferenceUID = first.FrameOfReferenceUID
        dataset.StructureSetROISequence.append(roi)
        drawn = Dataset()
        drawn.ReferencedROINumber = number
        drawn.ContourSequence = DicomSequence([_contour(polygon, kind) for polygon in polygons])
        dataset.ROIContourSequence.append(drawn)
    save(dataset, path)
    return dataset


def save(dataset: Dataset, path: Path, *, transfer_syntax: str = ExplicitVRLittleEndian) -> None:
    """Write a data set with its file meta information."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)


def recode(path: Path, syntax: str, target: Path) -> None:
    """Write a file in another transfer syntax by GDCM, an encoder of its own; `syntax` as GDCM calls it."""
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    target.parent.mkdir(parents=True, exist_ok=True)
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def _fill(dataset: Dataset, **values: Any) -> None:
    """The patient, the UIDs and what else is given."""
    defaults = {
        "Modality": "CT",
        "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.1",
        "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.3",
        "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.2",
    }
    for keyword, value in {**PATIENT, **defaults, **values}.items():
        setattr(dataset, keyword, value)


def _index(pointer: int) -> Dataset:
    item = Dataset()
    item.DimensionIndexPointer = pointer
    return item


def _macros(geometry: Geometry, t: int, k: int, rescale: tuple[float, float]) -> dict[str, Dataset]:
    """Functional groups of one plane (PS3.3 C.7.6.16.2)."""
    affine, spacing = geometry.to_lps(), geometry.spacing_mm
    measures, orientation, position, values, content = (Dataset() for _ in range(5))
    measures.PixelSpacing = decimals([spacing[1], spacing[0]])
    orientation.ImageOrientationPatient = decimals([*(affine[:3, 0] / spacing[0]), *(affine[:3, 1] / spacing[1])])
    position.ImagePositionPatient = decimals(affine[:3, 3] + k * affine[:3, 2])
    values.RescaleSlope, values.RescaleIntercept = rescale
    content.TemporalPositionIndex = t + 1
    content.DimensionIndexValues = [t + 1, k + 1]
    return {
        "PixelMeasures": measures,
        "PlaneOrientation": orientation,
        "PlanePosition": position,
        "PixelValueTransformation": values,
        "FrameContent": content,
    }


def _groups(macros: dict[str, Dataset], names: Collection[str]) -> Dataset:
    groups = Dataset()
    for name in names:
        setattr(groups, f"{name}Sequence", DicomSequence([macros[name]]))
    return groups


def csa_header(tags: dict[str, tuple[str, list[str]]]) -> bytes:
    """A Siemens CSA header of the second kind, as NiBabel's notes describe it."""
    content = b"SV10\4\3\2\1" + struct.pack("<2I", len(tags), 77)
    for name, (kind, items) in tags.items():
        content += struct.pack("<64si4s3i", name.encode(), len(items), kind.encode(), 0, len(items), 77)
        for item in items:
            size = len(item) + 1
            content += struct.pack("<4i", size, size, 77, size) + item.encode().ljust(4 * ceil(size / 4), b"\0")
    return content


def _references(images: Sequence[Dataset], refer: bool) -> Dataset:
    reference = Dataset()
    reference.FrameOfReferenceUID = images[0].FrameOfReferenceUID
    if refer:
        study, series = Dataset(), Dataset()
        series.SeriesInstanceUID = images[0].SeriesInstanceUID
        series.ContourImageSequence = DicomSequence()
        for image in images:
            one = Dataset()
            one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
            series.ContourImageSequence.append(one)
        study.RTReferencedSeriesSequence = DicomSequence([series])
        reference.RTReferencedStudySequence = DicomSequence([study])
    return reference


def _contour(polygon: np.ndarray, kind: str) -> Dataset:
    contour = Dataset()
    contour.ContourGeometricType = kind
    contour.NumberOfContourPoints = len(polygon)
    contour.ContourData = [f"{value:.6f}".rstrip("0") for value in polygon.ravel()]
    return contour
