"""NRRD and MetaImage through SimpleITK, and resampling between grids through their physical space."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.origin import ItkOrigin
from medseg.records import Array, Scan
from medseg.scans.damage import reason_without_folders
from medseg.scans.itk_header import check_itk_header
from medseg.scans.itk_storage import check_storage

if TYPE_CHECKING:
    import SimpleITK as sitk

ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
# By the ending alone, since ITK also looks at the content, which may be that of a form that names other files.
_READERS = {".nrrd": "NrrdImageIO", ".nhdr": "NrrdImageIO", ".mha": "MetaImageIO", ".mhd": "MetaImageIO"}


def read_itk(path: Path, *, case_id: str, is_label: bool) -> Scan:
    """Read one NRRD or MetaImage file.

    Args:
        path: File to read.
        case_id: Id of the case, for errors.
        is_label: Labels keep their stored type.

    Returns:
        `array` of shape `(C, I, J, K)`: float32 for images, the stored type for labels.

    Raises:
        ScanError: If the file is damaged, or has neither two nor three axes.
        GeometryError: If its grid is not a straight voxel grid.
    """
    import SimpleITK as sitk

    reader = _read_header(path, case_id=case_id)
    _check_axes(reader, path, case_id=case_id)
    try:
        check_storage(path, _promised_bytes(reader))
        image = reader.Execute()
        array = _channels_first(sitk.GetArrayFromImage(image), image)
    except (RuntimeError, ValueError, MemoryError, OSError, ScanError) as error:
        raise _damage(error, path, case_id=case_id) from error
    try:
        geometry = _geometry(image)
    except GeometryError as error:
        raise GeometryError(f"file {path.name}: {error.fact}", remedy=error.remedy, case_id=case_id) from error
    return Scan(array if is_label else array.astype(np.float32, copy=False), geometry, ItkOrigin(path))


def read_itk_grid(path: Path, *, case_id: str) -> tuple[Geometry, int]:
    """Grid and channels from a header, without reading the voxels.

    Raises:
        ScanError: If the header is damaged, or has neither two nor three axes.
        GeometryError: If the grid is not a straight voxel grid.
    """
    reader = _read_header(path, case_id=case_id)
    _check_axes(reader, path, case_id=case_id)
    try:
        return _geometry(reader), int(reader.GetNumberOfComponents())
    except GeometryError as error:
        raise GeometryError(f"file {path.name}: {error.fact}", remedy=error.remedy, case_id=case_id) from error


def read_metadata(path: Path, *, case_id: str) -> dict[str, str]:
    """Keys and values of a header.

    Raises:
        ScanError: If the header is damaged.
    """
    reader = _read_header(path, case_id=case_id)
    return {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}


def regrid(scan: Scan, grid: Geometry, *, order: Literal["linear", "nearest"], outside: float | None = None) -> Array:
    """Resample a scan onto another grid through millimetres in the patient.

    Args:
        scan: Scan of shape `(C, I, J, K)`.
        grid: Target grid.
        order: `linear` for images, `nearest` for labels.
        outside: Value of voxels outside the scan; each channel's least value, or 0 for labels, if not given.

    Returns:
        Shape `(C, *grid.shape)`, in the type of the scan.
    """
    import SimpleITK as sitk

    kind = sitk.sitkLinear if order == "linear" else sitk.sitkNearestNeighbor
    like = _image(np.zeros(grid.shape, np.uint8), grid)
    out = []
    for channel in scan.array:
        beyond = outside if outside is not None else float(channel.min()) if order == "linear" else 0.0
        source = _image(channel.astype(np.uint8) if channel.dtype == np.bool_ else channel, scan.geometry)
        moved = sitk.Resample(source, like, sitk.Transform(), kind, beyond, source.GetPixelID())
        out.append(sitk.GetArrayFromImage(moved).transpose(2, 1, 0).astype(channel.dtype, copy=False))
    return np.stack(out)


def covered_fraction(grid: Geometry, other: Geometry) -> float:
    """Fraction of a grid that lies inside another one, from 0 to 1, sampled at up to 20 points along each axis."""
    samples = [np.linspace(0, n - 1, min(n, 20)) for n in grid.shape]
    points = np.stack(np.meshgrid(*samples, indexing="ij"), axis=-1).reshape(-1, 3)
    voxels = other.voxels(grid.world_mm(points))
    inside = ((voxels >= -0.5) & (voxels <= np.array(other.shape) - 0.5)).all(axis=1)
    return float(inside.mean())


def _read_header(path: Path, *, case_id: str) -> sitk.ImageFileReader:
    import SimpleITK as sitk

    reader, name = sitk.ImageFileReader(), _utf8_name(path, case_id=case_id)
    form = _READERS.get(path.suffix.lower())
    # Not SetImageIO, whose errors quote what stands in the file.
    if form and (found := reader.GetImageIOFromFileName(name)) not in ("", form):
        raise ScanError(
            f"file {path.name} must be a whole NRRD or MetaImage file, got one that {found} reads",
            remedy="copy or export it again",
            case_id=case_id,
        )
    reader.SetFileName(name)
    try:
        if form:
            check_itk_header(path, is_nrrd=form == "NrrdImageIO")
        reader.ReadImageInformation()
    except (RuntimeError, OSError, ScanError) as error:
        raise _damage(error, path, case_id=case_id) from error
    return reader


def _damage(error: Exception, path: Path, *, case_id: str) -> ScanError:
    return ScanError(
        f"file {path.name} must be a whole NRRD or MetaImage file, got: "
        f"{reason_without_folders(error, path).splitlines()[-1].strip()}",
        remedy="copy or export it again",
        case_id=case_id,
    )


def _check_axes(reader: sitk.ImageFileReader, path: Path, *, case_id: str) -> None:
    axes = reader.GetDimension()
    if axes not in (2, 3):
        raise ScanError(f"file {path.name} must have 2 or 3 axes, got {axes}", remedy="split it", case_id=case_id)


def _image(array: Array, geometry: Geometry) -> sitk.Image:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    affine = geometry.to_lps()
    spacing = np.array(geometry.spacing_mm)
    image.SetSpacing([float(value) for value in spacing])
    image.SetOrigin([float(value) for value in affine[:3, 3]])
    image.SetDirection([float(value) for value in (affine[:3, :3] / spacing).ravel()])
    return image


def _promised_bytes(reader: sitk.ImageFileReader) -> int:
    """Size of all voxels according to the header."""
    import SimpleITK as sitk

    bits = re.search(r"(\d+)-bit", sitk.GetPixelIDValueAsString(reader.GetPixelID()))
    voxels = math.prod(int(size) for size in reader.GetSize()) * int(reader.GetNumberOfComponents())
    return voxels * (int(bits[1]) // 8 if bits else 0)


def _utf8_name(path: Path, *, case_id: str) -> str:
    """The path as text; SimpleITK crashes the whole process on one that is not UTF-8."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ScanError(
            "names of NRRD and MetaImage files must be UTF-8", remedy="rename it", case_id=case_id
        ) from error
    return str(path)


def _channels_first(values: Array, image: sitk.Image) -> Array:
    """ITK's `(K, J, I[, C])` as `(C, I, J, K)`."""
    components = image.GetNumberOfComponentsPerPixel()
    if image.GetDimension() == 2:
        values = values[np.newaxis]
    if components == 1:
        values = values[..., np.newaxis]
    return np.asarray(values.transpose(3, 2, 1, 0))


def _geometry(image: sitk.Image | sitk.ImageFileReader) -> Geometry:
    size, axes = list(image.GetSize()), image.GetDimension()
    direction, spacing, origin = np.eye(3), np.ones(3), np.zeros(3)
    direction[:axes, :axes] = np.array(image.GetDirection()).reshape(axes, axes)
    spacing[:axes], origin[:axes] = image.GetSpacing(), image.GetOrigin()
    steps = direction * spacing
    shape = (size[0], size[1], size[2] if axes == 3 else 1)
    return Geometry.from_lps_axes(shape, origin_mm=origin, steps_mm=(steps[:, 0], steps[:, 1], steps[:, 2]))
