"""Whether a file without voxels says what the mask, its labels and its scan say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from medseg.configuration import Config
from medseg.scans.statements import Key, Statements
from medseg.text import printable


class Number(NamedTuple):
    """An expected number.

    Attributes:
        value: The number.
        within: Largest difference that rounding explains.
    """

    value: float
    within: float


class Hidden(NamedTuple):
    """An expected text that identifies a patient or a study, and is therefore never quoted."""

    text: str


Expected = Mapping[Key, str | Number | Hidden]


class ComparedValues(Config):
    """Values of one kind that were compared.

    Attributes:
        what: What they are, such as `volume_ml`.
        count: How many there are.
        largest_difference: Largest difference between numbers; None for texts.
    """

    what: str
    count: int
    largest_difference: float | None = None


class CheckedContents(Config):
    """What a file says, as one library reads it.

    Attributes:
        library: Name and version of the library.
        is_passed: Whether the file says all that it must, and nothing else.
        reason: First thing that differs, in words; "" if nothing does.
        compared: Values that were compared, kind by kind.
    """

    library: str
    is_passed: bool
    reason: str
    compared: tuple[ComparedValues, ...] = ()


def check_contents(expected: Expected, found: Statements) -> CheckedContents:
    """Compare what a library reads with what the file must say.

    Args:
        expected: What the file must say.
        found: What the library reads.
    """
    reason = next(filter(None, (_difference(key, wanted, found) for key, wanted in expected.items())), "")
    surplus = next((key for key in found.values if key not in expected), None)
    if not reason and surplus is not None:
        reason = f"{surplus[0]}: the file has {surplus[1]}, which it must not have"
    compared = tuple(_compared(what, expected, found) for what in dict.fromkeys(what for _, what in expected))
    return CheckedContents(library=found.library, is_passed=not reason, reason=reason, compared=compared)


def _difference(key: Key, wanted: str | Number | Hidden, found: Statements) -> str:
    """How a value differs, in words; "" if it does not."""
    subject, what = key
    value = found.values.get(key)
    if value is None:
        return f"{subject}: the file has no {what}"
    match wanted:
        case Number():
            is_same, shown = _distance(wanted, value) <= wanted.within, f" {wanted.value:.8g}"
        case Hidden():
            return "" if _words(value) == _words(wanted.text) else f"{subject}: {what} is another one"
        case _:
            is_same, shown = _words(value) == _words(wanted), f" {wanted!r}"
    return "" if is_same else f"{subject}: {what} is {value!r} and not{shown}"


def _distance(wanted: Number, value: str | float) -> float:
    """Difference of two numbers; infinite if one is none."""
    try:
        distance = abs(float(value) - wanted.value)
    except ValueError:
        return math.inf
    return distance if math.isfinite(distance) else math.inf


def _compared(what: str, expected: Expected, found: Statements) -> ComparedValues:
    wanted = {key: value for key, value in expected.items() if key[1] == what}
    distances = [
        _distance(value, found.values[key])
        for key, value in wanted.items()
        if isinstance(value, Number) and key in found.values
    ]
    finite = [distance for distance in distances if math.isfinite(distance)]
    return ComparedValues(what=what, count=len(wanted), largest_difference=max(finite, default=None))


def _words(value: str | float) -> list[str]:
    """A text as people read it: forms differ in the kinds of space that they hold."""
    return printable(str(value)).split()
