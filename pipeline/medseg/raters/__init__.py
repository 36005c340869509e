"""One label out of those of several raters: by majority, or by how reliable each rater turns out to be."""

from __future__ import annotations

from medseg.raters.fuse import FUSIONS, Fusion, fuse
from medseg.raters.staple import staple
from medseg.raters.votes import majority

__all__ = ["FUSIONS", "Fusion", "fuse", "majority", "staple"]
