"""Labels that name a side of the body forbid flips that would swap it."""

from __future__ import annotations

import re

from medseg.errors import ConfigError
from medseg.planning.plan import Plan
from medseg.records import Manifest

_SIDES = re.compile(r"left|right|links|rechts|gauche|droite?|[lr][ht]?", re.IGNORECASE)
_WORDS = re.compile(r"[A-Z]?[a-z]+\d*|[A-Z]+(?![a-z])\d*")


def names_a_side(label: str) -> bool:
    """Whether a label's name holds a word for left or right: `kidney_left`, `LeftLung`, `lh_cortex`, `femur R`."""
    words = _WORDS.findall(label)
    return any(_SIDES.fullmatch(word) for word in words) or label.lower().startswith(("left", "right"))


def check_mirroring(plan: Plan, manifest: Manifest) -> None:
    """Refuse a plan that flips left and right although labels name a side.

    Raises:
        ConfigError: If labels name a side and the plan flips along left and right, or along any axis of a 2D image,
            which may lie any way.
    """
    sided = [name for name in (*manifest.foreground, *(manifest.regions or ())) if names_a_side(name)]
    is_2d = plan.network.spatial_dims == 2
    codes = plan.preprocess.axcodes or "RAS"
    forbidden = {axis for axis, code in enumerate(codes) if is_2d or code in "RL"}
    for name, axes in (
        ("inference", plan.inference.mirror_axes),
        ("training.augment", plan.training.augment.mirror_axes),
    ):
        if sided and forbidden & set(axes):
            raise ConfigError(
                f"plan: {name}.mirror_axes must not flip left and right, got {list(axes)} with labels "
                f"{', '.join(sided)}",
                remedy="leave the axis out",
            )
