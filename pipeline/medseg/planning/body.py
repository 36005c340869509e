"""Whether scans are cropped to the body."""

from __future__ import annotations

from dataclasses import replace

from medseg.planning.fingerprint import Fingerprint
from medseg.preprocess import BodyCrop

LEAST_SAVED = 0.25  # of the scans' voxels


def plan_body(fingerprint: Fingerprint, crop: BodyCrop, reasons: dict[str, str]) -> tuple[BodyCrop | None, Fingerprint]:
    """The crop, if it saves a notable share of the scans and cuts no label, and the fingerprint of what is left.

    Args:
        fingerprint: Fingerprint of the training cases.
        crop: Rule by which the bodies of the fingerprint were found.
        reasons: Reasons of the plan, to which that of the crop is added if there would be something to save.
    """
    share = None if fingerprint.is_2d else fingerprint.body_share()
    if share is None or share >= 1 - LEAST_SAVED:
        return None, fingerprint
    text = f"the body's box takes {share:.0%} of the training scans"
    cut = sum(case.labelled_outside > 0 for case in fingerprint.cases)
    if cut:
        reasons["preprocess.body"] = f"none: {text}, but in {cut} of them labels lie outside of it"
        return None, fingerprint
    reasons["preprocess.body"] = f"{text}; what is outside is not seen, and background in every mask"
    cases = tuple(replace(case, shape=case.body or case.shape) for case in fingerprint.cases)
    return crop, replace(fingerprint, cases=cases)


def body_rule(channels: tuple[str, ...]) -> BodyCrop:
    """The rule that finds bodies: above -500 HU in CT, elsewhere whatever is not one value that fills the corners."""
    return BodyCrop(above=tuple(-500.0 if name.strip().lower() == "ct" else None for name in channels))
