"""Labels, regions and the value of unannotated voxels, as nnU-Net lists them under one key."""

from __future__ import annotations

from typing import Any

from medseg.errors import ManifestError
from medseg.manifest.label_names import is_by_value, is_whole, read_labels

IGNORE = "ignore"
_ORDER_KEY = "regions_class_order"


def read_label_scheme(listed: Any, order: Any = None) -> dict[str, Any]:
    """Fields of a manifest from `labels`, of which some may be regions and one may be `ignore`.

    nnU-Net lists a region by its values, `{"whole": [1, 2], "core": [2]}`, and every other label of such a file, a
    single value, is a region too. Values then have no names of their own; they are called by the regions that they
    make up: `whole only`, `whole + core`.

    Args:
        listed: What stands under `labels`.
        order: What stands under `regions_class_order`.

    Returns:
        `labels`, and `regions`, `regions_order` and `ignore` where the file has them.

    Raises:
        ManifestError: If labels are none that `read_labels` reads, regions have no order, or `ignore` is not the
            highest value.
    """
    if not isinstance(listed, dict) or is_by_value(listed):
        labels = read_labels(listed)
        ignored = {"ignore": labels.pop(IGNORE)} if IGNORE in labels else {}
        return {"labels": labels, **ignored}
    plain = {name: value for name, value in listed.items() if name != IGNORE}
    scheme: dict[str, Any] = _of_regions(plain, order) if _has_regions(plain) else {"labels": read_labels(plain)}
    if IGNORE in listed:
        scheme["ignore"] = _ignored(listed[IGNORE], scheme)
    return scheme


def _has_regions(listed: dict[Any, Any]) -> bool:
    return any(isinstance(value, list) for value in listed.values())


def _ignored(value: Any, scheme: dict[str, Any]) -> int:
    """nnU-Net's value of unannotated voxels, which no region has and which is the highest of a file."""
    held = [name for name, values in scheme.get("regions", {}).items() if str(value) in map(str, values)]
    if held:
        raise ManifestError(
            f"label 'ignore' must not be a value of a region, got {value}, which region {held[0]!r} holds",
            remedy="take the value out of the region, or give unannotated voxels another one, in the files too",
        )
    highest = max(scheme["labels"].values())
    if not is_whole(str(value)) or int(value) <= highest:
        raise ManifestError(
            f"the value of label 'ignore' must be above those of all others, {highest}, got {value!r}",
            remedy="give voxels that nobody has annotated the next higher value, in the files too",
        )
    return int(value)


def _of_regions(listed: dict[Any, Any], order: Any) -> dict[str, Any]:
    regions = {str(name): _values(name, held) for name, held in listed.items() if held not in (0, "0", [0])}
    if not isinstance(order, list) or not all(is_whole(str(value)) for value in order):
        raise ManifestError(
            f"regions need {_ORDER_KEY}, a value for each of {list(regions)}, got {order!r}",
            remedy=f"list under {_ORDER_KEY} the value that each region writes, later ones over earlier ones",
        )
    values = sorted({value for held in regions.values() for value in held})
    labels = {"background": 0} | {value_name(value, regions): value for value in values}
    return {"labels": labels, "regions": regions, "regions_order": tuple(int(value) for value in order)}


def _values(name: Any, held: Any) -> tuple[int, ...]:
    values = held if isinstance(held, list) else [held]
    if not all(is_whole(str(value)) and not isinstance(value, bool) for value in values):
        raise ManifestError(
            f"region {name!r} must hold whole numbers, got {held!r}", remedy="list the values of the label files"
        )
    return tuple(int(value) for value in values)


def value_name(value: int, regions: dict[str, tuple[int, ...]]) -> str:
    """Name of a value by the regions that it belongs to; with its number where another has the same ones."""
    inside = [name for name, held in regions.items() if value in held]
    twins = {v for held in regions.values() for v in held if [n for n, h in regions.items() if v in h] == inside}
    name = f"{inside[0]} only" if len(inside) == 1 else " + ".join(inside)
    return name if len(twins) == 1 else f"{name} ({value})"
