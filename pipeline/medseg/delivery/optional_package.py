"""Packages that only some deliveries need."""

from __future__ import annotations

import importlib
from typing import Any

from medseg.errors import DeliveryError


def optional_package(name: str, *, form: str) -> Any:
    """Load a package, and refuse a form before any work where it is missing.

    Args:
        name: Name of the module, which is that of its package.
        form: What needs it.

    Returns:
        The module.

    Raises:
        DeliveryError: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise DeliveryError(
            f"{form}: the package {name} must be installed, got: no module {error.name}",
            remedy=f"install it with pip install {name}, or leave {form} out",
        ) from error
