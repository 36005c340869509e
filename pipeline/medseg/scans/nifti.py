"""NIfTI-1 and NIfTI-2 through nibabel, with the header kept for writing masks on the same grid."""

from __future__ import annotations

import logging
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from medseg.atomic import atomic_path
from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.origin import NiftiHeader, NiftiOrigin
from medseg.records import Array, Labelmap, Scan
from medseg.scans.damage import reason_without_folders
from medseg.scans.fourth_axis import check_fourth_axis
from medseg.scans.nifti_header import UNIT_MM, is_nifti2, read_header
from medseg.scans.nifti_voxels import read_voxels
from medseg.scans.unpacked import open_unpacked

NIFTI_SUFFIXES = (".nii.gz", ".nii", ".hdr", ".img")

_LAST_FORM_CODE = 5  # 0 to 4 of NIfTI-1, and 5: another template
_log = logging.getLogger(__name__)
_AXIS_CONFLICT_MM = 0.02
_AXIS_CONFLICT_VOXELS = 0.1
_LONGEST_WORDS = 79  # of a header, before the closing zero
_NIFTI1_LONGEST = 32767
_EXTENSION_PART = 1 << 16  # bytes; a damaged header may promise more extensions than there is memory
_MOST_EXTENSIONS = 1 << 28  # bytes before the voxels of a packed file, which are held in memory
_PLANES = 64  # that are put into the order of a file at a time
_GRID_FIELDS = (
    "pixdim", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z",
    "srow_x", "srow_y", "srow_z", "xyzt_units",
)  # fmt: skip


def read_nifti(path: Path, *, case_id: str, is_label: bool, channels: int | None = None) -> Scan:
    """Read one NIfTI file.

    Args:
        path: `.nii`, `.nii.gz`, or either file of a `.hdr`/`.img` pair.
        case_id: Id of the case, for errors.
        is_label: Labels keep their stored type where the header scales nothing, and are float64 where it does.
        channels: Number of channels that somebody has named; None where nobody has.

    Returns:
        `array` of shape `(C, I, J, K)` with slope and intercept applied.

    Raises:
        ScanError: If the file is damaged or of a voxel type or number of axes that has no meaning here, or its fourth
            axis is time.
        GeometryError: If the header's grid is not a straight voxel grid.
    """
    with _damage(path, case_id=case_id):
        image, file = _load(path, case_id=case_id)
        _check_type(image, path=path, case_id=case_id)
        check_fourth_axis(image.header, path=path, case_id=case_id, channels=channels)
        array = read_voxels(image, file, is_label=is_label, name=path.name, case_id=case_id)
    array = _channels_first(array, path=path, case_id=case_id)
    geometry = _geometry(image, array.shape[1:], path=path, case_id=case_id)
    return Scan(array, geometry, NiftiOrigin(path, _without_extensions(image.header)))


def read_nifti_grid(path: Path, *, case_id: str) -> tuple[Geometry, int]:
    """Grid and channels from a header, without reading the voxels.

    Raises:
        ScanError: If the file is not NIfTI, or its fourth axis is time.
        GeometryError: If the grid is not a straight voxel grid.
    """
    import nibabel

    with _damage(path, case_id=case_id):
        image: Any = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Pair):
            raise ScanError(f"file {path.name} must be NIfTI, got another format", remedy="convert it", case_id=case_id)
        shape = tuple(int(size) for size in image.shape)
    sizes = (*(size for size in shape[:3]), 1, 1)[:3] if len(shape) < 3 else shape[:3]
    channels = math.prod(shape[3:])
    if len(shape) < 2 or min(shape) < 1 or (len(shape) == 5 and shape[3] != 1) or len(shape) > 5:
        raise ScanError(
            f"file {path.name} must have 2 to 4 axes, got shape {shape}", remedy="split it", case_id=case_id
        )
    check_fourth_axis(image.header, path=path, case_id=case_id, channels=1)  # nobody has named more
    return _geometry(image, sizes, path=path, case_id=case_id), channels


def pair_of(path: Path) -> tuple[Path, ...]:
    """Both files of a `.hdr`/`.img` pair, or the file itself."""
    if path.suffix.lower() in (".hdr", ".img"):
        both = (path.with_suffix(suffix) for suffix in (".hdr", ".img", ".HDR", ".IMG"))
        return tuple(dict.fromkeys(file for file in both if file.is_file()))
    return (path,)


