"""Write a split: the new version of the manifest, what it came from, and how even it is."""

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
from medseg.split.picture import save_picture
from medseg.split.split import SplitResult


class SplitFiles(NamedTuple):
    """What was written.

    Attributes:
        manifest: The new version.
        record: The settings, the balance and the digests as JSON.
        picture: The balance as PNG.
        previous: The version before, where the new one took its name.
    """

    manifest: Path
    record: Path
    picture: Path
    previous: Path | None


def check_target(source: ManifestFile, out: Path | None, *, force: bool) -> Path:
    """Where the new version will be written: over the manifest, or to `out`.

    Raises:
        ConfigError: If the manifest is in another form or its folder is read-only and `out` is not given, or `out` is
            another file that exists.
    """
    target = source.path if out is None else out
    is_source = _is_same(target, source.path)
    if target.exists() and not (is_source or force):
        raise ConfigError(f"--out {target} must be a new file; choose another name, or give --force to replace it")
    if is_source and not source.is_own:
        raise ConfigError(
            f"manifest {source.path.name}: must be in medseg's own form to hold folds, got a Decathlon or nnU-Net "
            "dataset.json or a recipe; give --out, a new file for the manifest with folds"
        )
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"folder {folder} must be writable to hold {target.name}, got a read-only one; give --out")
    return target


def save_split(
    result: SplitResult,
    source: ManifestFile,
    target: Path,
    *,
    config: SplitConfig,
    failures: Sequence[Failure] = (),
) -> SplitFiles:
    """Write the manifest with its folds, `split.json` and `split.png`; a killed write leaves the old manifest.

    A manifest that is replaced stays beside the new one as `dataset.v<version>.json`.

    Args:
        result: The split.
        source: What was split, as it was read.
        target: From `check_target`.
        config: Settings to record.
        failures: Cases whose labels could not be read.

    Raises:
        DeliveryError: If a file cannot be written, or the previous version's name is taken by another file.
    """
    stem = "" if target.name == "dataset.json" else f"{target.stem}."
    record, picture = (target.with_name(f"{stem}split.{ending}") for ending in ("json", "png"))
    previous = _keep_previous(source) if _is_same(target, source.path) else None
    manifest = result.manifest
    save_picture(result.balance, picture, title=f"{manifest.name}, version {manifest.version}, seed {config.seed}")
    write_json(record, _record(result, source, config, failures))
    save_manifest(manifest, target)
    return SplitFiles(target, record, picture, previous)


def _is_same(target: Path, source: Path) -> bool:
    return target.exists() and target.samefile(source)


def _keep_previous(source: ManifestFile) -> Path:
    """Copy the manifest's bytes to a name with its version."""
    version = "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in source.manifest.version)
    previous = source.path.with_name(f"{source.path.stem}.v{version}{source.path.suffix}")
    content = source.path.read_bytes()
    if previous.exists() and previous.read_bytes() != content:
        raise DeliveryError(
            f"{previous.name}: must be free to keep the previous version, got another file of that name; move it away"
        )
    with atomic_path(previous) as temporary:
        temporary.write_bytes(content)
    return previous


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
        "failures": [asdict(failure) for failure in failures],
    }
