"""Files of a split: the new version of the manifest, the previous one, and a record."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from medseg.atomic import atomic_path, write_json
from medseg.errors import ConfigError, DeliveryError
from medseg.manifest.digest import manifest_digest
from medseg.manifest.load import ManifestFile
from medseg.manifest.save import save_manifest
from medseg.records import Failure
from medseg.split.config import SplitConfig
from medseg.split.split import SplitResult


class SplitFiles(NamedTuple):
    """The files that were written.

    Attributes:
        manifest: New version of the manifest.
        record: Settings, balance and digests as JSON.
        previous: Previous version, if the new one took its name.
    """

    manifest: Path
    record: Path
    previous: Path | None


def check_target(source: ManifestFile, out: Path | None, *, force: bool) -> Path:
    """The file of the new version: the manifest itself, or `out`.

    Raises:
        ConfigError: If the manifest is in another form or its folder is read-only and `out` is not given, or `out` is
            another file that exists.
        DeliveryError: If the name for the previous version is taken by another file.
    """
    target = source.path if out is None else out
    is_source = _is_same(target, source.path)
    if target.exists() and not (is_source or force):
        raise ConfigError(
            f"output {target} must be a new file", remedy="choose another name, or use the option force to replace it"
        )
    if is_source and not source.is_own:
        raise ConfigError(
            f"manifest {source.path.name}: must be in medseg's own form to hold folds, got a Decathlon or nnU-Net "
            "dataset.json or a recipe",
            remedy="name a new file as the output, for the manifest with folds",
        )
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    if not os.access(folder, os.W_OK):
        raise ConfigError(
            f"folder {folder} must be writable to hold {target.name}, got a read-only one",
            remedy="name a file in another folder as the output",
        )
    if is_source:
        _check_free(_previous_path(source), source)
    return target


def record_path(target: Path) -> Path:
    """File of the record beside the new manifest: `split.json`, or `NAME.split.json` beside a manifest `NAME.json`."""
    return target.with_name("split.json" if target.name == "dataset.json" else f"{target.stem}.split.json")


def save_split(
    result: SplitResult,
    source: ManifestFile,
    target: Path,
    *,
    config: SplitConfig,
    failures: Sequence[Failure] = (),
) -> SplitFiles:
    """Write the manifest with its folds after everything else, so that a killed write leaves the old manifest.

    A manifest that is replaced is kept beside the new one as `dataset.v<version>.json`.

    Args:
        result: Split to write.
        source: Manifest that was split, as it was read.
        target: Target file, from `check_target`.
        config: Settings of the split, for the record.
        failures: Cases with labels that could not be read, for the record.

    Raises:
        DeliveryError: If a file cannot be written, or the name for the previous version is taken by another file.
    """
    record = record_path(target)
    previous = keep_previous(source) if _is_same(target, source.path) else None
    write_json(record, _record(result, source, config, failures))
    save_manifest(result.manifest, target)
    return SplitFiles(target, record, previous)


def _is_same(target: Path, source: Path) -> bool:
    return target.exists() and target.samefile(source)


def keep_previous(source: ManifestFile) -> Path:
    """Copy a manifest that is about to be replaced to a name with its version, `dataset.v<version>.json`.

    Raises:
        DeliveryError: If another file has that name, or it cannot be written.
    """
    previous = _previous_path(source)
    _check_free(previous, source)
    with atomic_path(previous) as temporary:
        temporary.write_bytes(source.path.read_bytes())
    return previous


def _previous_path(source: ManifestFile) -> Path:
    version = "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in source.manifest.version)
    return source.path.with_name(f"{source.path.stem}.v{version}{source.path.suffix}")


def _check_free(previous: Path, source: ManifestFile) -> None:
    """Refuse to overwrite a file that is not a copy of the manifest."""
    if previous.exists() and previous.read_bytes() != source.path.read_bytes():
        raise DeliveryError(
            f"{previous.name}: must be free to keep the previous version, got another file of that name",
            remedy="move it away",
        )


def _record(
    result: SplitResult, source: ManifestFile, config: SplitConfig, failures: Sequence[Failure]
) -> dict[str, object]:
    return {
        "manifest": result.manifest.name,
        "version": result.manifest.version,
        "digest": manifest_digest(result.manifest),
        "source_version": source.manifest.version,
        "source_digest": manifest_digest(source.manifest),
        "options": config.model_dump(mode="json"),
        "balance": asdict(result.balance),
        "warnings": list(result.warnings),
        "failures": [failure.row for failure in failures],
    }
