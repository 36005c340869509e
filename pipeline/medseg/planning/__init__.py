"""Planning: from a fingerprint of the scans to every setting of the stages below, with a reason for each."""

from __future__ import annotations

from medseg.planning.classification import SliceChoices, SlicePlan, make_slice_plan
from medseg.planning.fingerprint import CaseFingerprint, Fingerprint, take_fingerprint
from medseg.planning.plan import Plan, load_plan, load_plan_of, override_plan, plan_digest, save_plan
from medseg.planning.segmentation import make_plan
from medseg.planning.sides import check_mirroring

__all__ = [
    "CaseFingerprint",
    "Fingerprint",
    "Plan",
    "SliceChoices",
    "SlicePlan",
    "check_mirroring",
    "load_plan",
    "load_plan_of",
    "make_plan",
    "make_slice_plan",
    "override_plan",
    "plan_digest",
    "save_plan",
    "take_fingerprint",
]
