"""Flags that the models' cards do not suffice for."""

from __future__ import annotations

from medseg.configuration import Config
from medseg.inference.flag_record import FlagKind


class UncheckedRecord(Config):
    """What a model's card lacks, and the flags that were computed without this model for it, or not at all.

    Attributes:
        model: Number of the model, from 1, in the order of `models`.
        kinds: Kinds of flags.
        reason: What is missing and what follows, in one sentence.
    """

    model: int
    kinds: tuple[FlagKind, ...]
    reason: str
