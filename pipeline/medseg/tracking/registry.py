"""Registered models: which version of a model is in use, and how a run's model becomes the next one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.errors import TrackingError
from medseg.text import printable
from medseg.tracking.names import clean_value
from medseg.tracking.post_model import WEIGHTS_TAG, is_version_of, model_of_run
from medseg.tracking.store import connect, database_file, resolved_uri
from medseg.tracking.store_errors import explained, missing, without_password

MODEL_SCHEME = "models:/"
"""Beginning of an address such as `models:/livers@clinical`."""
_LONGEST_DESCRIPTION = 5000
_FORBIDDEN = re.compile(r"[/:]")


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """A version of a registered model.

    Attributes:
        name: Name of the registered model.
        version: Number of the version.
        run_id: Run that trained it; "" where it is not known.
        weights_digest: SHA-256 of its weights; "" where it is not known.
    """

    name: str
    version: str
    run_id: str
    weights_digest: str

    def __str__(self) -> str:
        """Name and number."""
        return f"{self.name} version {self.version}"


class ModelRegistry:
    """The registered models of an MLflow store.

    Args:
        tracking_uri: MLflow store; if not given, `MLFLOW_TRACKING_URI`, else SQLite in the working folder.

    Raises:
        TrackingError: If the store cannot be used.
    """

    def __init__(self, tracking_uri: str | None = None) -> None:
        self._client, self.tracking_uri = connect(tracking_uri)

    def version_of(self, name: str, alias: str) -> RegisteredVersion | None:
        """The version that an alias names; None if there is none."""
        from mlflow.exceptions import MlflowException

        try:
            return _recorded(self._client.get_model_version_by_alias(registered_name(name), alias))
        except MlflowException as error:
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                return None
            with explained(self.tracking_uri):
                raise

    def model_id(self, run_id: str, digest: str) -> str | None:
        """Id of the model that a run has logged with some weights; None if its models have others.

        Args:
            run_id: Run of the training.
            digest: SHA-256 of the weights.

        Raises:
            TrackingError: If the store cannot be used, or holds no model of the run.
        """
        with explained(self.tracking_uri):
            if model_of_run(self._client, run_id) is None:
                store = without_password(self.tracking_uri)
                raise TrackingError(
                    f"MLflow store {store}: must hold a model of run {run_id}, found none",
                    remedy="give the tracking URI of the training's store, or send what is kept: medseg sync RUN",
                )
            return model_of_run(self._client, run_id, digest)

    def register(
        self, model_id: str, *, name: str, tags: Mapping[str, str], heading: str, description: str
    ) -> RegisteredVersion:
        """Make a logged model a version of a registered model, or describe the version that it is already.

        Args:
            model_id: Model in the store.
            name: Name of the registered model, made if it does not exist.
            tags: Tags of the version.
            heading: Heading of its description; text under other headings stays.
            description: Markdown text under that heading.

        Raises:
            TrackingError: If the store cannot be used or does not hold the model.
        """
        name = registered_name(name)
        with explained(self.tracking_uri):
            model = self._client.get_logged_model(model_id)
            complete = dict(tags) | {WEIGHTS_TAG: model.tags.get(WEIGHTS_TAG, "")}
            cleaned = {key: clean_value(value) for key, value in complete.items()}
            self._make(name)
            found = self._client.search_model_versions(f"name = '{name}'")
            same = [version for version in found if is_version_of(version, model_id)]
            version = same[0] if same else self._new_version(name, model.source_run_id, model_id)
            for key, value in cleaned.items():
                self._client.set_model_version_tag(name, version.version, key, value)
            text = _described(version.description or "", heading, description)
            self._client.update_model_version(name, version.version, description=printable(text))
            return _recorded(self._client.get_model_version(name, version.version))

    def point(self, alias: str, version: RegisteredVersion) -> None:
        """Let an alias name a version, and no other.

        Raises:
            TrackingError: If the store cannot be used, or refuses the alias.
        """
        with explained(self.tracking_uri):
            self._client.set_registered_model_alias(version.name, alias, version.version)

    def log_page(self, run_id: str, page: Path, *, folder: str) -> None:
        """Copy a page into the artefacts of a run.

        Raises:
            TrackingError: If the store cannot be used.
        """
        with explained(self.tracking_uri):
            self._client.log_artifact(run_id, str(page), folder)

    def _new_version(self, name: str, run_id: str, model_id: str) -> Any:
        """A version made of a logged model, which MLflow looks for in its default store alone."""
        with _as_default(self.tracking_uri):
            return self._client.create_model_version(
                name, source=f"models:/{model_id}", run_id=run_id, model_id=model_id
            )

    def _make(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


@contextmanager
def _as_default(uri: str) -> Iterator[None]:
    """Let a store be MLflow's default for a moment."""
    import mlflow

    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


