"""medseg: from a manifest of hospital scans to masks on the clinicians' grid."""

from __future__ import annotations

__version__ = "0.1.0"
