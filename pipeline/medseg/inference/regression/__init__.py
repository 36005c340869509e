"""Values of quantities out of networks, on the scans' own grids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medseg.lazy import lazy_names

if TYPE_CHECKING:
    from medseg.inference.regression.card import (
        QuantityCard,
        is_quantity_model,
        load_quantity_card,
        save_quantity_card,
    )
    from medseg.inference.regression.predict_cases import PredictedCases, check_value_folder, predict_values
    from medseg.inference.regression.predictor import ValueModel, ValuePredictor
    from medseg.inference.regression.record import ValueRecord, is_quantity_folder, load_value_record
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "PredictedCases": "predict_cases",
            "QuantityCard": "card",
            "ValueModel": "predictor",
            "ValuePredictor": "predictor",
            "ValueRecord": "record",
            "check_value_folder": "predict_cases",
            "is_quantity_folder": "record",
            "is_quantity_model": "card",
            "load_quantity_card": "card",
            "load_value_record": "record",
            "predict_values": "predict_cases",
            "save_quantity_card": "card",
        },
    )

__all__ = [
    "PredictedCases",
    "QuantityCard",
    "ValueModel",
    "ValuePredictor",
    "ValueRecord",
    "check_value_folder",
    "is_quantity_folder",
    "is_quantity_model",
    "load_quantity_card",
    "load_value_record",
    "predict_values",
    "save_quantity_card",
]
