"""Rules 7 and 8: what the manifest promises of a case's files is held on reading."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.manifest import read_case, read_case_image, read_case_label
from medseg.records import Case
from medseg.scans import write_scan

from tests.coded_labels import put_under_slope
from tests.grids import OBLIQUE, grid
from tests.manifest.datasets import manifest_of, write_case

LABEL = np.zeros(OBLIQUE.shape, np.uint8)
LABEL[1:4, 2:5, 1:3] = 1
LABEL[4:6, 2:5, 1:3] = 2


def shifted(geometry: Geometry, *, millimetres: float) -> Geometry:
    affine = geometry.affine.copy()
    affine[2, 3] += millimetres
    return Geometry(geometry.shape, affine)


def test_image_and_label_come_on_one_grid(tmp_path: Path) -> None:
    case = write_case(tmp_path, label=LABEL)
    scan, label = read_case(case, manifest_of([case]), tmp_path)
    assert scan.array.shape == (1, *OBLIQUE.shape)
    np.testing.assert_array_equal(label, LABEL)
    assert scan.geometry.is_close(OBLIQUE)


def test_label_on_a_shifted_grid_is_refused_with_the_distance(tmp_path: Path) -> None:
    case = write_case(tmp_path, label=LABEL, label_grid=shifted(OBLIQUE, millimetres=1.5))
    message = r"case c: label must lie on the grid of its image, got corners up to 1\.5 mm apart .*nearest neighbour"
    with pytest.raises(GeometryError, match=message):
        read_case(case, manifest_of([case]), tmp_path)


def test_label_of_another_shape_is_refused_with_both_shapes(tmp_path: Path) -> None:
    smaller = Geometry((7, 9, 4), OBLIQUE.affine)
    case = write_case(tmp_path, label=LABEL[:, :, :4], label_grid=smaller)
    with pytest.raises(GeometryError, match=r"got shape \(7, 9, 4\) against \(7, 9, 5\); resample the label"):
        read_case(case, manifest_of([case]), tmp_path)


def test_flipped_label_is_refused_even_though_the_voxels_fit(tmp_path: Path) -> None:
    straight = grid((6, 6, 6))
    case = write_case(
        tmp_path, label=np.ones((6, 6, 6), np.uint8), image_grid=straight, label_grid=straight.reoriented("LAS")
    )
    with pytest.raises(GeometryError, match=r"corners up to 5 mm apart .*axes LAS against RAS"):
        read_case(case, manifest_of([case]), tmp_path)


def test_rounding_of_a_hundredth_of_a_millimetre_is_the_same_grid(tmp_path: Path) -> None:
    case = write_case(tmp_path, label=LABEL, label_grid=shifted(OBLIQUE, millimetres=0.005))
    read_case(case, manifest_of([case]), tmp_path)


def test_value_that_the_manifest_does_not_name_is_refused(tmp_path: Path) -> None:
    label = LABEL.copy()
    label[0, 0, 0] = 7
    case = write_case(tmp_path, label=label)
    with pytest.raises(ScanError, match=r"case c: label values must be among \[0, 1, 2\], got \[7\]; name them"):
        read_case(case, manifest_of([case]), tmp_path)


def test_label_under_a_slope_trains_on_its_scaled_values(tmp_path: Path) -> None:
    case = write_case(tmp_path, label=LABEL)
    put_under_slope(tmp_path / "label.nii.gz", 2 - LABEL, slope=-1, intercept=2)
    np.testing.assert_array_equal(read_case(case, manifest_of([case]), tmp_path).label, LABEL)


def test_slope_that_makes_unnamed_values_is_named_with_a_remedy(tmp_path: Path) -> None:
    case = write_case(tmp_path, label=LABEL)
    put_under_slope(tmp_path / "label.nii.gz", LABEL, slope=3, intercept=0)
    fact = r"among \[0, 1, 2\], got \[3(, 6)?\] \(stored values times the header's slope 3 plus its intercept 0\)"
    with pytest.raises(ScanError, match=fact) as caught:
        read_case(case, manifest_of([case]), tmp_path)
    assert "if the stored values are meant, write them to a file without a slope" in caught.value.remedy


def test_empty_label_is_refused(tmp_path: Path) -> None:
    case = write_case(tmp_path, label=np.zeros_like(LABEL))
    with pytest.raises(ScanError, match=r"label must hold at least one labelled voxel, got none; .*allow_empty_labels"):
        read_case(case, manifest_of([case]), tmp_path)


def test_empty_label_is_accepted_where_the_manifest_allows_it(tmp_path: Path) -> None:
    case = write_case(tmp_path, label=np.zeros_like(LABEL))
    assert not read_case(case, manifest_of([case], allow_empty_labels=True), tmp_path).label.any()


def test_instances_become_the_only_foreground_label(tmp_path: Path) -> None:
    instances = (LABEL.astype(np.uint16) * 300).astype(np.uint16)
    case = write_case(tmp_path, label=instances)
    manifest = manifest_of([case], labels={"background": 0, "nucleus": 3}, instances=True)
    label = read_case(case, manifest, tmp_path).label
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, np.where(LABEL > 0, 3, 0))


@pytest.mark.parametrize("channels", [1, 3])
def test_wrong_number_of_channels_is_refused_with_their_names(tmp_path: Path, channels: int) -> None:
    case = write_case(tmp_path, label=LABEL, channels=channels)
    message = rf"case c: image must have the manifest's 2 channels \(T2, ADC\), got {channels}; fix the"
    with pytest.raises(ScanError, match=message) as caught:
        read_case_image(case, manifest_of([case], channels=("T2", "ADC")), tmp_path)
    assert (caught.value.case_id, caught.value.remedy) == ("c", "fix the image or channel_names")


def test_channels_of_several_files_come_in_the_manifest_order(tmp_path: Path) -> None:
    for index, name in enumerate(("t2", "adc")):
        write_scan(np.full((1, *OBLIQUE.shape), index + 1, np.float32), OBLIQUE, tmp_path / f"{name}.nii.gz")
    case = Case(case_id="c", patient_id="p", images=("adc.nii.gz", "t2.nii.gz"))
    image = read_case_image(case, manifest_of([case], channels=("ADC", "T2")), tmp_path)
    assert image.array[:, 0, 0, 0].tolist() == [2, 1]


def test_case_without_label_is_refused(tmp_path: Path) -> None:
    case = write_case(tmp_path, label=LABEL).model_copy(update={"label": None})
    with pytest.raises(ScanError, match="case c: label must be given in the manifest, got none"):
        read_case(case, manifest_of([case]), tmp_path)
    read_case_image(case, manifest_of([case]), tmp_path)


def test_missing_label_file_is_refused(tmp_path: Path) -> None:
    case = write_case(tmp_path, label=LABEL).model_copy(update={"label": "none.nii.gz"})
    with pytest.raises(ScanError, match=r"case c: file none\.nii\.gz must exist under the data root"):
        read_case_label(case, manifest_of([case]), tmp_path)


def test_files_that_match_their_checksums_are_read(tmp_path: Path) -> None:
    case = write_case(tmp_path, label=LABEL)
    names = ("image.nii.gz", "label.nii.gz")
    sums = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in names}
    read_case(case.model_copy(update={"sha256": sums}), manifest_of([case]), tmp_path)


@pytest.mark.parametrize("name", ["image.nii.gz", "label.nii.gz"])
def test_file_that_does_not_match_its_checksum_is_refused(tmp_path: Path, name: str) -> None:
    case = write_case(tmp_path, label=LABEL).model_copy(update={"sha256": {name: "0" * 64}})
    with pytest.raises(ScanError, match=f"case c: file {name} must have the manifest's SHA-256, got another; copy it"):
        read_case(case, manifest_of([case]), tmp_path)


def test_checksum_of_the_label_is_checked_when_only_the_label_is_read(tmp_path: Path) -> None:
    case = write_case(tmp_path, label=np.ones(OBLIQUE.shape, np.uint8))
    wrong = case.model_copy(update={"sha256": {str(case.label): "0" * 64}})
    with pytest.raises(ScanError, match="must have the manifest's SHA-256, got another"):
        read_case_label(wrong, manifest_of([wrong]), tmp_path)
    read_case_image(wrong, manifest_of([wrong]), tmp_path)
