"""medseg: from a manifest of hospital scans to masks on the clinicians' grid.

    import medseg

    run = medseg.train("dataset.json", out="run", budget="10m")
    medseg.predict("run", "scans", out="masks")

What is exported here is loaded when it is first used, so that `import medseg` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from medseg.version import __version__

if TYPE_CHECKING:
    from medseg.errors import PipelineError
    from medseg.inference.classification import SlicePredictor
    from medseg.inference.segmentation import Predictor
    from medseg.manifest import load_manifest
    from medseg.runs.api import (
        adopt,
        choose,
        compare,
        deliver,
        evaluate,
        package,
        predict,
        promote,
        report,
        search,
        train,
        train_classifier,
        watch,
    )
    from medseg.scans import read_label, read_scan, write_mask
    from medseg.training.segmentation import SegmentationParts

_HOMES = {
    "PipelineError": "medseg.errors",
    "Predictor": "medseg.inference.segmentation",
    "SegmentationParts": "medseg.training.segmentation",
    "SlicePredictor": "medseg.inference.classification",
    "adopt": "medseg.runs.api",
    "choose": "medseg.runs.api",
    "compare": "medseg.runs.api",
    "deliver": "medseg.runs.api",
    "evaluate": "medseg.runs.api",
    "load_manifest": "medseg.manifest",
    "package": "medseg.runs.api",
    "predict": "medseg.runs.api",
    "promote": "medseg.runs.api",
    "read_label": "medseg.scans",
    "read_scan": "medseg.scans",
    "report": "medseg.runs.api",
    "search": "medseg.runs.api",
    "train": "medseg.runs.api",
    "train_classifier": "medseg.runs.api",
    "watch": "medseg.runs.api",
    "write_mask": "medseg.scans",
}

__all__ = [
    "PipelineError",
    "Predictor",
    "SegmentationParts",
    "SlicePredictor",
    "__version__",
    "adopt",
    "choose",
    "compare",
    "deliver",
    "evaluate",
    "load_manifest",
    "package",
    "predict",
    "promote",
    "read_label",
    "read_scan",
    "report",
    "search",
    "train",
    "train_classifier",
    "watch",
    "write_mask",
]


def __getattr__(name: str) -> Any:
    """Load an exported name from the room that it lives in."""
    if name not in _HOMES:
        raise AttributeError(f"module 'medseg' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The exported names."""
    return sorted(__all__)
