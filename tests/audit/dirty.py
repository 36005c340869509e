"""A copy of the phantom cohort that tests may spoil."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from medseg.audit import Audit, DrawPlanes, Finding, audit_manifest, load_for_audit
from medseg.cohort import SERIAL
from medseg.geometry import Geometry
from medseg.scans import write_scan


class Dataset:
    """A dataset on disk; cases are named as in the phantom, such as `phantom_01_0`."""

    def __init__(self, source: Path, folder: Path) -> None:
        shutil.copytree(source, folder)
        self.folder = folder

    def audit(self, *, draw: DrawPlanes | None = None) -> Audit:
        loaded = load_for_audit(self.folder)
        return audit_manifest(loaded.manifest, loaded.root, known=loaded.findings, draw=draw, executor=SERIAL)

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "dataset.json").read_text())
        return content

    def change(self, **keys: Any) -> None:
        (self.folder / "dataset.json").write_text(json.dumps({**self.content, **keys}))

    def entry(self, case_id: str) -> dict[str, Any]:
        content = self.content
        found: dict[str, Any] = next(
            entry for entry in (*content["training"], *content["test"]) if entry["case_id"] == case_id
        )
        return found

    def set(self, case_id: str, /, **keys: Any) -> None:
        """Change keys of a case's entry; None takes a key away."""
        content = self.content
        for entry in (*content["training"], *content["test"]):
            if entry["case_id"] == case_id:
                entry.update(keys)
                for key in [key for key, value in keys.items() if value is None]:
                    del entry[key]
        self.change(training=content["training"], test=content["test"])

    def add(self, split: str = "training", **entry: Any) -> None:
        self.change(**{split: [*self.content[split], entry]})

    def keep(self, *case_ids: str) -> None:
        for split in ("training", "test"):
            self.change(**{split: [entry for entry in self.content[split] if entry["case_id"] in case_ids]})

    def image(self, case_id: str) -> Path:
        return self.folder / self.entry(case_id)["image"]

    def label(self, case_id: str) -> Path:
        return self.folder / self.entry(case_id)["label"]

    def edit_header(self, path: Path, edit: Callable[[nibabel.Nifti1Header], None]) -> None:
        """Change header fields and nothing else."""
        content = gzip.decompress(path.read_bytes())
        header = nibabel.Nifti1Header(content[:348])
        edit(header)
        path.write_bytes(gzip.compress(header.binaryblock + content[348:]))

    def edit_voxels(self, path: Path, edit: Callable[[np.ndarray], np.ndarray]) -> None:
        """Change voxels and keep the grid."""
        image = nibabel.load(path)
        write_scan(edit(np.asanyarray(image.dataobj).copy())[None], Geometry(image.shape[:3], image.affine), path)


def findings(audit: Audit, *, notes: bool = False) -> list[Finding]:
    """What was found, without notes if not asked for."""
    return [found for found in audit.findings if notes or found.severity != "note"]


def only(audit: Audit) -> Finding:
    """The only finding that is no note."""
    (found,) = findings(audit)
    return found
