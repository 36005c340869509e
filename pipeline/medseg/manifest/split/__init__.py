"""Patient-grouped, stratified folds and test sets, and how even they are."""

from __future__ import annotations

from medseg.manifest.split.audited import check_audited
from medseg.manifest.split.balance import Balance, BalanceRow
from medseg.manifest.split.config import FEATURES, Feature, SplitConfig
from medseg.manifest.split.label_volumes import Measured, cases_to_measure, measure_labels
from medseg.manifest.split.picture import save_picture
from medseg.manifest.split.refuse import check_splittable
from medseg.manifest.split.save import SplitFiles, check_target, save_split
from medseg.manifest.split.split import SplitResult, split_manifest
from medseg.manifest.split.table import format_balance
from medseg.manifest.split.version import next_version

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
    "measure_labels",
    "next_version",
    "save_picture",
    "save_split",
    "split_manifest",
]
