"""Rules 11 and 12: the store is keyed by content and settings, and holds no pickles."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.cohort import ThreadExecutor
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.manifest import read_case
from medseg.preprocess import ChannelNormalisation, PreprocessConfig, preprocess_scan
from medseg.preprocess.segmentation import PreparedCases, StoredCase, prepare_cases
from medseg.preprocess.segmentation.prepare import FOREGROUND_SAMPLES
from medseg.preprocess.segmentation.stored_case import open_case, save_case
from medseg.records import Case, Manifest
from medseg.scans import write_scan
from pydantic import ValidationError

from tests.grid_strategies import grids
from tests.grids import OBLIQUE, grid
from tests.manifest.datasets import manifest_of, write_case

CONFIG = PreprocessConfig(spacing_mm=(6.0, 6.0, 8.0), normalisation=(ChannelNormalisation(kind="zscore"),))


def prepare(
    cohort: tuple[Manifest, Path], store: Path, *, config: PreprocessConfig = CONFIG, count: int = 3
) -> PreparedCases:
    manifest, root = cohort
    return prepare_cases(manifest.cases[:count], manifest, root, config=config, store=store)


def files_of(store: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in sorted(store.rglob("*"))}


@pytest.fixture(scope="module")
def prepared(cohort: tuple[Manifest, Path], tmp_path_factory: pytest.TempPathFactory) -> PreparedCases:
    """Three cases of the cohort in a store; read-only."""
    return prepare(cohort, tmp_path_factory.mktemp("store"))


def small_dataset(root: Path, *names: str) -> Manifest:
    """Cases of other noise but the same label each."""
    cases = []
    for index, name in enumerate(names):
        noise = np.random.default_rng(index).normal(size=(1, *OBLIQUE.shape)).astype(np.float32)
        label = np.zeros((1, *OBLIQUE.shape), np.uint8)
        label[:, 2:5, 2:6, 1:4] = 1
        write_scan(noise, OBLIQUE, root / f"{name}_image.nii.gz")
        write_scan(label, OBLIQUE, root / f"{name}_label.nii.gz")
        cases.append(
            Case(case_id=name, patient_id=name, images=(f"{name}_image.nii.gz",), label=f"{name}_label.nii.gz")
        )
    return manifest_of(cases)


def key_of(manifest: Manifest, root: Path, store: Path, *, config: PreprocessConfig = CONFIG) -> str:
    ((case,), failures) = prepare_cases(manifest.cases[:1], manifest, root, config=config, store=store)
    assert failures == ()
    return case.folder.name


def test_prepared_cases_come_in_the_order_asked_for(cohort: tuple[Manifest, Path], prepared: PreparedCases) -> None:
    assert prepared.failures == ()
    assert [case.case_id for case in prepared.cases] == [case.case_id for case in cohort[0].cases[:3]]


def test_stored_image_and_label_are_the_preprocessed_ones(
    cohort: tuple[Manifest, Path], prepared: PreparedCases
) -> None:
    manifest, root = cohort
    for case, stored in zip(manifest.cases, prepared.cases, strict=False):
        scan, label = read_case(case, manifest, root)
        image, network, plan_label = preprocess_scan(scan, CONFIG, label=label)
        assert stored.shape == network.shape == image.shape[1:]
        assert stored.grid.is_close(network, tolerance_mm=1e-9)
        assert stored.native.is_close(scan.geometry, tolerance_mm=1e-9)
        # Half precision: 11 bits of mantissa.
        np.testing.assert_allclose(stored.image()[...], image.numpy(), rtol=2**-11, atol=2**-24)
        np.testing.assert_array_equal(stored.label()[...], plan_label)
        values, counts = np.unique(plan_label, return_counts=True)
        assert stored.voxels == dict(zip(values.tolist(), counts.tolist(), strict=True))


def test_native_label_is_the_source_label_exactly(cohort: tuple[Manifest, Path], prepared: PreparedCases) -> None:
    manifest, root = cohort
    for case, stored in zip(manifest.cases, prepared.cases, strict=False):
        source = read_case(case, manifest, root).label
        found = stored.native_label()
        assert found.dtype == source.dtype
        np.testing.assert_array_equal(found, source)


def test_foreground_samples_point_at_labelled_voxels(prepared: PreparedCases) -> None:
    for stored in prepared.cases:
        label, samples = stored.label()[...], stored.foreground()
        assert samples.dtype == np.int32
        np.testing.assert_array_equal(label[tuple(samples[:, 1:].T)], samples[:, 0])
        for value, count in stored.voxels.items():
            expected = 0 if value == 0 else min(count, FOREGROUND_SAMPLES)
            found = samples[samples[:, 0] == value]
            assert len(found) == len(np.unique(found, axis=0)) == expected


def test_crop_reads_the_same_voxels_as_the_whole(prepared: PreparedCases) -> None:
    stored = prepared.cases[0]
    np.testing.assert_array_equal(stored.image()[:, 3:9, 2:8, 1:6], stored.image()[...][:, 3:9, 2:8, 1:6])
    np.testing.assert_array_equal(stored.label()[3:9, 2:8, 1:6], stored.label()[...][3:9, 2:8, 1:6])


def test_second_call_rewrites_nothing(cohort: tuple[Manifest, Path], tmp_path: Path) -> None:
    first = prepare(cohort, tmp_path, count=2)
    before = files_of(tmp_path)
    second = prepare(cohort, tmp_path, count=2)
    assert files_of(tmp_path) == before
    assert [case.folder for case in second.cases] == [case.folder for case in first.cases]


def test_second_call_reads_no_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = small_dataset(tmp_path, "a")
    before = key_of(manifest, tmp_path, tmp_path / "store")

    def refuse(case: Case, manifest: Manifest, root: Path) -> None:
        raise AssertionError("the case was read again")

    monkeypatch.setattr("medseg.preprocess.segmentation.prepare.read_case_readings", refuse)
    assert key_of(manifest, tmp_path, tmp_path / "store") == before


def test_store_holds_no_pickles(prepared: PreparedCases) -> None:
    for stored in prepared.cases:
        names = {path.name for path in stored.folder.iterdir()}
        assert names == {"image.b2nd", "label.b2nd", "native_label.b2nd", "foreground.npy", "case.json"}
        np.load(stored.folder / "foreground.npy", allow_pickle=False)
        json.loads((stored.folder / "case.json").read_text(encoding="utf-8"))
        for path in stored.folder.glob("*.b2nd"):
            assert path.read_bytes()[2:9] == b"b2frame"  # Blosc2's own format, behind a MessagePack string's header


def test_store_names_neither_the_case_nor_its_files(cohort: tuple[Manifest, Path], prepared: PreparedCases) -> None:
    for case, stored in zip(cohort[0].cases, prepared.cases, strict=False):
        text = (stored.folder / "case.json").read_text(encoding="utf-8") + stored.folder.name
        assert case.case_id not in text
        assert case.patient_id not in text


@pytest.mark.parametrize(
    "change",
    [
        {"spacing_mm": (6.0, 6.0, 7.0)},
        {"spacing_mm": None},
        {"axcodes": "LPS"},
        {"normalisation": (ChannelNormalisation(kind="none"),)},
        {"normalisation": (ChannelNormalisation(kind="ct", clip_hu=(-1, 1), mean_hu=0, std_hu=1),)},
    ],
)
def test_change_of_any_setting_makes_a_new_entry(tmp_path: Path, change: dict[str, object]) -> None:
    manifest = small_dataset(tmp_path, "a")
    before = key_of(manifest, tmp_path, tmp_path / "store")
    assert key_of(manifest, tmp_path, tmp_path / "store", config=CONFIG.model_copy(update=change)) != before
    assert len(list((tmp_path / "store").iterdir())) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"labels": {"background": 0, "spleen": 1}},
        {"allow_empty_labels": True},
        {"labels": {"background": 0, "liver": 1, "x": 9}},
    ],
)
def test_change_of_the_label_names_makes_a_new_entry(tmp_path: Path, change: dict[str, object]) -> None:
    manifest = small_dataset(tmp_path, "a")
    before = key_of(manifest, tmp_path, tmp_path / "store")
    assert key_of(manifest.model_copy(update=change), tmp_path, tmp_path / "store") != before


@pytest.mark.parametrize("name", ["a_image.nii.gz", "a_label.nii.gz"])
def test_change_of_one_voxel_makes_a_new_entry(tmp_path: Path, name: str) -> None:
    manifest = small_dataset(tmp_path, "a")
    before = key_of(manifest, tmp_path, tmp_path / "store")
    array = np.zeros((1, *OBLIQUE.shape), np.uint8)
    array[0, 3, 3, 3] = 1
    write_scan(array, OBLIQUE, tmp_path / name)
    assert key_of(manifest, tmp_path, tmp_path / "store") != before


def test_same_files_under_another_name_are_the_same_entry(tmp_path: Path) -> None:
    manifest = small_dataset(tmp_path, "a")
    before = key_of(manifest, tmp_path, tmp_path / "store")
    (tmp_path / "a_image.nii.gz").rename(tmp_path / "b_image.nii.gz")
    renamed = manifest.cases[0].model_copy(update={"case_id": "b", "images": ("b_image.nii.gz",)})
    assert key_of(manifest_of([renamed]), tmp_path, tmp_path / "store") == before


def test_two_cases_of_the_same_bytes_share_an_entry(tmp_path: Path) -> None:
    manifest = small_dataset(tmp_path, "a")
    twins = manifest_of([manifest.cases[0].model_copy(update={"case_id": f"twin_{n}"}) for n in range(4)])
    cases, failures = prepare_cases(
        twins.cases, twins, tmp_path, config=CONFIG, store=tmp_path / "store", executor=ThreadExecutor(4)
    )
    assert failures == ()
    assert [case.case_id for case in cases] == [f"twin_{n}" for n in range(4)]
    assert len(list((tmp_path / "store").iterdir())) == 1


def test_bad_case_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    manifest = small_dataset(tmp_path, "a", "b", "c", "d")
    (tmp_path / "b_image.nii.gz").write_bytes(b"damaged")
    (tmp_path / "d_label.nii.gz").unlink()
    done: list[str] = []
    cases, failures = prepare_cases(
        manifest.cases, manifest, tmp_path, config=CONFIG, store=tmp_path / "store", on_done=done.append
    )
    assert [case.case_id for case in cases] == ["a", "c"]
    assert [(failure.case_id, failure.stage) for failure in failures] == [("b", "prepare"), ("d", "prepare")]
    assert "b_image.nii.gz must be a whole NIfTI file" in failures[0].reason
    assert "d_label.nii.gz must exist under the data root" in failures[1].reason
    assert sorted(done) == ["a", "b", "c", "d"]
    assert len(list((tmp_path / "store").iterdir())) == 2


def test_repaired_case_is_prepared_on_the_next_call(tmp_path: Path) -> None:
    manifest = small_dataset(tmp_path, "a")
    good = (tmp_path / "a_image.nii.gz").read_bytes()
    (tmp_path / "a_image.nii.gz").write_bytes(b"damaged")
    prepare_cases(manifest.cases, manifest, tmp_path, config=CONFIG, store=tmp_path / "store")
    (tmp_path / "a_image.nii.gz").write_bytes(good)
    cases, failures = prepare_cases(manifest.cases, manifest, tmp_path, config=CONFIG, store=tmp_path / "store")
    assert (len(cases), failures) == (1, ())


def save(folder: Path, image: np.ndarray, label: np.ndarray, native_label: np.ndarray, **grids: Geometry) -> StoredCase:
    save_case(
        folder, image=image, label=label, native_label=native_label, foreground=np.zeros((0, 4), np.int32), **grids
    )
    return open_case(folder, case_id="c")


@settings(max_examples=15, deadline=None)
@given(network=grids(), native=grids(), channels=st.integers(1, 3), scale=st.sampled_from([1.0, 1e3, 1e5]))
def test_stored_case_comes_back(
    tmp_path_factory: pytest.TempPathFactory, network: Geometry, native: Geometry, channels: int, scale: float
) -> None:
    rng = np.random.default_rng(0)
    image = (rng.uniform(-1, 1, (channels, *network.shape)) * scale).astype(np.float32)
    image[0, 0, 0, 0] = scale
    label, native_label = (rng.integers(0, 300, geometry.shape).astype(np.uint16) for geometry in (network, native))
    folder = tmp_path_factory.mktemp("s") / "entry"
    stored = save(folder, image, label, native_label, grid=network, native=native)
    # Values beyond half precision's range are kept in single precision.
    assert stored.image().dtype == (np.float32 if scale == 1e5 else np.float16)
    np.testing.assert_allclose(stored.image()[...], image, rtol=2**-11, atol=2**-24)
    np.testing.assert_array_equal(stored.label()[...], label)
    np.testing.assert_array_equal(stored.native_label(), native_label)
    assert stored.grid.distance_mm(network) == stored.native.distance_mm(native) == 0
    assert sum(stored.voxels.values()) == label.size


def test_label_that_needs_no_resampling_is_stored_once(tmp_path: Path) -> None:
    geometry = grid((4, 5, 6))
    label = np.random.default_rng(0).integers(0, 2, geometry.shape).astype(np.uint8)
    image = np.zeros((1, *geometry.shape), np.float32)
    stored = save(tmp_path / "entry", image, label, label, grid=geometry, native=geometry)
    assert not (stored.folder / "native_label.b2nd").exists()
    np.testing.assert_array_equal(stored.native_label(), label)


@pytest.mark.parametrize("text", ["", "{}", json.dumps({"grid": {"shape": [1, 1, 1]}})])
def test_damaged_entry_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").mkdir()
    (tmp_path / "key" / "case.json").write_text(text, encoding="utf-8")
    with pytest.raises(ScanError, match=r"case c: store entry key must be whole, got: .*; delete that folder"):
        open_case(tmp_path / "key", case_id="c")


def test_missing_entry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="case c: store entry key must be whole"):
        open_case(tmp_path / "key", case_id="c")


def test_error_inside_a_transform_is_the_pipeline_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr("medseg.preprocess.transforms.resample_averaged", out_of_memory)
    case = write_case(tmp_path, label=np.ones(OBLIQUE.shape, np.uint8))
    config = PreprocessConfig(normalisation=(ChannelNormalisation(kind="zscore"),))
    prepared = prepare_cases([case], manifest_of([case]), tmp_path, config=config, store=tmp_path / "store")
    assert [failure.case_id for failure in prepared.failures] == ["c"]


@pytest.mark.parametrize(
    "settings",
    [{"spacing_mm": (0, 1, 1)}, {"spacing_mm": (-1, 1, 1)}, {"axcodes": "RRR"}, {"axcodes": "RAI0"}],
)
def test_grid_that_cannot_be_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PreprocessConfig(normalisation=(ChannelNormalisation(kind="zscore"),), **settings)


def test_cases_stored_as_pairs_are_told_apart_by_their_voxels(tmp_path: Path) -> None:
    cases = []
    for number in range(2):
        label = np.zeros((6, 6, 6), np.uint8)
        label[number : number + 2, 2:4, 2:4] = 1
        for name, array in (("image", np.full((6, 6, 6), 10.0 * number, np.float32)), ("label", label)):
            nibabel.save(nibabel.Nifti1Pair(array, np.eye(4)), tmp_path / f"{name}{number}.hdr")
        files = {"images": (f"image{number}.hdr",), "label": f"label{number}.hdr"}
        cases.append(Case(case_id=f"c{number}", patient_id=f"p{number}", **files))
    config = PreprocessConfig(normalisation=(ChannelNormalisation(kind="none"),))
    prepared = prepare_cases(cases, manifest_of(cases), tmp_path, config=config, store=tmp_path / "store")
    assert prepared.failures == ()
    assert [float(case.image()[...].mean()) for case in prepared.cases] == [0.0, 10.0]


@pytest.mark.parametrize("name", ["image.b2nd", "label.b2nd", "case.json", "foreground.npy"])
def test_damaged_entry_is_made_again(tmp_path: Path, name: str) -> None:
    case = write_case(tmp_path, label=np.ones(OBLIQUE.shape, np.uint8))
    config = PreprocessConfig(normalisation=(ChannelNormalisation(kind="zscore"),))

    def prepare() -> PreparedCases:
        return prepare_cases([case], manifest_of([case]), tmp_path, config=config, store=tmp_path / "store")

    (first,) = prepare().cases
    whole = (first.folder / name).read_bytes()
    (first.folder / name).write_bytes(whole[:20])
    again = prepare()
    assert again.failures == ()
    assert len((first.folder / name).read_bytes()) == len(whole)


@pytest.mark.parametrize("name", ["image.b2nd", "label.b2nd", "foreground.npy"])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_entry_with_one_other_bit_is_made_again(tmp_path: Path, name: str, share: float) -> None:
    """Compressed voxels unpack to others without complaint."""
    rng = np.random.default_rng(0)
    case = write_case(tmp_path, label=rng.integers(1, 3, OBLIQUE.shape).astype(np.uint8))
    config = PreprocessConfig(normalisation=(ChannelNormalisation(kind="zscore"),))

    def prepare() -> PreparedCases:
        return prepare_cases([case], manifest_of([case]), tmp_path, config=config, store=tmp_path / "store")

    (first,) = prepare().cases
    whole = (first.folder / name).read_bytes()
    turned = bytearray(whole)
    turned[int(len(whole) * share)] ^= 1
    (first.folder / name).write_bytes(turned)
    assert prepare().failures == ()
    assert (first.folder / name).read_bytes() == whole
