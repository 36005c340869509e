"""Adopted models that the tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from medseg.inference.nnunet import AdoptedModel, load_adopted
from medseg.runs.segmentation.adopt import AdoptSettings, adopt_model

from tests.inference.nnunet.models import write_model

Adopted = Callable[[str], AdoptedModel]


@pytest.fixture(scope="session")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> Adopted:
    """A function that adopts a model of `models.py` and loads it."""
    place = tmp_path_factory.mktemp("nnunet")
    runs: dict[str, Path] = {}

    def load(name: str) -> AdoptedModel:
        if name not in runs:
            source = write_model(name, place / name)
            runs[name] = adopt_model(source, place / name / "run", AdoptSettings(precision="fp32")).folder
        return load_adopted(runs[name], device=torch.device("cpu"))

    return load
