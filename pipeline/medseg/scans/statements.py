"""What a file says in words and numbers, as a reader finds it."""

from __future__ import annotations

from dataclasses import dataclass

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """The statements of a file that holds no voxels, or those of its header.

    Attributes:
        library: Name and version of the library that read the file, such as `pydicom 3.0.2`.
        values: Each value by what it is of and what it is, such as `("segment 2", "volume_ml")`. Fields that are blank
            are left out.
    """

    library: str
    values: dict[Key, str | float]
