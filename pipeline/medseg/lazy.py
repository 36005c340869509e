"""Packages that import their names on first use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package that imports its modules on first use.

    Tables and settings in such a package can be read without loading torch. No name may be that of a module of the
    package: importing the module would put it in the name's place.

    Args:
        package: Name of the package: `__name__` in its `__init__.py`.
        homes: Module of the package in which each name is defined.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
