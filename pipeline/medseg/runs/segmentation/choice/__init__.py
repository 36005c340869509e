"""The choice of a model by what cross-validation has shown."""

from __future__ import annotations

from medseg.runs.segmentation.choice.choose import ChoiceResult, ChooseSettings, choose_model

__all__ = ["ChoiceResult", "ChooseSettings", "choose_model"]
