"""From predicted quantities to numbers."""

from __future__ import annotations

from medseg.evaluation.regression.contract import QuantityContract, load_quantity_contract
from medseg.evaluation.regression.dose_points import ComparedDose, dose_points, is_dose
from medseg.evaluation.regression.dvh import DoseVolumeHistogram, dvh
from medseg.evaluation.regression.evaluate_cases import (
    MeasuredQuantities,
    case_structures,
    evaluate_quantity_cases,
    find_map,
    read_map,
)
from medseg.evaluation.regression.gamma import Normalisation, gamma_pass_rate
from medseg.evaluation.regression.measure_case import measure_quantity
from medseg.evaluation.regression.metric_kinds import QuantityMetricKind, point_title, quantity_kind, unit_text
from medseg.evaluation.regression.quantity_metrics import quantity_metrics
from medseg.evaluation.regression.quantity_row import ALL, QuantityMetrics
from medseg.evaluation.regression.ranking import representative_volumes
from medseg.evaluation.regression.ssim import ssim
from medseg.evaluation.regression.summary import (
    QuantitiesSummary,
    QuantitySummary,
    scoped_quantity_metrics,
    shown,
    summarise_quantities,
    title_of,
    volume_quantity_metrics,
)
from medseg.evaluation.regression.tables import (
    quantity_columns,
    write_dose_curves,
    write_dose_points,
    write_quantity_metrics,
    write_quantity_summary,
)
from medseg.evaluation.regression.unknown import unknown_note, unknown_text

__all__ = [
    "ALL",
    "ComparedDose",
    "DoseVolumeHistogram",
    "MeasuredQuantities",
    "Normalisation",
    "QuantitiesSummary",
    "QuantityContract",
    "QuantityMetricKind",
    "QuantityMetrics",
    "QuantitySummary",
    "case_structures",
    "dose_points",
    "dvh",
    "evaluate_quantity_cases",
    "find_map",
    "gamma_pass_rate",
    "is_dose",
    "load_quantity_contract",
    "measure_quantity",
    "point_title",
    "quantity_columns",
    "quantity_kind",
    "quantity_metrics",
    "read_map",
    "representative_volumes",
    "scoped_quantity_metrics",
    "shown",
    "ssim",
    "summarise_quantities",
    "title_of",
    "unit_text",
    "unknown_note",
    "unknown_text",
    "volume_quantity_metrics",
    "write_dose_curves",
    "write_dose_points",
    "write_quantity_metrics",
    "write_quantity_summary",
]
