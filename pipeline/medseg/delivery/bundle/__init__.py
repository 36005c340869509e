"""A trained network as a MONAI bundle, and the parts that its configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medseg.lazy import lazy_names

if TYPE_CHECKING:
    from medseg.delivery.bundle.bundle_folder import check_bundle_packages, write_bundle
    from medseg.delivery.bundle.case_parts import PrepareScand, RestoreMaskd, SaveMaskd, WindowInferer
    from medseg.delivery.bundle.loaded_parts import found_cases, load_network, untrained_network
    from medseg.delivery.bundle.mask_evaluator import MaskEvaluator
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "MaskEvaluator": "mask_evaluator",
            "PrepareScand": "case_parts",
            "RestoreMaskd": "case_parts",
            "SaveMaskd": "case_parts",
            "WindowInferer": "case_parts",
            "check_bundle_packages": "bundle_folder",
            "found_cases": "loaded_parts",
            "load_network": "loaded_parts",
            "untrained_network": "loaded_parts",
            "write_bundle": "bundle_folder",
        },
    )

__all__ = [
    "MaskEvaluator",
    "PrepareScand",
    "RestoreMaskd",
    "SaveMaskd",
    "WindowInferer",
    "check_bundle_packages",
    "found_cases",
    "load_network",
    "untrained_network",
    "write_bundle",
]
