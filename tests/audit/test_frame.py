from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.audit import Finding, audit_manifest, load_for_audit
from medseg.audit.frame import EVEN, frame_level
from medseg.audit.image_hash import shrink
from medseg.audit.likeness import likeness
from medseg.audit.near_duplicates import LIKELY, SURE, Pair, find_near_duplicates, linked
from medseg.manifest.save import save_manifest
from medseg.records import Case, Manifest
from medseg.scans import write_picture
from scipy import ndimage

from tests.audit.eyes import eye
from tests.audit.made_up import blob


def inside(picture: np.ndarray) -> np.ndarray:
    small = shrink(picture)
    assert small is not None
    return ~np.ma.getmaskarray(small)


@pytest.mark.parametrize("reach", [0.9, 0.95, 1.06])
def test_different_eyes_in_one_round_field_of_view_are_no_pair(reach: float) -> None:
    eyes = [eye(seed, reach=reach) for seed in range(20)]
    pairs, left_out = find_near_duplicates([shrink(one) for one in eyes])
    assert (pairs, left_out) == ([], 0)


def test_eyes_are_unlike_inside_even_where_the_search_compares_them() -> None:
    small = [found for seed in range(8) if (found := shrink(eye(seed))) is not None]
    assert max(likeness(one, other) for at, one in enumerate(small) for other in small[:at]) < LIKELY - 0.05


@pytest.mark.parametrize("change", ["noise", "gamma", "scale", "fewer pixels", "crop"])
def test_copy_of_an_eye_is_found_among_eyes(change: str) -> None:
    eyes = [eye(seed) for seed in range(10)]
    copy = {
        "noise": lambda picture: picture + np.random.default_rng(0).normal(0, 8, picture.shape),
        "gamma": lambda picture: (picture / 255) ** 0.7,
        "scale": lambda picture: 3 * picture + 40,
        "fewer pixels": lambda picture: ndimage.zoom(picture, (0.7, 0.7, 1), order=1),
        "crop": lambda picture: picture[2:, 1:-2],
    }[change](eyes[4])
    (pair,) = find_near_duplicates([shrink(one) for one in (*eyes, copy.astype(np.float32))])[0]
    assert (pair.first, pair.second) == (4, 10)
    assert pair.likeness >= SURE


@pytest.mark.parametrize("level", [0.0, 255.0])
def test_frame_is_found_whatever_its_level(level: float) -> None:
    i, j = np.meshgrid(np.linspace(-1, 1, 120), np.linspace(-1, 1, 100), indexing="ij")
    is_seen = np.hypot(i, j) < 0.95
    picture = np.where(is_seen[:, :, None], 120 + 0.3 * blob(3, (120, 100, 1)), level).astype(np.float32)
    kept = inside(picture)
    assert 0.5 < kept.mean() < is_seen.mean()
    assert not kept[0, 0, 0]
    assert kept[32, 32, 0]


def test_dark_between_bright_cells_is_no_frame() -> None:
    picture = np.zeros((128, 128, 1), np.float32)
    for i, j in np.random.default_rng(1).integers(10, 118, (12, 2)):
        picture[i - 6 : i + 6, j - 6 : j + 6] = 100 + i
    assert inside(picture).all()


def test_image_without_an_even_margin_has_no_frame() -> None:
    volume = blob(0)
    assert frame_level(volume, span=float(np.ptp(volume))) is None
    flat = np.full((9, 9, 3), 7.0)
    flat[3:6, 3:6] = 90
    assert frame_level(flat, span=83.0) == pytest.approx(7, abs=83 * EVEN)


def test_volumes_that_share_a_cylinder_are_no_pair_and_their_copies_are() -> None:
    i, j = np.meshgrid(np.linspace(-1, 1, 40), np.linspace(-1, 1, 36), indexing="ij")
    outside = (np.hypot(i, j) > 0.9)[:, :, None]
    volumes = [np.where(outside, -3000, 0.4 * blob(seed)).astype(np.float32) for seed in range(12)]
    noisy = volumes[3] + np.where(outside, 0, np.random.default_rng(0).normal(0, 8, volumes[3].shape))
    pairs, _ = find_near_duplicates([shrink(volume) for volume in (*volumes, noisy.astype(np.float32))])
    assert [(pair.first, pair.second) for pair in pairs] == [(3, 12)]


def audited(tmp_path: Path, pictures: list[np.ndarray], patients: list[str]) -> list[Finding]:
    cases = []
    for number, (picture, patient) in enumerate(zip(pictures, patients, strict=True)):
        write_picture(picture[None].astype(np.uint8), tmp_path / f"{number}.png")
        cases.append(Case(case_id=f"c{number}", patient_id=patient, images=(f"{number}.png",), split="test"))
    manifest = Manifest(name="eyes", channels=("grey",), labels={"background": 0, "vessel": 1}, cases=tuple(cases))
    save_manifest(manifest, tmp_path / "dataset.json")
    loaded = load_for_audit(tmp_path)
    found = audit_manifest(loaded.manifest, loaded.root).findings
    return [one for one in found if one.check == "near_duplicate"]


def test_look_alikes_of_one_patient_are_one_note(tmp_path: Path) -> None:
    base, rng = eye(1), np.random.default_rng(0)
    phases = [np.clip(base + rng.normal(0, 2, base.shape), 0, 255) for _ in range(7)]
    (note,) = audited(tmp_path, [*phases, eye(2), eye(3)], [*("one" for _ in phases), "two", "three"])
    assert note.severity == "note"
    assert {note.case_id, *note.others} == {f"c{number}" for number in range(7)}
    assert "7 cases of 1 patient(s) look alike" in note.fact


def test_look_alikes_of_two_patients_are_one_error_beside_the_note(tmp_path: Path) -> None:
    base, rng = eye(1), np.random.default_rng(0)
    phases = [np.clip(base + rng.normal(0, 2, base.shape), 0, 255) for _ in range(4)]
    found = audited(tmp_path, phases, ["one", "one", "one", "two"])
    assert [one.severity for one in found] == ["error", "note"]
    assert "4 cases of 2 patient(s) look alike" in found[0].fact


def test_linked_pairs_form_groups() -> None:
    pairs = [Pair(a, b, 0, (False, False, False), 1.0) for a, b in ((0, 1), (4, 5), (2, 3), (1, 3), (6, 7))]
    groups = [{(pair.first, pair.second) for pair in group} for group in linked(pairs)]
    assert groups == [{(0, 1), (2, 3), (1, 3)}, {(4, 5)}, {(6, 7)}]