def fetch_model(uri: str, folder: Path, *, tracking_uri: str | None = None) -> Path:
    """Copy a model out of the store.

    Args:
        uri: Address such as `models:/livers@clinical` or `models:/livers/3`.
        folder: Folder that receives it.
        tracking_uri: MLflow store, as in `ModelRegistry`.

    Returns:
        Folder with the model's card and weights.

    Raises:
        TrackingError: If the store cannot be used, or holds no model of medseg at this address.
    """
    file = database_file(resolved_uri(tracking_uri))
    if file is not None and not file.exists():  # which connecting would make
        raise missing(resolved_uri(tracking_uri), "there is no such file")
    client, store = connect(tracking_uri)
    with explained(store):
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        folder.mkdir(parents=True, exist_ok=True)
        name, version = _version_of(client, uri)
        place = client.get_model_version_download_uri(name, version)
        copied = Path(get_artifact_repository(place, tracking_uri=store).download_artifacts("", str(folder)))
    cards = sorted(copied.glob("data/*/model.json")) + sorted(copied.glob("data/*/classifier.json"))
    if len(cards) != 1:
        raise TrackingError(
            f"{uri}: must be a model that medseg logged, found no card in it",
            remedy="give the address of a model that medseg trained, or a run's folder",
        )
    return cards[0].parent


def _version_of(client: Any, uri: str) -> tuple[str, str]:
    """Name and number of a version, from an address with either of `/3` and `@alias`.

    Raises:
        TrackingError: If the address has neither.
    """
    path = uri.removeprefix(MODEL_SCHEME).strip("/")
    name, at, alias = path.rpartition("@")
    if at:
        return name, str(client.get_model_version_by_alias(name, alias).version)
    name, slash, version = path.rpartition("/")
    if not slash or not version.isdigit():
        raise TrackingError(
            f"{uri}: must name a version, by its alias or its number",
            remedy="write it like models:/livers@clinical or models:/livers/3",
        )
    return name, version


def _described(text: str, heading: str, description: str) -> str:
    """A Markdown text with one part exchanged or added; the oldest are left out where it becomes too long."""
    parts = dict(part.split("\n", 1) for part in f"\n{text}".split("\n## ")[1:] if "\n" in part)
    parts.pop(heading, None)
    parts[heading] = f"\n{description}\n"
    whole = [f"## {title}\n{body.rstrip()}\n" for title, body in parts.items()]
    while len(whole) > 1 and len("\n".join(whole)) > _LONGEST_DESCRIPTION:
        whole.pop(0)
    return "\n".join(whole)[:_LONGEST_DESCRIPTION]


def registered_name(name: str) -> str:
    """A name that MLflow accepts for a registered model."""
    cleaned = _FORBIDDEN.sub("_", clean_value(name)).replace("'", "_")
    return cleaned if cleaned.strip(". ") else "model"


def _recorded(version: Any) -> RegisteredVersion:
    return RegisteredVersion(
        version.name, str(version.version), str(version.run_id or ""), str(version.tags.get(WEIGHTS_TAG, ""))
    )
