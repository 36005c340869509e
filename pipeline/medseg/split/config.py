"""The settings of a split and their ranges."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medseg.configuration import Config

Feature = Literal["label", "volume", "site", "scanner", "modality"]
FEATURES: tuple[Feature, ...] = ("label", "volume", "site", "scanner", "modality")


class SplitConfig(Config):
    """Settings of a split.

    Attributes:
        folds: Number of validation folds.
        test: Share of the cases to hold out; 0 keeps the test set of the manifest.
        seed: Seed of the split; the same cases and seed give the same split.
        by: Features that are balanced.
        cases_are_patients: Whether each case of a manifest without patient ids is known to be a patient of its own.
        force: Whether existing folds may be replaced.
    """

    folds: Annotated[int, Field(ge=2)] = 5
    test: Annotated[float, Field(ge=0, lt=1)] = 0.0
    seed: Annotated[int, Field(ge=0)] = 0
    by: tuple[Feature, ...] = FEATURES
    cases_are_patients: bool = False
    force: bool = False
