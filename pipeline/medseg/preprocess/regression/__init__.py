"""Cases with quantities in the store: image and values in single precision on the network's grid."""

from __future__ import annotations

from medseg.preprocess.regression.prepare import PreparedValues, prepare_values
from medseg.preprocess.regression.resample import resample_values
from medseg.preprocess.regression.stored_values import StoredValues

__all__ = ["PreparedValues", "StoredValues", "prepare_values", "resample_values"]
