"""Scans on the grids and with the intensities of nnU-Net's models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medseg.lazy import lazy_names

if TYPE_CHECKING:
    from medseg.preprocess.nnunet.config import NnunetPreprocess, NnunetResampling, NnunetScheme
    from medseg.preprocess.nnunet.grid import NnunetGrids, nnunet_grids
    from medseg.preprocess.nnunet.prepare import StageLabels, nnunet_image
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "NnunetGrids": "grid",
            "NnunetPreprocess": "config",
            "NnunetResampling": "config",
            "NnunetScheme": "config",
            "StageLabels": "prepare",
            "nnunet_grids": "grid",
            "nnunet_image": "prepare",
        },
    )

__all__ = [
    "NnunetGrids",
    "NnunetPreprocess",
    "NnunetResampling",
    "NnunetScheme",
    "StageLabels",
    "nnunet_grids",
    "nnunet_image",
]
