"""Rules that a new plan must keep; runs of before may be resumed with plans that break them."""

from __future__ import annotations

from collections.abc import Iterator

from medseg.errors import ConfigError
from medseg.planning.plan import Plan

_LARGEST_WINDOW = 8  # sides of a training patch; norms and context of larger windows are not those it learned with
_LARGEST_FACTOR = 8


def check_edits(plan: Plan, *, source: str) -> None:
    """Refuse settings that would not do what they seem to.

    Args:
        plan: Plan of a new training, changed by hand perhaps.
        source: Origin of the plan, for the message.

    Raises:
        ConfigError: If a setting breaks a rule; the message names both.
    """
    broken = next(_broken_rules(plan), None)
    if broken is not None:
        raise ConfigError(f"{source}: {broken}")


def _broken_rules(plan: Plan) -> Iterator[str]:
    """Sentences, one for each broken rule."""
    is_2d = plan.network.spatial_dims == 2
    for name, axes in (
        ("inference.mirror_axes", plan.inference.mirror_axes),
        ("training.augment.mirror_axes", plan.training.augment.mirror_axes),
    ):
        if len(set(axes)) < len(axes):
            yield f"{name} must name each axis once, got {list(axes)}"
        if is_2d and max((-1, *axes)) > 1:
            yield f"{name} must be 0 or 1 for a 2D network, got {list(axes)}"
    sizes = zip(plan.inference.patch_size, plan.training.patch_size, strict=True)
    if any(window > _LARGEST_WINDOW * patch for window, patch in sizes):
        yield (
            f"inference.patch_size must be at most {_LARGEST_WINDOW} times training.patch_size along each axis, "
            f"{plan.training.patch_size}, got {plan.inference.patch_size}"
        )
    start = plan.training.coarse_start
    if start is not None and not 1 < max(start.factor) <= _LARGEST_FACTOR:
        yield f"training.coarse_start: the largest factor must be from 2 to {_LARGEST_FACTOR}, got {start.factor}"
    if start is not None and is_2d and start.factor[2] != 1:
        yield f"training.coarse_start.factor must end in 1 for a 2D network, got {start.factor}"
