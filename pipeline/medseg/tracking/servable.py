"""The folder of a model that MLflow loads and serves, without anything that runs code while it is read."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from medseg.geometry import Geometry
from medseg.inference.card import CLASSIFIER_NAME
from medseg.inference.requests import RequestLimits
from medseg.inference.segmentation.card import CARD_NAME
from medseg.inference.segmentation.package_card import PACKAGE_NAME
from medseg.scans import write_scan
from medseg.tracking.own_wheel import pinned_requirements, wheel_name, write_wheel
from medseg.tracking.quiet_mlflow import import_mlflow

LOADER = "medseg.tracking.model_flavour"
PATHS_BELOW = "paths_below"
"""Setting of a loaded model: folder below which requests may name paths; "" if they must hold bytes.

The fields of `RequestLimits` are settings beside it.
"""
_EXAMPLE_SIZE = 16  # voxels along each axis


def save_servable(data: Path, out: Path, *, described: Any = None, limits: RequestLimits | None = None) -> None:
    """Write a model as MLflow's `pyfunc` flavour, with medseg as a wheel, requirements, signature and example.

    Args:
        data: Folder of a model or a package, which is copied.
        out: Target folder, new.
        described: `mlflow.models.Model` that the folder is of; a new one if not given.
        limits: Limits of each request; the usual ones if not given.
    """
    pyfunc = import_mlflow().pyfunc
    with tempfile.TemporaryDirectory() as scratch:
        wheel = write_wheel(Path(scratch))
        pyfunc.save_model(
            path=str(out),
            loader_module=LOADER,
            data_path=str(data),
            code_paths=[str(wheel)],
            pip_requirements=[*pinned_requirements(), f"code/{wheel_name()}"],
            mlflow_model=described,
            signature=signature_of(data),
            input_example=example_of(data),
            model_config={PATHS_BELOW: "", **(limits or RequestLimits()).model_dump()},
        )


def signature_of(folder: Path) -> Any:
    """Scans in; masks out, or the probabilities of slices."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType, Array, Map

    text = DataType.string
    inputs = Schema(
        [ColSpec(AnyType(), "scan", required=False), *(ColSpec(text, n, required=False) for n in ("name", "path"))]
    )
    if (folder / CLASSIFIER_NAME).is_file():
        places = [ColSpec(text, "image"), ColSpec(DataType.long, "axis"), ColSpec(DataType.long, "slice")]
        classes = [ColSpec(DataType.double, name) for name in _card_of(folder)["targets"]["classes"]]
        return ModelSignature(inputs=inputs, outputs=Schema([*places, *classes]))
    outputs = [
        ColSpec(text, "case"),
        ColSpec(text, "mask", required=False),
        ColSpec(text, "file", required=False),
        ColSpec(Map(DataType.long), "labels"),
        *([ColSpec(Map(Array(DataType.long)), "regions")] if "regions" in _first_card(folder) else []),
        ColSpec(Map(DataType.double), "volumes_ml", required=False),
        ColSpec(Array(Map(AnyType())), "flags", required=False),
        ColSpec(text, "error", required=False),
    ]
    params = ParamSchema([ParamSpec("fast", DataType.boolean, default=False)])
    return ModelSignature(inputs=inputs, outputs=Schema(outputs), params=params)


def example_of(folder: Path) -> dict[str, list[Any]]:
    """A request with a made-up scan, of a patient that does not exist: one slice for a 2D network."""
    card, first = _card_of(folder), _first_card(folder)
    depth = 1 if first["network"].get("spatial_dims") == 2 else _EXAMPLE_SIZE
    shape, channels = (_EXAMPLE_SIZE, _EXAMPLE_SIZE, depth), len(card["channels"])
    noise = np.random.default_rng(0).integers(0, 8, size=(1, *shape)).astype(np.float32)
    noise[0, 5:11, 5:11, depth // 3 : depth - depth // 3] += 100
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "example.nii.gz"
        write_scan(noise, Geometry(shape, np.eye(4)), path)
        text = base64.b64encode(path.read_bytes()).decode()
    return {"scan": [text if channels == 1 else [text] * channels], "name": [path.name]}


def _first_card(folder: Path) -> dict[str, Any]:
    """Content of the card of a model, the first one of a package."""
    card = _card_of(folder)
    return _card_of(folder / card["models"][0]["folder"]) if "models" in card else card


def _card_of(folder: Path) -> dict[str, Any]:
    """Content of the card of a package, a segmentation model or a classifier."""
    names = (PACKAGE_NAME, CARD_NAME, CLASSIFIER_NAME)
    path = next(folder / name for name in names if (folder / name).is_file())
    return dict(json.loads(path.read_text(encoding="utf-8")))
