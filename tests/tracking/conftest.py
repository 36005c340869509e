"""One MLflow store for all tests of tracking; making its tables takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the store, which is the working folder of the tests."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(autouse=True)
def working_folder(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Artefacts of a SQLite store go to the working folder."""
    monkeypatch.chdir(store)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def uri(store: Path) -> str:
    return f"sqlite:///{store}/mlflow.db"


@pytest.fixture
def client(uri: str) -> Any:
    """MLflow's own client, to see what arrived."""
    import mlflow

    return mlflow.MlflowClient(tracking_uri=uri)
