"""Patient-grouped, stratified folds and test sets, and how even they are."""

from __future__ import annotations

from medseg.split.audited import check_audited
from medseg.split.balance import Balance, BalanceRow
from medseg.split.config import FEATURES, Feature, SplitConfig
from medseg.split.label_volumes import Measured, cases_to_measure, measure_labels
from medseg.split.refuse import check_splittable
from medseg.split.save import SplitFiles, check_target, keep_previous, record_path, save_split
from medseg.split.split import SplitResult, split_manifest
from medseg.split.table import format_balance

__all__ = [
    "FEATURES",
    "Balance",
    "BalanceRow",
    "Feature",
    "Measured",
    "SplitConfig",
    "SplitFiles",
    "SplitResult",
    "cases_to_measure",
    "check_audited",
    "check_splittable",
    "check_target",
    "format_balance",
    "keep_previous",
    "measure_labels",
    "record_path",
    "save_split",
    "split_manifest",
]
