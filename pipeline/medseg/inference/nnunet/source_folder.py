"""A trained nnU-Net model folder: plans.json, dataset.json and a folder for each fold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.errors import CheckpointError
from medseg.networks.weights import weights_digest

_FOLD = "fold_"
_ALL = "all"
_SPLITS = "splits_final.json"


@dataclass(frozen=True, slots=True)
class SourceFolder:
    """What a model folder holds beside its checkpoints.

    Attributes:
        path: The folder.
        plans: Content of plans.json.
        dataset: Content of dataset.json.
    """

    path: Path
    plans: dict[str, Any]
    dataset: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> SourceFolder:
        """Read both files.

        Raises:
            CheckpointError: If one of them is missing or damaged.
        """
        return cls(path, _read(path / "plans.json"), _read(path / "dataset.json"))

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of plans.json and dataset.json, by the card's names."""
        return {
            "plans_digest": weights_digest(self.path / "plans.json"),
            "dataset_digest": weights_digest(self.path / "dataset.json"),
        }

    def folds(self, checkpoint: str, *, wanted: Sequence[str] | None = None) -> dict[str, Path]:
        """Checkpoint of each fold by its name, those with numbers first, as nnU-Net takes them.

        Args:
            checkpoint: Name of the checkpoints' files.
            wanted: Names of the folds; all numbered ones if not given, or the fold `all` where it is the only one.

        Raises:
            CheckpointError: If a wanted fold is missing, or there is none.
        """
        found = {
            path.parent.name.removeprefix(_FOLD): path for path in sorted(self.path.glob(f"{_FOLD}*/{checkpoint}"))
        }
        missing = [name for name in wanted or () if name not in found]
        if missing or not found:
            others = sorted({path.name for path in self.path.glob(f"{_FOLD}*/checkpoint_*.pth")})
            raise CheckpointError(
                f"model folder {self.path}: must have {checkpoint} in {_FOLD}{missing[0] if missing else 'N'}, "
                f"got the folds {', '.join(found) or 'none'} and the checkpoints {', '.join(others) or 'none'}",
                remedy="give folds and a checkpoint that it has, or copy the folder again, whole",
            )
        if wanted:
            return {name: found[name] for name in wanted}
        return {name: path for name, path in found.items() if name != _ALL} or found

    def trained_on(self, fold: str) -> tuple[str, ...]:
        """Ids of a fold's training cases by splits_final.json in the folder or above it; empty without that file."""
        for folder in (self.path, self.path.parent):
            if (folder / _SPLITS).is_file():
                splits = _read(folder / _SPLITS, kind=list)
                if fold == _ALL:
                    return tuple(sorted({case_id for split in splits for case_id in (*split["train"], *split["val"])}))
                return tuple(splits[int(fold)]["train"]) if int(fold) < len(splits) else ()
        return ()

    def earlier_stage(self, configuration: str, earlier: str) -> Path:
        """Where nnU-Net puts the model of a cascade's earlier stage: beside this one, named by its configuration."""
        start = self.path.resolve()
        return start.with_name(start.name.removesuffix(configuration) + earlier)


def _read(path: Path, *, kind: type = dict) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, kind):
            raise ValueError(f"{type(content).__name__}")  # one message for both
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"model folder {path.parent}: {path.name} must be readable, got: {error}",
            remedy="give the folder of a training of nnU-Net v2, which holds plans.json, dataset.json and fold_0",
        ) from error
    return content
