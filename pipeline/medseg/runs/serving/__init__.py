"""A lasting predictor: models that stay loaded and answer over HTTP."""

from __future__ import annotations

from medseg.runs.serving.server import Serving, open_server
from medseg.runs.serving.settings import ServeSettings

__all__ = ["ServeSettings", "Serving", "open_server"]
