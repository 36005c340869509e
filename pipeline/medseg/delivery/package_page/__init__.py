"""The page of a package of models."""

from __future__ import annotations

from medseg.delivery.package_page.page import package_page

__all__ = ["package_page"]
