from __future__ import annotations

import pytest
from medseg.manifest import mixed_channels
from medseg.records import Case

from tests.manifest.datasets import manifest_of


def cases(*modalities: str | None) -> list[Case]:
    return [
        Case(case_id=f"c{number}", patient_id=f"p{number}", images=(f"{number}.nii.gz",), modality=modality)
        for number, modality in enumerate(modalities)
    ]


def test_modalities_of_one_channel_are_counted_most_first() -> None:
    (mixed,) = mixed_channels(manifest_of(cases("CT", "MR", "CT", None)))
    assert mixed.cases == {"CT": 2, "MR": 1}
    assert "must be of one modality, got CT in 2 case(s), MR in 1 case(s); ingest again" in mixed.message


@pytest.mark.parametrize("modalities", [("CT", "CT"), (None, None), ("CT", None), ("CR", "DX"), ("MR", "MRI")])
def test_one_modality_or_none_is_no_mixture(modalities: tuple[str | None, ...]) -> None:
    assert mixed_channels(manifest_of(cases(*modalities))) == []


def test_channels_of_two_modalities_are_no_mixture() -> None:
    manifest = manifest_of(cases("CT+PT", "CT+PT")).model_copy(update={"channels": ("CT", "PET")})
    assert mixed_channels(manifest) == []
