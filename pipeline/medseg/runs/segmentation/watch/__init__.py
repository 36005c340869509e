"""A folder in which scans arrive, and the masks that are drawn of them."""

from __future__ import annotations

from medseg.runs.segmentation.watch.watch import LOOK, Batch, WatchSettings, watch_folder

__all__ = ["LOOK", "Batch", "WatchSettings", "watch_folder"]
