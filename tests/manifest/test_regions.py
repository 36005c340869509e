from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from medseg.errors import ManifestError
from medseg.manifest import load_manifest, manifest_digest, save_manifest

from tests.manifest.datasets import load_own, own_content, write_dataset

LABELS = {"background": 0, "oedema": 1, "necrosis": 2, "enhancing": 3}
REGIONS = {"whole": [1, 2, 3], "core": [2, 3]}


def own(**changes: Any) -> dict[str, Any]:
    return {"labels": LABELS, "regions": REGIONS, "regions_order": [1, 2], **changes}


def test_regions_ignored_voxels_and_annotated_structures_survive_a_save(tmp_path: Path) -> None:
    training = [{**own_content()["training"][0], "annotated_labels": ["core"]}]
    manifest = load_own(tmp_path, **own(ignore=9, training=training))
    assert (manifest.regions, manifest.regions_order, manifest.ignore) == (
        {"whole": (1, 2, 3), "core": (2, 3)},
        (1, 2),
        9,
    )
    assert manifest.cases[0].annotated_labels == ("core",)
    save_manifest(manifest, tmp_path / "again.json")
    assert load_manifest(tmp_path / "again.json")[0] == manifest


def test_earlier_manifests_keep_their_digest_and_file(tmp_path: Path) -> None:
    manifest = load_own(tmp_path)
    # The digest that medseg gave this manifest before it knew of regions.
    assert manifest_digest(manifest) == "7307bb7c8166f65ccf0664b9cb930b361a0706441917a92e9baca08a8f9c615f"
    save_manifest(manifest, tmp_path / "again.json")
    assert not {"regions", "ignore", "annotated_labels"} & set((tmp_path / "again.json").read_text().split('"'))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"regions": {**REGIONS, "no": []}, "regions_order": [1, 2, 3]}, "region 'no' must hold values .* no value"),
        ({"regions": {"whole": [1, 2, 4], "core": [2]}}, r"region 'whole' must hold values of labels .* got \[4\]"),
        ({"regions": {"whole": [0, 1], "core": [2]}}, r"region 'whole' .* other than background"),
        ({"regions_order": [1]}, "regions_order must hold a value of a label for each of"),
        ({"regions_order": [2, 1]}, r"regions_order must hold for region 'core' one of its values, \[2, 3\], got 1"),
        ({"ignore": 3, "labels": {"background": 0, "a": 1, "b": 2}, "regions": {"whole": [1, 2, 3], "core": [2]}},
         "ignore must not be a value of a region, got 3, which region 'whole' holds"),
        ({"ignore": 3}, "ignore must not be the value of a label, got 3, which is 'enhancing'"),
        ({"instances": True, "labels": {"background": 0, "a": 1}, "regions": {"b": [1]}, "regions_order": [1]},
         "numbered instances must have a label for every voxel"),
        ({"task": "regression"}, "regression must have a label for every voxel of every case, got regions"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        load_manifest(write_dataset(tmp_path, own_content(**own(**changes))))


def test_digest_knows_the_order_of_the_regions(tmp_path: Path) -> None:
    """It is that of the network's channels: a training must not be resumed with another."""
    one = load_own(tmp_path / "one", **own())
    other = load_own(tmp_path / "other", **own(regions=dict(reversed(REGIONS.items())), regions_order=[2, 1]))
    turned = other.model_copy(update={"regions_order": one.regions_order})
    assert one.regions == turned.regions
    assert len({manifest_digest(manifest) for manifest in (one, other, turned)}) == 3


def test_unknown_annotated_structures_are_refused_by_case(tmp_path: Path) -> None:
    training = [{**own_content()["training"][1], "annotated_labels": ["spleen"]}]
    with pytest.raises(ManifestError, match=r"case c1: annotated_labels must name at least one of \['liver', 'tumour'"):
        load_own(tmp_path, training=training)
