"""MONAI's surface metrics without what they say about themselves."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_monai() -> Iterator[None]:
    """Keep back MONAI 1.6's warning that it calls a function of its own with an argument that will go."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*always_return_as_numpy", category=FutureWarning)
        yield
