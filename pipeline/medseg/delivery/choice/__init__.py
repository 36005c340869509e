"""The page of a choice: everything that was tried, with its difference and interval."""

from __future__ import annotations

from medseg.delivery.choice.page import ChoicePage, Scored, Step, TriedChoice, save_choice_page

__all__ = ["ChoicePage", "Scored", "Step", "TriedChoice", "save_choice_page"]
