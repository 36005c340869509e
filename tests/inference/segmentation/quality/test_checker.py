"""Flags of scans and masks against the statistics of a training."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from medseg.geometry import Geometry
from medseg.inference.flag_record import FlagRecord
from medseg.inference.segmentation.mask_model import Drawing
from medseg.inference.segmentation.quality import (
    ConfidenceCalibration,
    QualityChecker,
    TrainingStatistics,
    collect_statistics,
    statistics_of_many,
)
from medseg.origin import SeriesOrigin
from medseg.preprocess import ChannelNormalisation
from medseg.records import Labelmap, Scan

from tests.grids import grid
from tests.inference.segmentation.quality.organs import (
    CHANNELS,
    TARGET,
    TRAINING,
    facts_of,
    organ_case,
    organ_statistics,
)

CALIBRATION = ConfidenceCalibration(cases=20, exponent=2.0, error=0.02, p5=0.85, p95=0.95, limit=0.8)


@pytest.fixture(scope="module")
def statistics() -> TrainingStatistics:
    return organ_statistics()


def flags_of(
    statistics: TrainingStatistics | None, scan: Scan, mask: Labelmap, *, disagreement: dict[str, float] | None = None
) -> list[FlagRecord]:
    check = QualityChecker(TARGET, CHANNELS, statistics).begin(scan)
    return list(check.finish(Drawing(mask, disagreement)).flags)


def only(flags: list[FlagRecord]) -> FlagRecord:
    assert len(flags) == 1, flags
    return flags[0]


def with_array(scan: Scan, array: np.ndarray) -> Scan:
    return replace(scan, array=array.astype(np.float32))


def kinds(flags: list[FlagRecord]) -> set[str]:
    return {flag.kind for flag in flags}


def test_ordinary_cases_that_were_not_trained_on_are_rarely_flagged(statistics: TrainingStatistics) -> None:
    flagged = [bool(flags_of(statistics, *organ_case(seed))) for seed in range(1000, 1200)]
    assert np.mean(flagged) <= 0.05


def test_scan_of_zeros_is_flagged_by_its_channel_first(statistics: TrainingStatistics) -> None:
    scan, mask = organ_case(1)
    flag = flags_of(statistics, with_array(scan, 0 * scan.array), mask)[0]
    assert (flag.kind, flag.structure, flag.value) == ("intensity", None, 0.0)
    assert flag.reason == "channel MR holds one value, 0, everywhere"


def test_single_slice_is_flagged_by_its_field_of_view(statistics: TrainingStatistics) -> None:
    scan, mask = organ_case(1)
    one = Scan(scan.array[..., 10:11], scan.geometry.cropped(2, range(10, 11)))
    flag = next(flag for flag in flags_of(statistics, one, mask[..., 10:11]) if flag.kind == "grid")
    assert flag.value == pytest.approx(1.0)
    assert "1 voxel(s) or 1 mm feet to head; the training scans have 18 to 22 mm" in flag.reason


def test_turned_header_is_flagged_by_its_angle(statistics: TrainingStatistics) -> None:
    scan, mask = organ_case(1)
    turned = Scan(scan.array, grid(mask.shape, angles=(0.0, 0.0, np.radians(50))))
    flag = next(flag for flag in flags_of(statistics, turned, mask) if flag.kind == "orientation")
    assert flag.value == pytest.approx(40, abs=0.01)
    assert "turned by 40° against the patient's; those of the training scans by 0°" in flag.reason


def test_other_voxel_size_is_flagged(statistics: TrainingStatistics) -> None:
    scan, mask = organ_case(1)
    coarse = Scan(scan.array, Geometry(mask.shape, np.diag([3.0, 1.0, 1.0, 1.0])))
    reasons = [flag.reason for flag in flags_of(statistics, coarse, mask)]
    assert "voxels measure 3 mm left to right; those of the training scans 1 mm" in reasons


def test_intensities_of_another_kind_of_scan_are_flagged_once_for_each_channel(statistics: TrainingStatistics) -> None:
    scan, mask = organ_case(1)
    flag = only(flags_of(statistics, with_array(scan, scan.array - 1000 * (scan.array > 100)), mask))
    assert flag.kind == "intensity"
    assert flag.reason.startswith("channel MR: the ")


def test_units_count_only_where_the_network_is_given_units() -> None:
    scan, mask = organ_case(1)
    shifted = with_array(scan, scan.array + 400)
    assert flags_of(organ_statistics(), shifted, mask) == []
    flag = only(flags_of(organ_statistics(kind="ct"), shifted, mask))
    assert flag.value is not None
    assert flag.value > 400


def test_other_modality_is_flagged_where_it_is_known(statistics: TrainingStatistics) -> None:
    scan, mask = organ_case(1)
    origin = SeriesOrigin("", "", "", "CT", ())
    flag = only(flags_of(statistics, replace(scan, origin=origin), mask))
    assert (flag.kind, flag.reason) == ("modality", "the scan is CT; the training scans are MR")
    assert flags_of(statistics, replace(scan, origin=replace(origin, modality="MR")), mask) == []


def test_volume_outside_of_the_training_s_is_flagged_on_both_sides(statistics: TrainingStatistics) -> None:
    scan, mask = organ_case(1)
    large, small = mask.copy(), mask.copy()
    large[3:21, 3:21, 3:17] = 1
    small[7:, 8:16, 6:14] = 0
    for drawn, voxels in ((large, np.count_nonzero(large == 1)), (small, 64)):
        flag = next(flag for flag in flags_of(statistics, scan, drawn) if flag.kind == "volume")
        assert flag.structure == "organ"
        assert flag.value == pytest.approx(voxels / 1000)
        assert f"organ has {voxels / 1000:.3g} ml; in the training labels it has 0.448 to 0.576 ml" in flag.reason


def test_missing_structure_is_flagged_only_where_all_training_cases_have_it(statistics: TrainingStatistics) -> None:
    scan, mask = organ_case(1)
    assert statistics.structures["node"].present == TRAINING * 2 / 3
    assert flags_of(statistics, scan, np.where(mask == 2, 0, mask)) == []
    flag = only(flags_of(statistics, scan, np.where(mask == 1, 0, mask)))
    assert (flag.kind, flag.structure, flag.value) == ("volume", "organ", 0.0)
    assert flag.reason == "organ is not in the mask; 30 of 30 training cases have it"


def test_structure_that_no_training_case_has_is_flagged_where_it_is_drawn() -> None:
    scan, mask = organ_case(3)  # the cases that can be divided by 3 have no node
    usual = organ_statistics()
    never = usual.structures["node"].model_copy(update={"present": 0, "size": None, "main_share": None})
    statistics = usual.model_copy(update={"structures": usual.structures | {"node": never}})
    assert flags_of(statistics, scan, mask) == []
    mask[17:19, 4:6, 4:6] = 2
    assert "and no training case has it" in next(iter(flags_of(statistics, scan, mask))).reason


def test_contact_with_the_border_is_flagged_where_labels_have_none(statistics: TrainingStatistics) -> None:
    scan, mask = organ_case(1)
    mask[:7, 8:9, 6:7] = 1
    flag = only(flags_of(statistics, scan, mask))
    assert (flag.kind, flag.structure) == ("border", "organ")
    assert "in 0 of 30 training cases it does" in flag.reason


def test_few_cases_do_not_make_contact_with_the_border_unusual() -> None:
    scan, mask = organ_case(1)
    mask[:7, 8:9, 6:7] = 1
    assert flags_of(organ_statistics(10), scan, mask) == []


def test_scattered_parts_are_flagged(statistics: TrainingStatistics) -> None:
    scan, mask = organ_case(1)
    whole = np.count_nonzero(mask == 1)
    mask[11, 8:16, 6:14] = 0
    flag = next(flag for flag in flags_of(statistics, scan, mask) if flag.kind == "parts")
    assert flag.structure == "organ"
    assert flag.value == pytest.approx(5 * 64 / (whole - 64), abs=1e-3)
    assert "organ is in 2 parts" in flag.reason
    assert "it is in one part" in flag.reason


def test_specks_are_not_flagged(statistics: TrainingStatistics) -> None:
    scan, mask = organ_case(1)
    mask[3, 20, 3] = mask[3, 20, 16] = 1
    assert flags_of(statistics, scan, mask) == []


@pytest.mark.parametrize(("certain", "is_flagged"), [(0.97, False), (0.6, True)])
def test_confidence_is_the_dice_to_expect_and_flagged_below_the_validation_s(
    statistics: TrainingStatistics, certain: float, is_flagged: bool
) -> None:
    scan, mask = organ_case(3)
    calibrated = statistics.model_copy(update={"confidence": {"organ": CALIBRATION}})
    check = QualityChecker(TARGET, CHANNELS, calibrated).begin(scan)
    drawn = torch.from_numpy((mask == 1).astype(np.float32))
    check.observe(torch.stack([1 - certain * drawn, certain * drawn, 0 * drawn]))
    quality = check.finish(Drawing(mask))
    soft = 2 * certain / (1 + certain)  # all of the organ with one probability, nothing elsewhere
    assert quality.confidence == pytest.approx({"organ": soft**2}, abs=1e-4)
    assert ("confidence" in kinds(list(quality.flags))) == is_flagged
    if is_flagged:
        reason = only(list(quality.flags)).reason
        assert reason.startswith(f"organ: the Dice to expect is {soft**2:.2f}; masks of the 20 validation cases have ")
        assert reason.endswith("have 0.85 to 0.95, and below 0.80 they are flagged")


def test_without_statistics_only_a_doubtful_network_and_a_constant_scan_are_flagged() -> None:
    scan, mask = organ_case(1)
    checker = QualityChecker(TARGET, CHANNELS, None)
    assert "holds no statistics" in "".join(checker.warnings)
    mask[:] = 1
    assert flags_of(None, scan, mask) == []
    assert only(flags_of(None, with_array(scan, 0 * scan.array), mask)).kind == "intensity"
    check = checker.begin(scan)
    check.observe(torch.tensor([[0.3, 0.6], [0.4, 0.4], [0.3, 0.0]])[:, None, None, :])  # an organ, and background
    quality = check.finish(Drawing(mask))
    assert quality.confidence is None
    flag = only(list(quality.flags))
    assert flag.value == pytest.approx(2 * 0.4 / (0.4 + 0.4 + 1))
    assert "promise a Dice of 0.44 only" in flag.reason


def test_models_that_disagree_are_flagged(statistics: TrainingStatistics) -> None:
    scan, mask = organ_case(1)
    calibrated = statistics.model_copy(update={"confidence": {"organ": CALIBRATION}})
    assert flags_of(calibrated, scan, mask, disagreement={"organ": 0.15, "node": 0.3}) == []
    flag = only(flags_of(calibrated, scan, mask, disagreement={"organ": 0.25, "node": math.nan}))
    assert (flag.kind, flag.structure, flag.value) == ("disagreement", "organ", 0.25)
    assert "a Dice of 0.75 among each other, and below 0.80" in flag.reason
    assert only(flags_of(None, scan, mask, disagreement={"organ": 0.45, "node": 0.6})).structure == "node"


def test_one_network_s_calibration_is_not_taken_for_several(statistics: TrainingStatistics) -> None:
    scan, mask = organ_case(1)
    lenient = CALIBRATION.model_copy(update={"limit": 0.6})
    members = [statistics.model_copy(update={"confidence": {"organ": one}}) for one in (CALIBRATION, lenient)]
    joint = statistics_of_many([members[0], None, members[1]])
    checker = QualityChecker(TARGET, CHANNELS, joint, members=members)
    quality = checker.begin(scan).finish(Drawing(mask, {"organ": 0.35}))
    assert quality.confidence is None
    assert quality.flags == ()
    assert statistics_of_many([None, None]) is None


def test_pictures_are_compared_in_pixels_and_without_an_orientation() -> None:
    def picture(seed: int, *, scale: int = 1) -> tuple[Scan, Labelmap]:
        scan, label = organ_case(seed)
        array = scan.array[..., 10:11].repeat(scale, axis=1).repeat(scale, axis=2)
        label = label[..., 10:11].repeat(scale, axis=0).repeat(scale, axis=1)
        return Scan(array, Geometry.flat(array.shape[1], array.shape[2], spacing_mm=(1.0, 1.0))), label

    cases = [facts_of(*picture(seed)) for seed in range(TRAINING)]
    normalisation = (ChannelNormalisation(kind="zscore"),)
    statistics = collect_statistics(cases, TARGET.structures, normalisation=normalisation)
    assert statistics is not None
    assert statistics.scans.is_flat
    assert (statistics.scans.spacing_mm, statistics.scans.tilt_deg) == ((), None)
    assert flags_of(statistics, *picture(100)) == []
    reasons = " ".join(flag.reason for flag in flags_of(statistics, *picture(100, scale=3)))
    assert "pixel(s) " in reasons
    assert "pixels; in the training labels it has 56 to 72 pixels" in reasons
    assert " mm" not in reasons
    assert " ml" not in reasons
    scan, mask = organ_case(100)
    reasons = " ".join(flag.reason for flag in flags_of(statistics, scan, mask))
    assert f"{mask.shape[2]} pixel(s) in depth; the training scans have 1 pixel(s)" in reasons


def test_statistics_hold_no_case_and_come_back_from_json(statistics: TrainingStatistics) -> None:
    text = statistics.model_dump_json()
    assert TrainingStatistics.model_validate_json(text) == statistics
    assert len(organ_statistics(60).model_dump_json()) < 1.1 * len(text)  # numbers do not grow with the cases


def test_no_training_case_gives_no_statistics() -> None:
    with pytest.raises(ValueError, match="must be a case"):
        organ_statistics(0)


def test_two_training_cases_make_nothing_unusual_but_what_both_have_not() -> None:
    scan, mask = organ_case(1)
    mask[3:21, 3:21, 3:17] = 1
    assert flags_of(organ_statistics(2), scan, mask) == []


def test_structures_that_a_case_does_not_annotate_to_their_end_say_nothing_of_usual_masks() -> None:
    """Halves of organs among whole ones would make whole masks unusual, and halves usual."""
    cases = [organ_case(seed) for seed in range(TRAINING)]
    half = [(scan, np.where(np.indices(label.shape)[2] > 9, 0, label)) for scan, label in cases]
    settings = {"normalisation": (ChannelNormalisation(kind="zscore"),), "modalities": ["MR"] * TRAINING}
    whole = collect_statistics([facts_of(*case) for case in cases[::2]], ("organ",), **settings)
    mixed = collect_statistics(
        [facts_of(*(case if n % 2 == 0 else half[n])) for n, case in enumerate(cases)],
        ("organ", "node"),
        unknown=[("node",) if n % 2 == 0 else ("organ", "node") for n in range(TRAINING)],
        **settings,
    )
    assert whole is not None
    assert mixed is not None
    assert mixed.structures["organ"].present == whole.structures["organ"].present == TRAINING // 2
    assert mixed.structures["organ"].size is not None
    assert whole.structures["organ"].size is not None
    assert mixed.structures["organ"].size.p5 == whole.structures["organ"].size.p5
    assert "node" not in mixed.structures  # which no case annotates, so that none of it is flagged
    scan, label = organ_case(1)
    assert flags_of(mixed, scan, label) == []
