"""Made-up cases and work on them, which other processes can import."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from medseg.errors import GeometryError, ScanError

Item = TypeVar("Item")
Result = TypeVar("Result")

CAUGHT: dict[str, Exception] = {
    "scan": ScanError("image must be whole, got half", remedy="export it again"),
    "grid": GeometryError("grids must agree, got two", remedy="register them", case_id="c7"),
    "memory": MemoryError(),
    "cuda": RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB\nand more"),
    "blosc": RuntimeError("Could not read the chunk"),
    "file": PermissionError(13, "Permission denied", "/export/DOE^JOHN/scan.nii.gz"),
}


@dataclass(frozen=True)
class Numbered:
    """A case that gives its number, or raises the error of that name."""

    case_id: str
    number: int
    error: str = ""


def double(case: Numbered) -> int:
    """Twice the number, or the case's error."""
    if case.error:
        raise CAUGHT[case.error]
    return 2 * case.number


def process_of(case: Numbered) -> int:
    """The process that works on the case."""
    return os.getpid()


def misspelt(case: Numbered) -> int:
    """A mistake in the code."""
    return {"number": case.number}["nmber"]


class Backwards:
    """An executor of somebody else's, as one for Ray would be: it ends with the first item."""

    def __repr__(self) -> str:
        return "Backwards()"

    def run(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Generator[tuple[int, Result], None, None]:
        for place in reversed(range(len(items))):
            yield place, work(items[place])
