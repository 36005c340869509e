"""A view into a network: the receptive fields of its units, their effective fields, and feature maps."""

from __future__ import annotations

from medseg.networks.lens.axis_field import AxisField
from medseg.networks.lens.effective_field import EffectiveField, effective_field, measured_support
from medseg.networks.lens.feature_maps import feature_maps
from medseg.networks.lens.patch_for import patch_for_structure
from medseg.networks.lens.receptive_field import (
    Field,
    Layer,
    LayerField,
    ReceptiveFields,
    derive_fields,
    receptive_fields,
)
from medseg.networks.lens.stage_table import Stage, stage_table
from medseg.networks.lens.window import Window
from medseg.networks.lens.without_skips import without_skips

__all__ = [
    "AxisField",
    "EffectiveField",
    "Field",
    "Layer",
    "LayerField",
    "ReceptiveFields",
    "Stage",
    "Window",
    "derive_fields",
    "effective_field",
    "feature_maps",
    "measured_support",
    "patch_for_structure",
    "receptive_fields",
    "stage_table",
    "without_skips",
]
