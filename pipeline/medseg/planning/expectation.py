"""What a plan is expected to reach and to need, so that it can be held against what came."""

from __future__ import annotations

from pydantic import Field

from medseg.configuration import Config


class Outlook(Config):
    """What another budget would buy.

    Attributes:
        budget: Wall clock, such as `20m`.
        spacing_mm: Voxel size of the network's grid; None for pictures.
        steps: Steps of the training.
        views_per_scan: How often each part of a scan is seen.
        batch_size: Patches of a step.
        shortfall: Dice that is expected to be lost to the grid and to what is not yet learned; None for pictures, for
            which no rule is measured.
    """

    budget: str
    spacing_mm: tuple[float, float, float] | None
    steps: int
    views_per_scan: float
    batch_size: int | None = None
    shortfall: float | None = None


class Expectation(Config):
    """What a plan is expected to need and to give on the machine that it was made on.

    Attributes:
        device: Name of the device.
        seconds: Wall clock of the steps and validations; the whole budget where one is given.
        steps: Steps of the training.
        step_seconds: Seconds of a step, measured.
        memory_bytes: Peak memory of the training: of the process on a CPU, of the device on a GPU.
        views_per_scan: How often each part of a scan is seen.
        ceiling: Dice of each label that is taken to the network's grid and back, without a network in between.
        shortfall: Dice that is expected to be lost to the grid and to what is not yet learned; None where it is not
            estimated.
        outlook: What more time would buy.
    """

    device: str
    seconds: float
    steps: int
    step_seconds: float
    memory_bytes: int
    views_per_scan: float
    ceiling: dict[str, float] = Field(default_factory=dict)
    shortfall: float | None = None
    outlook: tuple[Outlook, ...] = ()
