"""Digests of the cases of a run, by which a later training knows them again: `cases.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from medseg.atomic import write_json
from medseg.configuration import Config, parse_config
from medseg.errors import CheckpointError, ConfigError
from medseg.preprocess.segmentation import StoredCase
from medseg.preprocess.segmentation.voxel_digest import label_digest


class CaseDigests(Config):
    """Voxels of a case.

    Attributes:
        image: SHA-256 of the scan's intensities; None where it was prepared by an earlier version.
        label: SHA-256 of the label's values.
    """

    image: str | None
    label: str

    def is_same(self, other: CaseDigests) -> bool:
        """Whether label and scan are those of another case; a scan whose digest is not known counts as the same."""
        is_known = self.image is not None and other.image is not None
        return self.label == other.label and (not is_known or self.image == other.image)


def digests_of(case: StoredCase) -> CaseDigests:
    """Digests of a prepared case; those of a label that an earlier version prepared are taken now."""
    facts = case.facts
    label = facts.label_sha256 if facts and facts.label_sha256 else label_digest(case.native_label())
    return CaseDigests(image=facts.image_sha256 if facts else None, label=label)


def save_digests(cases: Sequence[StoredCase], path: Path) -> None:
    """Write `cases.json`."""
    write_json(path, {case.case_id: digests_of(case).model_dump(mode="json") for case in cases})


def load_digests(path: Path) -> dict[str, CaseDigests] | None:
    """Read `cases.json`; None for a run of an earlier version, which has none.

    Raises:
        CheckpointError: If it is damaged.
    """
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {case_id: parse_config(CaseDigests, one, source=path.name) for case_id, one in content.items()}
    except (OSError, ValueError, AttributeError, ConfigError) as error:
        raise CheckpointError(
            f"run {path.parent}: {path.name} must be as medseg train wrote it, got: {error}",
            remedy=f"delete {path.name}: the cases are known by their ids then",
        ) from error
