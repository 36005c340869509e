"""Reading of any supported dataset.json into a `Manifest`."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from medseg.configuration import describe_problems, parse_config
from medseg.errors import ConfigError, ManifestError
from medseg.manifest.case_names import is_safe_name
from medseg.manifest.collector import collector_paused
from medseg.manifest.document import ManifestDocument, to_manifest
from medseg.manifest.folds import check_patients
from medseg.manifest.msd import is_msd, read_msd
from medseg.manifest.nnunet import is_nnunet, read_nnunet
from medseg.manifest.own_keys import is_own_form, with_own_keys
from medseg.manifest.quantity_checks import check_quantities
from medseg.manifest.rater_checks import check_raters
from medseg.manifest.recipe import DatasetRecipe, is_recipe, recipe_manifest_path
from medseg.manifest.region_checks import check_regions
from medseg.manifest.study_checks import check_study_classes
from medseg.manifest.validation_cases import with_validation
from medseg.manifest.windows_paths import with_slashes
from medseg.records import Manifest

_log = logging.getLogger(__name__)
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")  # absolute on Windows


class ManifestFile(NamedTuple):
    """A manifest and the file that it came from.

    Attributes:
        manifest: Manifest that was read.
        root: Folder that its paths are relative to.
        path: JSON file that was named; for a recipe that of the recipe.
        is_own: Whether the file is in our own form, so that a new version may take its place.
    """

    manifest: Manifest
    root: Path
    path: Path
    is_own: bool


def load_manifest(dataset: Path, *, data_root: Path | None = None) -> tuple[Manifest, Path]:
    """Read a manifest: our own form, an MSD dataset.json, an nnU-Net raw folder, or a recipe of `data_manifests/`.

    Args:
        dataset: JSON file, or the folder that holds a dataset.json.
        data_root: Folder that the paths are relative to; the file's folder if not given.

    Returns:
        The manifest, checked, and the data root.

    Raises:
        ManifestError: If the file is missing, unreadable or breaks a rule.
    """
    file = open_manifest(dataset, data_root=data_root)
    return file.manifest, file.root


def open_manifest(dataset: Path, *, data_root: Path | None = None) -> ManifestFile:
    """Read and check a manifest, with the path and form of its file, so that a new version can be written."""
    file = read_manifest(dataset, data_root=data_root)
    check_manifest(file.manifest)
    if not file.manifest.has_patients:
        _log.warning("manifest %s has no patient_id: each case is treated as a patient of its own", file.manifest.name)
    return file


def read_manifest(dataset: Path, *, data_root: Path | None = None) -> ManifestFile:
    """Read a manifest without any check but of the form of its file, as an audit needs."""
    path = dataset / "dataset.json" if dataset.is_dir() else dataset
    root = data_root or path.parent
    with collector_paused():
        written = read_content(path)
        content = with_validation(with_slashes(written, root))
        is_own = (
            content is written
            and not (is_recipe(content) or is_nnunet(content) or is_msd(content))
            and is_own_form(content)
        )
        manifest = _parse(content, path=path, root=root, data_root=data_root)
    return ManifestFile(manifest, root, path, is_own)


def _parse(content: dict[str, Any], *, path: Path, root: Path, data_root: Path | None) -> Manifest:
    if is_recipe(content):
        return _load_by_recipe(content, path=path, data_root=data_root)
    if is_nnunet(content):
        return read_nnunet(content, root)
    if is_msd(content):
        return read_msd(content, root)
    return _read_own(content, path=path)


def read_content(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds, unchecked.

    Raises:
        ManifestError: If the file cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ManifestError(f"manifest {path}: must be readable, got: {reason}", remedy="check the path") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise ManifestError(f"manifest {path}: must be JSON, got: {error}", remedy="fix that line") from error
    if not isinstance(content, dict):
        fact = f"manifest {path}: must be a JSON object, got {type(content).__name__}"
        raise ManifestError(fact, remedy="put the cases under its key training")
    return content


def _load_by_recipe(content: dict[str, Any], *, path: Path, data_root: Path | None) -> Manifest:
    try:
        recipe = parse_config(DatasetRecipe, content, source=f"recipe {path.name}")
    except ConfigError as error:
        raise ManifestError(error.fact, remedy=error.remedy) from error
    if data_root is None:
        fact = f"recipe {recipe.recipe}: needs a data root, the folder that holds {recipe.manifest}"
        raise ManifestError(fact, remedy="give that folder as the data root")
    own = with_validation(with_slashes(read_content(recipe_manifest_path(recipe, data_root)), data_root))
    return read_msd(own, data_root) if is_msd(own) else _read_own(own, path=data_root / recipe.manifest)


def _read_own(content: dict[str, Any], *, path: Path) -> Manifest:
    try:
        document = ManifestDocument.model_validate(with_own_keys(content))
    except ValidationError as error:
        problems = describe_problems(ManifestDocument, error)
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ManifestError(f"manifest {path}: " + "; ".join(problems[:5]) + more) from error
    return to_manifest(document)


def check_manifest(manifest: Manifest) -> None:
    """Check all rules of a manifest.

    Raises:
        ManifestError: If it breaks a rule; the first is named.
    """
    check_names(manifest)
    check_patients(manifest)


def check_names(manifest: Manifest) -> None:
    """Check the rules on labels, case ids and paths, and none on patients.

    Raises:
        ManifestError: If it breaks a rule; the first is named.
    """
    name = manifest.name
    if not manifest.cases:
        raise ManifestError(f"manifest {name}: must list at least one case, got none", remedy="check the folder")
    if manifest.labels.get("background") != 0:
        fact = f"manifest {name}: label 'background' must be 0, got {manifest.labels.get('background')}"
        raise ManifestError(fact, remedy="name the value 0 background")
    repeated = [value for value, count in Counter(manifest.labels.values()).items() if count > 1]
    if repeated or min(manifest.labels.values()) < 0:
        fact = f"manifest {name}: label values must be different and not negative, got {manifest.labels}"
        raise ManifestError(fact, remedy="renumber the labels, in the files too")
    if max(manifest.labels.values()) > 65535:
        fact = f"manifest {name}: label values must be at most 65535, got {max(manifest.labels.values())}"
        raise ManifestError(fact, remedy="renumber the labels, in the files too")
    if manifest.instances and len(manifest.foreground) != 1:
        fact = f"manifest {name}: instances need exactly one foreground label, got {manifest.foreground}"
        raise ManifestError(fact, remedy="list one label beside the background, or leave instances out")
    check_regions(manifest)
    check_raters(manifest)
    check_quantities(manifest)
    check_study_classes(manifest)
    duplicates = [case_id for case_id, count in Counter(case.case_id for case in manifest.cases).items() if count > 1]
    if duplicates:
        raise ManifestError(
            f"manifest {name}: case_id must be unique, got {duplicates[0]!r} twice", remedy="rename one"
        )
    for case in manifest.cases:
        if not is_safe_name(case.case_id):
            raise ManifestError(
                f"case {case.case_id!r}: case_id must be usable as a file name", remedy="rename it"
            )  # quoted, since it may hold anything
        for relative in (*case.images, *case.label_files, *(case.quantities or {}).values()):
            if (
                _DRIVE.match(relative)
                or relative.startswith("/")
                or (".." in relative and ".." in Path(relative).parts)
            ):
                raise ManifestError(
                    "paths must stay under the data root, got one that leaves it",
                    remedy="give the folder above all files as the data root, and paths relative to it",
                    case_id=case.case_id,
                )
