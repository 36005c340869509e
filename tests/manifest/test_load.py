"""Reading many cases is quick because the cycle collector pauses, and the file's form is known afterwards."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from medseg.errors import ManifestError
from medseg.manifest.collector import collector_paused
from medseg.manifest.load import load_manifest, open_manifest

from tests.manifest.datasets import own_content, write_dataset


def test_opened_file_says_where_it_is_and_that_it_is_our_own(tmp_path: Path) -> None:
    source = open_manifest(write_dataset(tmp_path, own_content()))
    assert (source.path, source.root, source.is_own) == (tmp_path / "dataset.json", tmp_path, True)
    assert (source.manifest, source.root) == load_manifest(tmp_path)


def test_collector_pauses_and_goes_on() -> None:
    assert gc.isenabled()
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collector_goes_on_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="must be readable"):
        load_manifest(tmp_path)
    assert gc.isenabled()


@pytest.mark.parametrize("path", ["a..b/c.nii.gz", "a/b..nii.gz"])
def test_two_dots_inside_a_name_do_not_leave_the_data_root(tmp_path: Path, path: str) -> None:
    entry = {"case_id": "c", "patient_id": "p", "image": path}
    manifest, _ = load_manifest(write_dataset(tmp_path, own_content(training=[entry])))
    assert manifest.cases[0].images == (path,)
