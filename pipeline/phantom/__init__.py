"""Made-up patients for the demo and the tests; nothing in them comes from a person."""

from __future__ import annotations

from pipeline.phantom.anatomy import LABELS, Anatomy
from pipeline.phantom.cohort import write_cohort
from pipeline.phantom.scanner import SCANNERS, Scanner, image_anatomy

__all__ = ["LABELS", "SCANNERS", "Anatomy", "Scanner", "image_anatomy", "write_cohort"]
