"""Copy a NIfTI file with its header repaired and its voxels untouched."""

from __future__ import annotations

import gzip
import shutil
import zlib
from pathlib import Path
from typing import Any

from medseg.errors import GeometryError, ScanError
from medseg.geometry import straightened
from medseg.scans.damage import reason_without_folders
from medseg.scans.nifti import pair_of
from medseg.scans.nifti_header import header_file, read_header
from medseg.scans.read import read_label
from medseg.scans.unpacked import open_unpacked

_PLACE_FIELDS = (
    "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z",
    "srow_x", "srow_y", "srow_z", "xyzt_units",
)  # fmt: skip


def repair_nifti(
    source: Path, target: Path, *, straighten: bool = False, like: Path | None = None, as_label: bool = False
) -> None:
    """Copy a NIfTI file with its header repaired; the stored voxels stay byte for byte, unless `as_label`.

    Args:
        source: File to copy; either file of a `.hdr`/`.img` pair, and both are copied.
        target: Copy to write, in a folder that exists, with the ending of the source.
        straighten: Write one grid to sform and qform: the one that readers use (the sform where there is one, else the
            qform), with its axes made perpendicular.
        like: NIfTI file whose grid replaces that of the source.
        as_label: Store the voxels, which must be whole numbers, in the smallest unsigned type without scaling.

    Raises:
        ScanError: If a file cannot be read, or the voxels of a label are not whole numbers.
        GeometryError: If the grid is broken beyond its shear.
    """
    import nibabel  # noqa: F401 (whole before its parts: another thread may be importing it)
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    try:
        header, _ = read_header(source)
        content = _unpacked(header_file(source))
        if like is not None:
            _take_grid(header, read_header(like)[0])
        elif straighten:
            _straighten(header)
        voxels = _label_voxels(header, source) if as_label else None
    except (HeaderDataError, WrapStructError, OSError, EOFError, ValueError, zlib.error) as error:
        raise ScanError(
            f"file {source.name}: must be a NIfTI file that can be repaired, got: "
            f"{reason_without_folders(error, source)}",
            remedy="export it again",
        ) from error
    if source.suffix.lower() in (".hdr", ".img"):
        _write_pair(header, content, voxels, source, target)
    else:
        _write_single(header, content, voxels, target)


def _unpacked(path: Path) -> bytes:
    with open_unpacked(path) as stream:
        return stream.read()


def _straighten(header: Any) -> None:
    """Write the nearest straight grid to both forms, under the code of the form that readers use."""
    shape = ([max(int(size), 1) for size in header.get_data_shape()] + [1, 1, 1])[:3]
    affine = straightened((shape[0], shape[1], shape[2]), header.get_best_affine()).affine
    code = int(header["sform_code"]) or int(header["qform_code"])
    if not code:
        raise GeometryError("header must hold an sform or a qform, got neither", remedy="export it again")
    header.set_sform(affine, code=code)
    header.set_qform(affine, code=code)


def _take_grid(header: Any, other: Any) -> None:
    for name in _PLACE_FIELDS:
        header[name] = other[name]
    header["pixdim"][:4] = other["pixdim"][:4]


def _label_voxels(header: Any, source: Path) -> bytes:
    """The label's values as unsigned integers in the header's byte order; the header gets their type."""
    label, _ = read_label(source, case_id=source.name)
    header.set_data_dtype(label.dtype)
    header["scl_slope"], header["scl_inter"] = 1, 0
    return label.astype(header.get_data_dtype()).tobytes(order="F")


def _write_single(header: Any, content: bytes, voxels: bytes | None, target: Path) -> None:
    block = header.binaryblock
    start = int(header["vox_offset"])
    new = block + (content[len(block) :] if voxels is None else content[len(block) : start] + voxels)
    target.write_bytes(gzip.compress(new, compresslevel=6, mtime=0) if target.name.lower().endswith(".gz") else new)


def _write_pair(header: Any, content: bytes, voxels: bytes | None, source: Path, target: Path) -> None:
    """Both files under their own names, beside the target."""
    block = header.binaryblock
    for file in pair_of(source):
        copy = target.parent / file.name
        if file == header_file(source):
            copy.write_bytes(block + content[len(block) :])
        elif voxels is None:
            shutil.copyfile(file, copy)
        else:
            copy.write_bytes(file.read_bytes()[: int(header["vox_offset"])] + voxels)
