"""PET by the name of its channel: one that is named for SUV holds SUV by body weight, any other what is stored."""

from __future__ import annotations

from medseg.ingest.structure_name import normalised


def is_suv(channel: str) -> bool:
    """Whether a channel is named for SUV, as `SUV` and `PET_SUV` are."""
    return "suv" in normalised(channel).split("_")


def named_for_suv(channel: str) -> str:
    """The name of a channel that holds SUV, so that a prediction from DICOM converts it, too."""
    if is_suv(channel):
        return channel
    return "SUV" if channel == "PT" else f"{channel} SUV"
