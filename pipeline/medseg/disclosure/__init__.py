"""What the pixels of an image disclose about a patient although its header is gone: text, and a face."""

from __future__ import annotations

from medseg.disclosure.head import shows_head
from medseg.disclosure.risks import MESSAGES, RiskKind, seen_risks
from medseg.disclosure.text import shows_text

__all__ = ["MESSAGES", "RiskKind", "seen_risks", "shows_head", "shows_text"]
