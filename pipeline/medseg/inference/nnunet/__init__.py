"""Models that nnU-Net trained, as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medseg.lazy import lazy_names

if TYPE_CHECKING:
    from medseg.inference.nnunet.card import AdoptedCard, is_adopted, load_adopted_card
    from medseg.inference.nnunet.model import AdoptedModel, load_adopted
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "AdoptedCard": "card",
            "AdoptedModel": "model",
            "is_adopted": "card",
            "load_adopted": "model",
            "load_adopted_card": "card",
        },
    )

__all__ = ["AdoptedCard", "AdoptedModel", "is_adopted", "load_adopted", "load_adopted_card"]
