"""Planning: from a fingerprint of the scans to every setting of the stages below, with a reason for each."""

from __future__ import annotations

from medseg.planning.ceiling import GridCeiling
from medseg.planning.classification import SliceChoices, SlicePlan, make_slice_plan
from medseg.planning.fingerprint import CaseFingerprint, Fingerprint, take_fingerprint
from medseg.planning.low_ceilings import low_ceilings
from medseg.planning.network_choice import NetworkName
from medseg.planning.plan import Plan, load_plan, load_plan_of, override_plan, plan_digest, save_plan
from medseg.planning.presets import PresetName
from medseg.planning.profile import DatasetProfile, LabelProfile
from medseg.planning.quantity_fingerprint import QuantityFingerprint, take_quantity_fingerprint
from medseg.planning.regression import RegressionPlan, check_quantity_plan, make_regression_plan
from medseg.planning.segmentation import make_plan
from medseg.planning.sides import check_mirroring
from medseg.planning.spending import Spending
from medseg.planning.step_cost import StepCost
from medseg.planning.structures import LabelStructures, take_structures

__all__ = [
    "CaseFingerprint",
    "DatasetProfile",
    "Fingerprint",
    "GridCeiling",
    "LabelProfile",
    "LabelStructures",
    "NetworkName",
    "Plan",
    "PresetName",
    "QuantityFingerprint",
    "RegressionPlan",
    "SliceChoices",
    "SlicePlan",
    "Spending",
    "StepCost",
    "check_mirroring",
    "check_quantity_plan",
    "load_plan",
    "load_plan_of",
    "low_ceilings",
    "make_plan",
    "make_regression_plan",
    "make_slice_plan",
    "override_plan",
    "plan_digest",
    "save_plan",
    "take_fingerprint",
    "take_quantity_fingerprint",
    "take_structures",
]
