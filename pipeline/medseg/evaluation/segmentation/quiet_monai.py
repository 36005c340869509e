"""MONAI's surface metrics without a warning that only MONAI can act on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_monai() -> Iterator[None]:
    """Silence the warning of MONAI 1.6 that it calls its own function with a deprecated argument."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*always_return_as_numpy", category=FutureWarning)
        yield
