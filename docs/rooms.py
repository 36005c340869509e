"""The rooms of medseg as the source tree has them: their order, their first lines and their public names.

Nothing is imported: the order is the import-linter contract in `pyproject.toml`, everything else is read out of the
source text.
"""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "pipeline"


@dataclass(frozen=True, slots=True)
class Module:
    """A module or a package of the library.

    Attributes:
        name: Dotted name, such as `medseg.evaluation.segmentation`.
        path: Its file; of a package, the `__init__.py`.
    """

    name: str
    path: Path

    @property
    def room(self) -> str:
        """Name of the room that it belongs to, such as `evaluation`."""
        return self.name.split(".")[1]

    @property
    def is_package(self) -> bool:
        """Whether it holds modules."""
        return self.path.name == "__init__.py"

    @property
    def first_line(self) -> str:
        """First line of its docstring."""
        return (ast.get_docstring(self._tree) or "").partition("\n")[0]

    @property
    def public_names(self) -> list[str]:
        """Names in its `__all__`; without one, the public classes, functions and constants that it defines."""
        defined = []
        for node in self._tree.body:
            if isinstance(node, ast.Assign) and any(getattr(one, "id", None) == "__all__" for one in node.targets):
                return list(ast.literal_eval(node.value))
            defined += _defined(node)
        return [name for name in defined if not name.startswith("_")]

    @property
    def parts(self) -> list[Module]:
        """The public packages and modules directly inside it."""
        if not self.is_package:
            return []
        inside = [find(f"{self.name}.{name}") for name in _names_in(self.path.parent)]
        return [part for part in inside if part is not None]

    @property
    def _tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))


def layers() -> list[list[str]]:
    """Names of the rooms from the top of the house to the ground, those on one level together."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (order,) = (contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers")
    return [[room.strip().removeprefix("medseg.") for room in level.split("|")] for level in order]


def rooms() -> list[Module]:
    """Every room, from the top of the house to the ground."""
    found = [find(f"medseg.{name}") for level in layers() for name in level]
    return [room for room in found if room is not None]


def find(name: str) -> Module | None:
    """The module of a dotted name; None if there is none."""
    path = SOURCE.joinpath(*name.split("."))
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return Module(name, candidate)
    return None


def _names_in(folder: Path) -> list[str]:
    packages = [entry.parent.name for entry in folder.glob("*/__init__.py")]
    modules = [entry.stem for entry in folder.glob("*.py")]
    return [name for name in sorted({*packages, *modules}) if not name.startswith("_")]


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []
