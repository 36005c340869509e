"""The refusal of models with a head where their classes would be lost."""

from __future__ import annotations

from medseg.errors import ConfigError
from medseg.inference.segmentation.head.card import HeadCard


def refuse_head(head: HeadCard | None, what: str) -> None:
    """Refuse a model with a head.

    Args:
        head: Head of the model; None for masks alone.
        what: What was asked for, as a noun.

    Raises:
        ConfigError: If there is one.
    """
    if head is not None:
        raise ConfigError(
            f"{what} must be of models of masks alone, got one with a head of {len(head.classes)} class(es) per "
            f"{head.level}",
            remedy="draw masks and classes by predict, or train without a head",
        )
