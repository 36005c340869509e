"""Endings of files that are no scans, counted; only endings of known formats are told, others may hold names."""

from __future__ import annotations

import mimetypes
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import PurePath

_NONE, _OTHERS = "no ending", "other endings"
# Formats of science and hospitals that mimetypes does not list.
_MORE = (
    ".7z .bval .bvec .bz2 .cfg .czi .dat .db .fig .fits .gz .h5ad .hl7 .inf .info .ini .ipynb .jsonl .log "
    ".lif .lsm .m .mgh .mgz .mif .minc .mnc .mrb .mrml .nd2 .ndpi .npy .npz .oib .oif .par .parquet .pkl "
    ".pth .r .rar .rda .rds .rec .rst .sav .scn .sqlite .sta .stl .svs .toml .trk .tck .vsi .vtk .vtp "
    ".vtu .vti .xmp .yaml .yml .zst .zarr .obj .ply "
)


def count_endings(paths: Iterable[PurePath]) -> dict[str, int]:
    """Number of files by ending, most first."""
    return dict(Counter(_ending(path) for path in paths).most_common())


def _ending(path: PurePath) -> str:
    ending = path.suffix.lower()
    if not ending:
        return _NONE
    return ending if ending in _known() else _OTHERS


@cache
def _known() -> frozenset[str]:
    types = mimetypes.MimeTypes(filenames=())
    return frozenset([*types.types_map[True], *types.types_map[False], *types.encodings_map, *_MORE.split()])
