"""Models of which each case is drawn by those that were not trained on its patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from medseg.errors import ScanError
from medseg.inference.model_identity import ModelIdentity
from medseg.inference.segmentation.ensemble import Ensemble, check_heads
from medseg.inference.segmentation.mask_model import MaskModel, PreparedMask
from medseg.inference.slab import Slab
from medseg.records import Scan
from medseg.targets import VoxelTarget

if TYPE_CHECKING:
    import torch

    from medseg.inference.segmentation.head.card import HeadCard
    from medseg.inference.segmentation.postprocess import Postprocessing
    from medseg.inference.segmentation.quality.statistics import TrainingStatistics


class OutOfFold:
    """Networks of all folds, each of which draws the cases that it has not seen; a case that none has seen, all draw.

    Args:
        members: Loaded models.
        patients: Patient of each case of the dataset; a case without one counts as a patient.

    Raises:
        ConfigError: If the models do not fit each other.
    """

    def __init__(self, members: Sequence[MaskModel], patients: Mapping[str, str]) -> None:
        self.members = tuple(members)
        self._patients = patients
        self._seen = [{self._patient_of(case_id) for case_id in member.seen_cases} for member in members]
        every = tuple(range(len(self.members)))
        self._all: MaskModel = Ensemble(self.members) if len(every) > 1 else self.members[0]
        self._parts: dict[tuple[int, ...], MaskModel] = {every: self._all}

    def places_for(self, case_id: str) -> tuple[int, ...]:
        """Places of the members that draw a case."""
        patient = self._patient_of(case_id)
        return tuple(place for place, seen in enumerate(self._seen) if patient not in seen)

    def for_case(self, case_id: str) -> MaskModel:
        """The members that draw a case, as one model.

        Raises:
            ScanError: If every member was trained on its patient.
            ConfigError: If several members draw it, and one has a head.
        """
        places = self.places_for(case_id)
        if not places:
            raise ScanError(
                "a model must not have seen its patient in training, got none such",
                remedy="resume the training of the folds if one has no model, or predict it with all models, as "
                "predict does if nothing else is asked for",
                case_id=case_id,
            )
        check_heads([self.members[place] for place in places])
        if places not in self._parts:
            chosen = [self.members[place] for place in places]
            self._parts[places] = Ensemble(chosen) if len(chosen) > 1 else chosen[0]
        return self._parts[places]

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the image channels, in order."""
        return self._all.channels

    @property
    def labels(self) -> dict[str, int]:
        """Value of each label by name, the background included."""
        return self._all.labels

    @property
    def target(self) -> VoxelTarget:
        """Meaning of the values that masks are decided from."""
        return self._all.target

    @property
    def seen_cases(self) -> tuple[str, ...]:
        """Ids of the cases that some member was trained on."""
        return self._all.seen_cases

    @property
    def identities(self) -> tuple[ModelIdentity, ...]:
        """Model behind each network."""
        return self._all.identities

    @property
    def statistics(self) -> TrainingStatistics | None:
        """Statistics of the member with the most training cases."""
        return self._all.statistics

    @property
    def member_statistics(self) -> tuple[TrainingStatistics | None, ...]:
        """Statistics of each member's training."""
        return self._all.member_statistics

    @property
    def postprocessing(self) -> Postprocessing | None:
        """Rules that all members share."""
        return self._all.postprocessing

    @property
    def head(self) -> HeadCard | None:
        """Classes that the first network finds beside the mask; None for masks alone."""
        return self.members[0].head

    @property
    def device(self) -> torch.device:
        """Device of the networks."""
        return self._all.device

    def faster(self) -> OutOfFold:
        """The same members with less work per scan each."""
        return OutOfFold([member.faster() for member in self.members], self._patients)

    def prepare(self, scan: Scan, *, slab: Slab | None = None) -> PreparedMask:
        """Bring a scan of no case of the dataset onto the grid of every member."""
        return self._all.prepare(scan, slab=slab)

    def _patient_of(self, case_id: str) -> str:
        return self._patients.get(case_id, case_id)
