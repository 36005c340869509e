"""Names of label values that a dataset.json beside the masks gives."""

from __future__ import annotations

from pathlib import Path

from medseg.errors import PipelineError
from medseg.manifest.load import read_manifest


class ValueNames:
    """Looks up the nearest dataset.json above a mask, up to the source folder.

    Args:
        root: The source folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[Path, dict[int, str]] = {}

    def near(self, folder: Path) -> dict[int, str]:
        """Name by value; empty where no dataset.json tells."""
        if folder in self._known:
            return self._known[folder]
        names = self._read(folder)
        if not names and folder != self._root and self._root in folder.parents:
            names = self.near(folder.parent)
        self._known[folder] = names
        return names

    @staticmethod
    def _read(folder: Path) -> dict[int, str]:
        if not (folder / "dataset.json").is_file():
            return {}
        try:
            manifest = read_manifest(folder).manifest  # not checked: only names are taken, and warnings would quote it
        except PipelineError:
            return {}
        return {value: name for name, value in manifest.foreground.items()}
