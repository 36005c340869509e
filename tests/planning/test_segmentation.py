"""The rules from scans to settings, and their reasons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.cohort import SERIAL
from medseg.errors import TrainingError
from medseg.planning import CaseFingerprint, Fingerprint, make_plan, take_fingerprint
from medseg.planning.sides import names_a_side
from medseg.planning.sizes import DeviceKind
from medseg.records import Case, Manifest

FingerprintBuilder = Callable[..., Fingerprint]
ManifestBuilder = Callable[..., Manifest]
ONE_MM = (1.0, 1.0, 1.0)


def test_ct_is_scaled_alike_in_every_scan_by_its_labelled_voxels(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    values = np.concatenate([np.linspace(-50, 150, 2001), [-2000.0, 9000.0]])
    fingerprint = build_fingerprint([(40, 40, 40)], [ONE_MM], foreground=values[np.newaxis])
    (channel,) = make_plan(fingerprint, build_manifest(), device="cpu").preprocess.normalisation
    assert channel.kind == "ct"
    assert channel.clip_hu == pytest.approx(tuple(np.percentile(values, [0.5, 99.5])))
    assert (channel.mean_hu, channel.std_hu) == pytest.approx((values.mean(), values.std()))


def test_mr_is_scaled_by_each_scan_s_own_mean_and_deviation(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    fingerprint = build_fingerprint([(40, 40, 40)], [ONE_MM], foreground=np.random.default_rng(0).random((2, 50)))
    plan = make_plan(fingerprint, build_manifest(channels=("T1", "ct ")), device="cpu")
    assert [channel.kind for channel in plan.preprocess.normalisation] == ["zscore", "ct"]
    reason = plan.reasons["preprocess.normalisation"]
    assert "T1: intensities have no fixed unit" in reason
    assert "ct : Hounsfield units" in reason


def test_spacing_is_the_median_where_no_axis_is_much_coarser(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    spacings = [(0.7, 0.7, 1.0), (0.8, 0.9, 2.0), (0.9, 1.0, 2.5)]
    plan = make_plan(build_fingerprint([(50, 50, 20)] * 3, spacings), build_manifest(), device="cpu")
    assert plan.preprocess.spacing_mm == (0.8, 0.9, 2.0)
    assert plan.preprocess.axcodes == "RAS"


def test_much_coarser_axis_takes_its_10th_percentile(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    thickness = [3.0, 5.0, 5.0, 5.0, 6.0]
    plan = make_plan(
        build_fingerprint([(50, 50, 20)] * 5, [(0.8, 0.8, mm) for mm in thickness]), build_manifest(), device="cpu"
    )
    assert plan.preprocess.spacing_mm == pytest.approx((0.8, 0.8, np.percentile(thickness, 10)), abs=1e-4)
    assert "the k axis is more than 3 times coarser" in plan.reasons["preprocess.spacing_mm"]


def test_much_coarser_axis_does_not_become_finer_than_the_others(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    spacings = [(1.0, 1.0, 0.5), (1.0, 1.0, 5.0), (1.0, 1.0, 5.0)]
    plan = make_plan(build_fingerprint([(50, 50, 20)] * 3, spacings), build_manifest(), device="cpu")
    assert plan.preprocess.spacing_mm == pytest.approx((1.0, 1.0, max(1.0, np.percentile([0.5, 5, 5], 10))), abs=1e-4)


def test_patch_covers_the_median_scan_where_the_device_allows(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    fingerprint = build_fingerprint([(30, 60, 10), (40, 50, 20), (50, 40, 30)], [ONE_MM] * 3)
    plan = make_plan(fingerprint, build_manifest(), device="cpu")
    assert plan.training.patch_size == plan.inference.patch_size == (40, 52, 20)
    assert plan.reasons["training.patch_size"] == "covers the median scan of 40×50×20 voxels"
    assert plan.training.patches_per_case == 1


def test_patch_of_a_large_scan_is_as_much_as_the_device_allows(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    fingerprint = build_fingerprint([(512, 512, 200)], [(0.8, 0.8, 1.5)])
    small, large = (make_plan(fingerprint, build_manifest(), device=device) for device in ("cpu", "cuda"))
    assert np.prod(small.training.patch_size) <= 64**3 < np.prod(large.training.patch_size) <= 128**3
    assert "as much of the median scan of 512×512×200 voxels as 262144 voxels" in small.reasons["training.patch_size"]
    assert small.training.patches_per_case == 8
    assert small.network.channels[0] < large.network.channels[0]


def test_reasons_are_given_for_what_matters(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    plan = make_plan(build_fingerprint([(40, 40, 40)], [ONE_MM]), build_manifest(), device="cpu")
    assert {
        "training.patch_size", "training.batch_size", "preprocess.spacing_mm", "preprocess.normalisation",
        "inference.mirror_axes", "network.strides", "network.kernels", "network.channels",
    } <= set(plan.reasons)  # fmt: skip
    content = plan.model_dump()
    for name in plan.reasons:
        section, key = name.split(".")
        assert key in content[section]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("is_2d", [False, True])
def test_network_has_the_manifest_s_channels_and_classes(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder, device: DeviceKind, is_2d: bool
) -> None:
    values = np.random.default_rng(0).random((2, 9))
    fingerprint = build_fingerprint([(70, 60, 1 if is_2d else 50)], [ONE_MM], foreground=values, is_2d=is_2d)
    plan = make_plan(fingerprint, build_manifest(channels=("T1", "T2"), labels=("a", "b", "c")), device=device)
    assert (plan.network.in_channels, plan.network.out_channels) == (2, 4)
    assert plan.network.spatial_dims == (2 if is_2d else 3)


@pytest.mark.parametrize("is_2d", [False, True])
def test_labels_that_name_a_side_switch_flips_off_in_training_and_prediction(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder, is_2d: bool
) -> None:
    fingerprint = build_fingerprint([(40, 40, 1 if is_2d else 40)], [ONE_MM], is_2d=is_2d)
    sided = make_plan(fingerprint, build_manifest(labels=("kidney_left", "kidney_right", "liver")), device="cpu")
    assert sided.training.augment.mirror_axes == sided.inference.mirror_axes == ()
    assert "labels kidney_left, kidney_right name a side" in sided.reasons["inference.mirror_axes"]


def test_volumes_are_not_flipped_without_sides_either(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    plan = make_plan(build_fingerprint([(40, 40, 40)], [ONE_MM]), build_manifest(), device="cpu")
    assert plan.training.augment.mirror_axes == plan.inference.mirror_axes == ()
    assert "bodies are not symmetric" in plan.reasons["inference.mirror_axes"]


def test_pictures_are_planned_in_2d_and_keep_their_pixels(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    fingerprint = build_fingerprint([(200, 150, 1)], [ONE_MM], is_2d=True)
    plan = make_plan(fingerprint, build_manifest(channels=("R",)), device="cpu")
    assert plan.preprocess.axcodes is plan.preprocess.spacing_mm is None
    assert plan.training.patch_size[2] == 1
    assert plan.training.augment.mirror_axes == plan.inference.mirror_axes == (0, 1)
    assert plan.reasons["inference.mirror_axes"] == "both axes of a picture: no label names a side"
    assert plan.reasons["preprocess.spacing_mm"] == "pictures keep their own pixels"


def test_augmentation_knows_the_spacing_of_the_network_s_grid(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    plan = make_plan(build_fingerprint([(40, 40, 20)], [(1.0, 1.25, 2.5)]), build_manifest(), device="cpu")
    assert plan.training.augment.spacing_mm == plan.preprocess.spacing_mm == (1.0, 1.25, 2.5)


@pytest.mark.parametrize(
    "label",
    [
        "kidney_left", "left kidney", "LeftLung", "leftkidney", "RightAtrium", "femur R", "femur_L", "L-kidney",
        "LT lung", "Niere links", "rein gauche", "rein droit", "jambe droite", "rechts", "LEFT_LUNG", "lung.right",
        "lh_hippocampus", "ctx-rh-cuneus", "rib_l_1",
    ],
)  # fmt: skip
def test_label_with_a_word_for_left_or_right_names_a_side(label: str) -> None:
    assert names_a_side(label)


@pytest.mark.parametrize(
    "label", ["liver", "cleft", "tumour", "bright spot", "renal", "LV", "Rectum", "colon", "tail", "vertebrae_L1", "L4"]
)
def test_label_without_such_a_word_names_no_side(label: str) -> None:
    assert not names_a_side(label)


@settings(max_examples=25, deadline=None)
@given(
    shapes=st.lists(st.tuples(*[st.integers(8, 500)] * 3), min_size=1, max_size=4),
    spacing=st.tuples(*[st.sampled_from([0.4, 0.78, 1.0, 1.5, 3.0, 5.0])] * 3),
    is_2d=st.booleans(),
    device=st.sampled_from(["cpu", "cuda"]),
)
def test_plan_of_any_dataset_is_sound(
    shapes: list[tuple[int, int, int]], spacing: tuple[float, float, float], is_2d: bool, device: DeviceKind
) -> None:
    values = np.linspace(0, 1, 20)[np.newaxis]
    cases = tuple(
        CaseFingerprint((i, j, 1 if is_2d else k), ONE_MM if is_2d else spacing, values) for i, j, k in shapes
    )
    case = Case(case_id="a", patient_id="a", images=("a.nii.gz",))
    manifest = Manifest(name="any", channels=("MR",), labels={"background": 0, "organ": 1}, cases=(case,))
    plan = make_plan(Fingerprint(cases, (), is_2d), manifest, device=device)
    axes = plan.network.spatial_dims
    patch = plan.training.patch_size
    assert all(size % step == 0 for size, step in zip(patch[:axes], plan.network.patch_multiple, strict=True))
    assert plan.training.batch_size >= 2
    median = np.median([c.shape for c in cases], axis=0)
    if plan.reasons["training.patch_size"].startswith("covers"):
        assert (np.array(patch) >= np.round(median)).all()


def test_fingerprint_is_taken_along_ras_from_labelled_voxels(cohort: tuple[Manifest, Path]) -> None:
    manifest, root = cohort
    cases = [case for case in manifest.select("training") if case.scanner in ("axial", "coronal")][:2]
    missing = cases[0].model_copy(update={"case_id": "gone", "images": ("gone.nii.gz",)})
    done: list[str] = []
    found = take_fingerprint([missing, *cases], manifest, root, executor=SERIAL, on_done=done.append)
    assert sorted(done) == sorted(["gone", *(case.case_id for case in cases)])
    assert [(failure.case_id, failure.stage) for failure in found.failures] == [("gone", "plan")]
    assert not found.is_2d
    assert found.shapes().shape == found.spacings_mm().shape == (2, 3)
    for fingerprint in found.cases:
        extent = np.array(fingerprint.shape) * fingerprint.spacing_mm
        assert extent == pytest.approx([310, 220, 210], rel=0.08)
        assert fingerprint.foreground.shape[0] == 1
        assert 0 < fingerprint.foreground.shape[1] <= 10_000
    axial = found.cases[[case.scanner for case in cases].index("axial")]
    assert len(set(np.round(axial.spacing_mm, 4))) == 1


def test_dataset_without_a_readable_case_is_refused(cohort: tuple[Manifest, Path], tmp_path: Path) -> None:
    manifest, _ = cohort
    with pytest.raises(TrainingError, match="at least one training case must be readable, got none"):
        take_fingerprint(manifest.cases[:1], manifest, tmp_path, executor=SERIAL)


def test_plan_says_that_a_channel_mixes_modalities(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder
) -> None:
    manifest = build_manifest()
    cases = tuple(
        case.model_copy(update={"case_id": name, "modality": name})
        for case in manifest.cases[:1]
        for name in ("CT", "MR")
    )
    fingerprint = build_fingerprint([(40, 40, 40)], [ONE_MM])
    plan = make_plan(fingerprint, manifest.model_copy(update={"cases": cases}), device="cpu")
    assert "must be of one modality, got CT in 1 case(s), MR in 1 case(s)" in plan.reasons["preprocess.normalisation"]
