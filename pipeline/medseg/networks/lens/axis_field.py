"""The voxels of the image that the units of a feature map see, along one axis."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

from medseg.networks.lens.window import Window


@dataclass(frozen=True, slots=True)
class AxisField:
    """Receptive fields of a feature map's units along one axis.

    After convolutions and pooling every unit sees the same number of voxels, shifted by a jump from the unit before.
    After an upsampling neighbours differ: they repeat with a period, and the field of each unit of a period is kept.

    Attributes:
        firsts: First voxel that each unit of the first period sees; negative in the padding.
        lasts: Last voxel that each unit of the first period sees, itself included.
        advance: Voxels from one period to the next.
    """

    firsts: tuple[int, ...] = (0,)
    lasts: tuple[int, ...] = (0,)
    advance: int = 1

    @property
    def size(self) -> int:
        """Voxels from the first to the last that the widest unit sees."""
        return max(last - first for first, last in zip(self.firsts, self.lasts, strict=True)) + 1

    @property
    def smallest_size(self) -> int:
        """Voxels that the narrowest unit sees, first to last; fewer than `size` only behind an upsampling."""
        return min(last - first for first, last in zip(self.firsts, self.lasts, strict=True)) + 1

    @property
    def jump(self) -> Fraction:
        """Voxels of the image from one unit to the next."""
        return Fraction(self.advance, len(self.firsts))

    @property
    def start(self) -> int:
        """First voxel that unit 0 sees; negative if it lies in the padding."""
        return self.firsts[0]

    @property
    def centre(self) -> float:
        """Middle of the field of unit 0, in voxels from the centre of the first voxel."""
        return (self.firsts[0] + self.lasts[0]) / 2

    def interval(self, unit: int) -> tuple[int, int]:
        """First and last voxel that a unit sees in an image without ends."""
        period, phase = divmod(unit, len(self.firsts))
        shift = period * self.advance
        return self.firsts[phase] + shift, self.lasts[phase] + shift

    def through(self, window: Window) -> AxisField:
        """Fields behind a layer that is given these fields."""
        inputs = len(self.firsts) * window.up
        period = inputs // gcd(inputs, window.down)
        seen = [[self.interval(unit) for unit in window.taps(output)] for output in range(period)]
        return AxisField(
            firsts=tuple(min(first for first, _ in taps) for taps in seen),
            lasts=tuple(max(last for _, last in taps) for taps in seen),
            advance=period * window.down * self.advance // inputs,
        )

    def joined(self, other: AxisField) -> AxisField:
        """Fields of the sum or concatenation of two feature maps: from the lower to the upper end of both.

        Raises:
            ValueError: If the two differ in their jump.
        """
        if self.jump != other.jump:
            raise ValueError(f"feature maps to join must have one jump, got {self.jump} and {other.jump}")
        period = lcm(len(self.firsts), len(other.firsts))
        pairs = [(self.interval(unit), other.interval(unit)) for unit in range(period)]
        return AxisField(
            firsts=tuple(min(a[0], b[0]) for a, b in pairs),
            lasts=tuple(max(a[1], b[1]) for a, b in pairs),
            advance=int(period * self.jump),
        )
