"""The network of a plan of any kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medseg.configuration import read_yaml
from medseg.networks.classification import ClassifierConfig
from medseg.networks.segmentation import AnyNetwork
from medseg.planning import SlicePlan, load_plan, load_plan_of

Networked = AnyNetwork | ClassifierConfig
_NAMES = {"unet": "UNet", "dynunet": "DynUNet", "segresnet": "SegResNet", "swinunetr": "SwinUNETR"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a plan of either kind says of its network.

    Attributes:
        dataset: Dataset that the plan was made for.
        config: Shape of the network.
        patch: Voxels or pixels that it is given at once.
        spacing_mm: Size of those voxels or pixels; None where every picture keeps its own.
        is_multilabel: Whether each class has a loss of its own.
    """

    dataset: str
    config: Networked
    patch: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    is_multilabel: bool = False

    @property
    def multiple(self) -> tuple[int, ...]:
        """Multiple that a patch must be, per axis."""
        return (1,) * len(self.patch) if isinstance(self.config, ClassifierConfig) else self.config.reduction

    @property
    def name(self) -> str:
        """Name of the network."""
        if isinstance(self.config, ClassifierConfig):
            return self.config.architecture
        name, axes, stages = _NAMES[self.config.kind], self.config.spatial_dims, len(self.config.widths)
        return f"{axes}D {name} of {stages} stages"


def load_subject(path: Path) -> Subject:
    """The network of a plan of either kind, or of a run's folder.

    Raises:
        ConfigError: If the plan is missing or broken.
    """
    path = path / "plan.yaml" if path.is_dir() else path
    if "slices" in read_yaml(path):
        slice_plan = load_plan_of(SlicePlan, path)
        pixel = slice_plan.slices.pixel_mm
        is_multilabel = slice_plan.targets.kind == "multilabel"
        return Subject(slice_plan.dataset, slice_plan.network, slice_plan.slices.size, (pixel, pixel), is_multilabel)
    plan = load_plan(path)
    axes = plan.network.spatial_dims
    spacing = plan.preprocess.spacing_mm
    return Subject(plan.dataset, plan.network, plan.training.patch_size[:axes], spacing[:axes] if spacing else None)
