"""Classes of whole cases in a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from medseg.errors import ManifestError
from medseg.manifest import load_manifest, manifest_digest, save_manifest

from tests.manifest.datasets import load_own, own_content, write_dataset


def first(**changes: Any) -> list[dict[str, Any]]:
    return [{**own_content()["training"][0], **changes}]


def test_study_classes_survive_a_save_and_change_the_digest(tmp_path: Path) -> None:
    manifest = load_own(tmp_path, study_classes=["sick", "smoker"], training=first(study_labels=["sick"]))
    assert (manifest.study_classes, manifest.cases[0].study_labels) == (("sick", "smoker"), ("sick",))
    save_manifest(manifest, tmp_path / "again.json")
    assert load_manifest(tmp_path / "again.json")[0] == manifest
    assert manifest_digest(manifest) != manifest_digest(load_own(tmp_path, training=first()))


def test_case_that_shows_no_class_is_not_one_of_which_nothing_is_known(tmp_path: Path) -> None:
    shows_none = load_own(tmp_path / "none", study_classes=["sick"], training=first(study_labels=[]))
    unknown = load_own(tmp_path / "unknown", study_classes=["sick"], training=first())
    assert (shows_none.cases[0].study_labels, unknown.cases[0].study_labels) == ((), None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"study_classes": ["sick", "sick"]}, "study_classes must be different names"),
        ({"study_classes": []}, "study_classes must be different names"),
        ({"study_classes": ["mean"]}, "none of them 'mean'"),
        (
            {"study_classes": ["sick"], "training": first(study_labels=["ill"])},
            r"case c0: study_labels must be .*'ill'",
        ),
        ({"training": first(study_labels=[])}, "case c0: study_labels must be among .* got study_labels alone"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        load_manifest(write_dataset(tmp_path, own_content(**changes)))
