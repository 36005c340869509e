"""Private elements of scanner makers, whose place depends on a block that each file reserves."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_BLOCKS = range(0x10, 0x18)
_BINARY = {"FD": "d", "FL": "f", "US": "H"}


class PrivateElement(NamedTuple):
    """Place and type of a private element.

    Attributes:
        group: Group number, odd.
        creator: Text that reserves the block.
        element: Last two digits of the element number.
        kind: Value representation, for files that do not store it.
    """

    group: int
    creator: str
    element: int
    kind: str

    def tags(self) -> Iterator[int]:
        """Tags that a file may hold the element and its creator under."""
        for block in _BLOCKS:
            yield self.group << 16 | block
            yield self.group << 16 | block << 8 | self.element


def private_value(header: Dataset, wanted: PrivateElement) -> Any:
    """Value of a private element, by the block that its creator reserves; None without it.

    Some anonymisers remove the creators: then the element is taken from the first block.
    """
    creators = {block: _text(header, wanted.group << 16 | block) for block in _BLOCKS}
    named = [block for block, creator in creators.items() if creator.upper() == wanted.creator.upper()]
    if not named and any(creators.values()):
        return None
    element = header.get(wanted.group << 16 | (named[0] if named else _BLOCKS[0]) << 8 | wanted.element)
    return None if element is None else element.value


def _text(header: Dataset, tag: int) -> str:
    """Value of a private element as text; "" without it."""
    element = header.get(tag)
    value = "" if element is None else element.value
    return value.decode("ascii", "replace").strip(" \0") if isinstance(value, bytes) else str(value).strip(" \0")


def private_numbers(header: Dataset, wanted: PrivateElement) -> tuple[float, ...]:
    """Values of a private element as numbers, also where the file lost their type; empty without them."""
    value = private_value(header, wanted)
    if value is None or value == "":
        return ()
    try:
        if isinstance(value, bytes):
            found = _from_bytes(value, wanted.kind)
        else:
            parts = value if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
            found = tuple(float(part) for part in parts)
    except (TypeError, ValueError, struct.error):
        return ()
    return found if all(math.isfinite(part) for part in found) else ()


def _from_bytes(value: bytes, kind: str) -> tuple[float, ...]:
    if kind in _BINARY:
        size = struct.calcsize(_BINARY[kind])
        return tuple(float(one) for one in struct.unpack(f"<{len(value) // size}{_BINARY[kind]}", value))
    return tuple(float(part) for part in value.decode("ascii").strip(" \0").split("\\") if part.strip())
