"""Copy a NIfTI file with its header put in order and its voxels left alone."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

from pipeline.errors import GeometryError, ScanError
from pipeline.geometry import straightened
from pipeline.scans.damage import reason_without_folders
from pipeline.scans.nifti import pair_of
from pipeline.scans.nifti_forms import header_file, read_header
from pipeline.scans.read import read_label

_PLACE_FIELDS = (
    "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z",
    "srow_x", "srow_y", "srow_z", "xyzt_units",
)  # fmt: skip


def repair_nifti(source: Path, target: Path, *, like: Path | None = None, as_label: bool = False) -> None:
    """Copy a NIfTI file so that sform and qform say the same straight grid; the stored voxels stay byte for byte.

    The grid is the one that readers use, the sform where there is one, else the qform, with its axes made
    perpendicular.

    Args:
        source: The file to copy; of a `.hdr`/`.img` pair either file, and both are copied.
        target: The copy, in a folder that exists, with the ending of the source.
        like: A NIfTI file whose grid is taken over instead.
        as_label: Store whole numbers held in a type with fractions in the smallest unsigned type, without scaling.

    Raises:
        ScanError: If a file cannot be read, or no whole numbers are there to be stored as a label.
        GeometryError: If the grid is broken beyond its shear.
    """
    try:
        header, _ = read_header(source)
        _straighten(header) if like is None else _take_grid(header, read_header(like)[0])
        voxels = _label_voxels(header, source) if as_label else None
        if source.suffix.lower() in (".hdr", ".img"):
            _write_pair(header, voxels, source, target)
        else:
            _write_single(header, voxels, source, target)
    except (OSError, EOFError, ValueError) as error:
        raise ScanError(
            f"file {source.name}: must be a NIfTI file that can be repaired, got: "
            f"{reason_without_folders(error, source)}; export it again"
        ) from error


def _straighten(header: Any) -> None:
    """Both forms say the nearest straight grid, each under its own code or the other's where it has none."""
    shape = ([max(int(size), 1) for size in header.get_data_shape()] + [1, 1, 1])[:3]
    affine = straightened((shape[0], shape[1], shape[2]), header.get_best_affine()).affine
    sform_code, qform_code = int(header["sform_code"]), int(header["qform_code"])
    if not (sform_code or qform_code):
        raise GeometryError("header must hold an sform or a qform, got neither; export it again")
    header.set_sform(affine, code=sform_code or qform_code)
    header.set_qform(affine, code=qform_code or sform_code)


def _take_grid(header: Any, other: Any) -> None:
    for name in _PLACE_FIELDS:
        header[name] = other[name]
    header["pixdim"][:4] = other["pixdim"][:4]


def _label_voxels(header: Any, source: Path) -> bytes:
    """The label's values as unsigned integers in the header's byte order; the header is told of their type."""
    label, _ = read_label(source, case_id=source.name)
    header.set_data_dtype(label.dtype)
    header["scl_slope"], header["scl_inter"] = 1, 0
    return label.astype(header.get_data_dtype()).tobytes(order="F")


def _write_single(header: Any, voxels: bytes | None, source: Path, target: Path) -> None:
    is_packed = source.name.lower().endswith(".gz")
    content = gzip.decompress(source.read_bytes()) if is_packed else source.read_bytes()
    block = header.binaryblock
    start = int(header["vox_offset"])
    content = block + (content[len(block) :] if voxels is None else content[len(block) : start] + voxels)
    target.write_bytes(gzip.compress(content, compresslevel=6, mtime=0) if is_packed else content)


def _write_pair(header: Any, voxels: bytes | None, source: Path, target: Path) -> None:
    """Both files under their own names, beside the target."""
    head = header_file(source)
    for file in pair_of(source):
        copy = target.parent / file.name
        if file == head:
            copy.write_bytes(header.binaryblock + head.read_bytes()[len(header.binaryblock) :])
        elif voxels is None:
            shutil.copyfile(file, copy)
        else:
            copy.write_bytes(file.read_bytes()[: int(header["vox_offset"])] + voxels)
