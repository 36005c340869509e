"""Attempts at remedies: each provokes an error, carries its remedy out and tries again.

An attempt is a generator function that takes an empty folder and yields functions. The first must raise the error with
the remedy; what stands between the yields carries it out; every later one must succeed, one for each way that the
remedy offers. Remedies that nobody but a person can carry out are listed in `BY_A_PERSON`, each with the reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import medseg

Attempt = Callable[[Path], Iterator[Callable[[], object]]]
PACKAGE = Path(medseg.__file__).parent
_PLACEHOLDER = "{}"
_BY_PLACE = {"Refusal": 2, "Problem": 2, "Finding": 4}  # records that hold a remedy, and its place among their parts


class Remedy(NamedTuple):
    """A remedy as the source holds it: the file of its error, and the text with `{}` for each value."""

    file: str
    text: str

    def fits(self, text: str) -> bool:
        """Whether the remedy of an error is this one."""
        parts = [re.escape(part) for part in self.text.split(_PLACEHOLDER)]
        return re.fullmatch(".*".join(parts), text, re.DOTALL) is not None


ATTEMPTS: dict[Remedy, list[Attempt]] = {}
BY_A_PERSON: dict[Remedy, str] = {}
ROOMS: list[str] = []


def covers(*rooms: str) -> None:
    """Declare that every remedy of these files and folders of medseg is tried or listed."""
    ROOMS.extend(rooms)


def tries(file: str, *texts: str) -> Callable[[Attempt], Attempt]:
    """Register an attempt at one or more remedies of a file; a name of a test case is made of the first."""

    def register(attempt: Attempt) -> Attempt:
        for text in texts:
            ATTEMPTS.setdefault(Remedy(file, text), []).append(attempt)
        return attempt

    return register


def by_a_person(reason: str, file: str, *texts: str) -> None:
    """Register remedies that code cannot carry out."""
    for text in texts:
        BY_A_PERSON[Remedy(file, text)] = reason


def tried_elsewhere(test: str, word: str, file: str, *texts: str) -> None:
    """Register remedies that a test carries out which needs more than an attempt has.

    Args:
        test: File of that test, from the root of the repository.
        word: Word that is in the name of a test there.
        file: File of the errors.
        texts: Remedies of that file.
    """
    source = (Path(__file__).parents[2] / test).read_text(encoding="utf-8")
    if not re.search(rf"^def test_\w*{word}", source, re.MULTILINE):
        raise ValueError(f"{test} must have a test whose name holds {word!r}")
    for text in texts:
        BY_A_PERSON[Remedy(file, text)] = f"tried by {test}"


def remedies_of(*rooms: str) -> set[Remedy]:
    """Every remedy that the source of some files or folders names; one that is passed on counts where it is made."""
    found = set()
    for room in rooms:
        place = PACKAGE / room
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assigned = _assigned(tree)
            texts = {text for node in ast.walk(tree) for made in _made(node) for text in _texts(made, assigned)}
            found |= {Remedy(path.relative_to(PACKAGE).as_posix(), text) for text in texts}
    return found


def _made(node: ast.AST) -> list[ast.expr]:
    """The expression of a remedy that a piece of source makes: by keyword, by place or under the name `remedy`."""
    if isinstance(node, ast.keyword) and node.arg == "remedy":
        return [node.value]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _BY_PLACE:
        return node.args[_BY_PLACE[node.func.id] :][:1]
    if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == "remedy" for one in node.targets):
        return [node.value]
    return []


def _assigned(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """Expressions that are assigned to each name, module constants and local names alike."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    return found


def _texts(node: ast.expr, assigned: dict[str, list[ast.expr]]) -> list[str]:
    """The texts that an expression may give; none for one that is passed on."""
    if isinstance(node, ast.Constant):
        return [node.value] if node.value and isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else _PLACEHOLDER for part in node.values)]
    if isinstance(node, ast.IfExp):
        return _texts(node.body, assigned) + _texts(node.orelse, assigned)
    if isinstance(node, ast.Name):
        rest = {name: values for name, values in assigned.items() if name != node.id}
        return [text for value in assigned.get(node.id, ()) for text in _texts(value, rest)]
    return []