def write_nifti_mask(mask: Labelmap, scan: Scan, path: Path) -> None:
    """Write labels on the grid of a scan, in the form that its NIfTI header gives.

    Shape, affine, qform and sform codes, units and orientation are the source's; the voxel type is unsigned, without
    scaling; free-text fields and extensions, which may name a patient, are not carried over. The file is NIfTI-1, also
    for a NIfTI-2 source, because ITK reads no NIfTI-2; only an axis of more than 32,767 voxels needs NIfTI-2.

    Args:
        mask: Unsigned integers of shape `(I, J, K)`.
        scan: The source scan; without a NIfTI origin its grid is written as scanner coordinates.
        path: Target, ending in `.nii.gz` or `.nii`.
    """
    import nibabel

    header = _mask_header(scan)
    header.set_data_dtype(mask.dtype)
    voxels = mask[:, :, 0] if _is_flat(scan) else mask
    kind: Any = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    _write(kind(voxels, header.get_best_affine(), header), path)


def write_nifti_shares(shares: Labelmap, scan: Scan, path: Path, *, levels: int) -> None:
    """Write shares from 0 to 1, stored as whole numbers from 0 to `levels`, on the grid of a scan.

    The header has the form of `write_nifti_mask`, and the slope by which every reader sees the shares themselves.

    Args:
        shares: Unsigned integers of shape `(I, J, K)`.
        scan: The source scan.
        path: Target, ending in `.nii.gz`.
        levels: Number that stands for 1.
    """
    import nibabel

    header = _mask_header(scan)
    header.set_data_dtype(shares.dtype)
    header["descrip"] = b"medseg probabilities"
    header.set_intent("estimate")
    voxels = shares[:, :, 0] if _is_flat(scan) else shares
    kind: Any = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    _write(kind(voxels, header.get_best_affine(), header), path, slope=1 / levels)


def write_nifti_quantity(values: Array, scan: Scan, path: Path, *, name: str, unit: str) -> None:
    """Write values in their unit, in single precision and without a slope, on the grid of a scan.

    The header has the form of `write_nifti_mask`, and a description `medseg NAME [UNIT]`.

    Args:
        values: Values of shape `(I, J, K)`.
        scan: The source scan.
        path: Target, ending in `.nii.gz`.
        name: Name of the quantity, of which the description holds what fits beside the unit.
        unit: Unit of the values.
    """
    import nibabel

    header = _mask_header(scan)
    header.set_data_dtype(np.float32)
    header["descrip"] = _description(name, unit)
    header.set_intent("estimate")
    stored = np.ascontiguousarray(values, dtype=np.float32)
    voxels = stored[:, :, 0] if _is_flat(scan) else stored
    kind: Any = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    _write(kind(voxels, header.get_best_affine(), header), path)


def _description(name: str, unit: str) -> bytes:
    """Name and unit in UTF-8, cut between characters; never a part of a unit, which would be another unit."""
    after = f" [{unit}]".encode()
    left = _LONGEST_WORDS - len("medseg ") - len(after)
    if left < 1:
        after, left = b"", _LONGEST_WORDS - len("medseg ")
    return b"medseg " + name.encode()[:left].decode(errors="ignore").encode() + after


def write_nifti_scan(array: Array, geometry: Geometry, path: Path) -> None:
    """Write an image of shape `(C, I, J, K)` with the grid in sform and qform, both as scanner coordinates."""
    import nibabel

    voxels = array[0] if array.shape[0] == 1 else np.moveaxis(array, 0, -1)
    image: Any = nibabel.Nifti1Image(voxels, geometry.affine)
    image.set_sform(geometry.affine, code=1)
    image.set_qform(geometry.affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header.set_data_dtype(array.dtype)
    _write(image, path)


def _write(image: Any, path: Path, *, slope: float = 1.0) -> None:
    """Write an image, whose voxels are of its header's type, as they are."""
    image.header.set_slope_inter(slope, 0)
    is_packed = path.name.endswith(".gz")
    with atomic_path(path, suffix=".nii.gz" if is_packed else ".nii") as temporary:
        (_write_gzip if is_packed else type(image).to_filename)(image, temporary)


def _write_gzip(image: Any, path: Path) -> None:
    """Compress on several cores with ISA-L: about eight times as fast as zlib for a few per cent more bytes."""
    from isal import igzip_threaded

    image.update_header()
    image.header.set_data_offset(image.header.single_vox_offset)
    threads = min(4, os.cpu_count() or 1)
    with igzip_threaded.open(path, "wb", compresslevel=2, threads=threads) as stream:  # type: ignore[no-untyped-call]
        image.header.write_to(stream)
        for planes in _in_file_order(np.asarray(image.dataobj)):
            stream.write(planes.data)


def _in_file_order(voxels: Array) -> Iterator[Array]:
    """Some planes at a time of voxels `(I, J)`, `(I, J, K)` or `(I, J, K, C)`, first axis fastest."""
    if voxels.ndim == 4:
        for channel in np.moveaxis(voxels, -1, 0):
            yield from _in_file_order(channel)
        return
    transposed = voxels.T
    for start in range(0, len(transposed), _PLANES):
        planes = transposed[start : start + _PLANES]
        if not planes.flags.c_contiguous:
            planes = np.empty_like(planes, order="C")
            for j in range(planes.shape[1]):  # the processor's cache holds a row of planes, but no plane
                planes[:, j] = transposed[start : start + _PLANES, j]
        yield planes


@contextmanager
def _damage(path: Path, *, case_id: str) -> Iterator[None]:
    """Turn what nibabel raises on damaged files into a `ScanError`."""
    import nibabel  # noqa: F401 (whole before its parts: another thread may be importing it)
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    try:
        yield
    except (
        ImageFileError,
        HeaderDataError,
        WrapStructError,
        EOFError,
        OSError,
        zlib.error,
        ValueError,
        OverflowError,
    ) as error:
        raise ScanError(
            f"file {path.name} must be a whole NIfTI file, got: {reason_without_folders(error, path)}",
            remedy="copy or export it again",
            case_id=case_id,
        ) from error


def _load(path: Path, *, case_id: str) -> tuple[Any, Path]:
    """The image, whose voxels are not read yet, and the file that holds them."""
    import nibabel

    if path.name.lower().endswith(".gz"):
        content = _before_voxels(path, case_id=case_id)
        kind: Any = nibabel.Nifti2Image if is_nifti2(content) else nibabel.Nifti1Image
        return kind.from_bytes(content), path
    image: Any = nibabel.load(path)
    if not isinstance(image, nibabel.Nifti1Pair):
        raise ScanError(
            f"file {path.name} must be NIfTI, got {type(image).__name__}", remedy="convert it", case_id=case_id
        )
    return image, Path(image.file_map["image"].filename)


def _before_voxels(path: Path, *, case_id: str) -> bytes:
    """Header and extensions of a packed file."""
    header, content = read_header(path)
    size = int(header["vox_offset"])
    if size <= len(content):
        return content
    with open_unpacked(path) as stream:
        parts = [stream.read(_EXTENSION_PART)]
        while parts[-1] and len(parts) * _EXTENSION_PART < min(size, _MOST_EXTENSIONS):
            parts.append(stream.read(_EXTENSION_PART))
    if size > _MOST_EXTENSIONS and parts[-1]:
        raise ScanError(
            f"file {path.name} must hold its voxels within its first {_MOST_EXTENSIONS} bytes, got byte {size}",
            remedy="save it without its header extensions",
            case_id=case_id,
        )
    return b"".join(parts)


def _check_type(image: Any, *, path: Path, case_id: str) -> None:
    dtype = image.get_data_dtype()
    if dtype.names is not None or dtype.kind not in "uif":
        raise ScanError(
            f"file {path.name} must hold real numbers, got voxel type {dtype}",
            remedy="convert it to one number per voxel and channel",
            case_id=case_id,
        )


def _channels_first(array: Array, *, path: Path, case_id: str) -> Array:
    """Voxels as `(C, I, J, K)` from two to five axes."""
    if array.ndim == 5 and array.shape[3] == 1:
        array = array[:, :, :, 0]
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim == 3:
        return array[np.newaxis]
    if array.ndim == 4 and 0 not in array.shape:
        return np.moveaxis(array, -1, 0)
    raise ScanError(
        f"file {path.name} must have 2 to 4 axes, got shape {array.shape}", remedy="split it", case_id=case_id
    )


def _geometry(image: Any, shape: tuple[int, ...], *, path: Path, case_id: str) -> Geometry:
    header = image.header
    try:
        geometry = Geometry((shape[0], shape[1], shape[2]), image.affine).scaled(_unit_mm(header))
        if _unit_mm(header) != 1:
            _log.warning("case %s: the header of %s counts in units of %g mm", case_id, path.name, _unit_mm(header))
        if 0 in (int(header["qform_code"]), int(header["sform_code"])):
            _warn_of_unknown_codes(path, case_id=case_id)
        if int(header["qform_code"]) <= 0 and int(header["sform_code"]) <= 0:
            _log.warning("case %s: the header of %s gives no place in the patient", case_id, path.name)
        if int(header["qform_code"]) > 0 and int(header["sform_code"]) > 0:
            _warn_of_conflict(geometry, header, path=path, case_id=case_id)
    except GeometryError as error:
        raise GeometryError(f"file {path.name}: {error.fact}", remedy=error.remedy, case_id=case_id) from error
    return geometry


def _warn_of_unknown_codes(path: Path, *, case_id: str) -> None:
    """Warn where nibabel took an unknown code for 0, so that only the other form counts."""
    stored = read_header(path)[0]
    for name in ("qform_code", "sform_code"):
        if not 0 <= int(stored[name]) <= _LAST_FORM_CODE:
            _log.warning("case %s: %s of %s must be 0 to 5, got %d", case_id, name, path.name, int(stored[name]))


def _unit_mm(header: Any) -> float:
    """Millimetres per unit of the header; 1 where it names no unit or an unknown one."""
    try:
        unit = str(header.get_xyzt_units()[0])
    except KeyError:
        unit = "unknown"
    return UNIT_MM.get(unit, 1.0)


def _warn_of_conflict(sform: Geometry, header: Any, *, path: Path, case_id: str) -> None:
    import nibabel  # noqa: F401 (whole before its parts: another thread may be importing it)
    from nibabel.spatialimages import HeaderDataError

    try:
        with np.errstate(all="ignore"):
            distance_mm = sform.distance_mm(Geometry(sform.shape, header.get_qform()).scaled(_unit_mm(header)))
    except (GeometryError, HeaderDataError, ValueError) as error:
        _log.warning("case %s: qform of %s is broken (%s); the sform is used", case_id, path.name, error)
        return
    if distance_mm > min(_AXIS_CONFLICT_MM, _AXIS_CONFLICT_VOXELS * min(sform.spacing_mm)):
        _log.warning(
            "case %s: sform and qform of %s disagree by up to %.3g mm; the sform is used",
            case_id,
            path.name,
            distance_mm,
        )


def _without_extensions(header: Any) -> NiftiHeader:
    """The fields of a header alone: extensions may be megabytes, and name the patient."""
    plain: NiftiHeader = type(header)(header.binaryblock, header.endianness, check=False)
    return plain


def _mask_header(scan: Scan) -> Any:
    """A label map's header with the scan's grid."""
    import nibabel

    geometry = scan.geometry
    header: Any = nibabel.Nifti2Header() if max(geometry.shape) > _NIFTI1_LONGEST else nibabel.Nifti1Header()
    header.set_data_shape(geometry.shape[:2] if _is_flat(scan) else geometry.shape)
    match scan.origin:
        case NiftiOrigin(header=source):
            _carry_over(source, header, geometry)
            header["descrip"] = b"medseg label map"
            header.set_intent("label")
        case _:
            _set_forms(header, geometry, qform_code=1, sform_code=1)
    return header


def _is_flat(scan: Scan) -> bool:
    """Whether the source has two axes, so that its mask has two as well."""
    match scan.origin:
        case NiftiOrigin(header=source):
            return int(source["dim"][0]) == 2 and scan.geometry.shape[2] == 1
        case _:
            return False


def _carry_over(source: NiftiHeader, header: Any, geometry: Geometry) -> None:
    """Copy the source's grid field by field; its codes alone where the scan was cropped or resampled since."""
    for name in _GRID_FIELDS:
        header[name] = source[name]
    if not Geometry(geometry.shape, header.get_best_affine()).scaled(_unit_mm(header)).is_close(geometry):
        qform_code, sform_code = int(source["qform_code"]), int(source["sform_code"])
        known = sform_code or qform_code or 1  # a grid of its own needs a form to stand in
        _set_forms(header, geometry, qform_code=qform_code or known, sform_code=sform_code or known)


def _set_forms(header: Any, geometry: Geometry, *, qform_code: int, sform_code: int) -> None:
    header.set_qform(geometry.affine, code=qform_code)
    header.set_sform(geometry.affine, code=sform_code)
    header.set_xyzt_units("mm")
