"""Loops that Numba compiles to machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function on first use, and keep the machine code on disk where that is allowed."""
    try:
        return numba.njit(function, nogil=True, cache=True)  # type: ignore[no-any-return]
    except RuntimeError:  # no place to keep it: neither beside the function's file nor in the user's folder
        return numba.njit(function, nogil=True)  # type: ignore[no-any-return]
