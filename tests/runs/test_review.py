"""Decisions of readers on their way into the next version of a data set."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from medseg.errors import ConfigError, DeliveryError, ManifestError
from medseg.inference.flag_record import FlagRecord
from medseg.inference.mask_folder import file_sha256
from medseg.inference.record import load_record, save_record
from medseg.manifest import assign_folds, load_manifest, manifest_digest, read_case_label, save_manifest
from medseg.phantom import write_cohort
from medseg.records import Manifest
from medseg.runs.segmentation.review import AppliedReview, ApplySettings, BuildSettings, apply_reviews, build_review
from medseg.runs.segmentation.review.new_label import write_label
from medseg.scans import read_label

from tests.conftest import Medseg
from tests.delivery.review.phantoms import write_masks
from tests.delivery.review.test_page import facts_of


class Place(NamedTuple):
    """A data set of which some cases lack a label, and masks for these."""

    data: Path
    masks: Path
    manifest: Manifest
    unlabelled: tuple[str, ...]

    def mask(self, case_id: str) -> Any:
        return read_label(self.masks / f"{case_id}.nii.gz", case_id=case_id)[0]

    def save(self, name: str, *cases: dict[str, Any], reader: str = "Anna", saved: str = "2026-11-02") -> Path:
        path = self.data.parent / name
        path.write_text(json.dumps({"medseg_review": 1, "reader": reader, "saved": saved, "cases": list(cases)}))
        return path

    def case(self, case_id: str, verdict: str | None, **more: Any) -> dict[str, Any]:
        digest = file_sha256(self.masks / f"{case_id}.nii.gz")
        decided = "2026-11-01T10:00:00+00:00" if verdict else ""
        return {"case_id": case_id, "mask_sha256": digest, "verdict": verdict, "decided": decided} | more

    def apply(self, *reviews: Path, **settings: Any) -> AppliedReview:
        return apply_reviews(self.masks, reviews, ApplySettings(dataset=self.data, **settings))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Six patients with a case each; three cases have no label, and masks that are their true labels."""
    manifest = write_cohort(tmp_path / "data", patients=6, test_patients=1)
    root = tmp_path / "data"
    chosen = manifest.select("training")[:3]
    masks = {}
    for case in chosen:
        masks[case.case_id] = (root / case.images[0], read_case_label(case, manifest, root)[0])
    write_masks(tmp_path / "masks", masks, labels=dict(manifest.labels))
    ids = tuple(case.case_id for case in chosen)
    cases = tuple(one.model_copy(update={"label": None} if one.case_id in ids else {}) for one in manifest.cases)
    manifest = manifest.model_copy(update={"cases": cases})
    save_manifest(manifest, root / "dataset.json")
    return Place(root, tmp_path / "masks", manifest, ids)


def label_of(place: Place, case_id: str, dataset: Path | None = None) -> Any:
    manifest, root = load_manifest(dataset or place.data, data_root=place.data)
    (case,) = (one for one in manifest.cases if one.case_id == case_id)
    return read_case_label(case, manifest, root)


def test_accepted_mask_is_the_label_of_the_next_version(place: Place) -> None:
    first, second, _ = place.unlabelled
    value = place.manifest.foreground[next(iter(place.manifest.foreground))]
    mask = place.mask(second)
    voxel = int(np.flatnonzero(mask.ravel(order="F") == 0)[0])
    edits = [{"value": value, "runs": [voxel, 1]}]
    done = place.apply(place.save("r.json", place.case(first, "accepted"), place.case(second, "accepted", edits=edits)))
    assert (done.accepted, done.corrected, done.failures) == ((first,), (second,), ())
    assert done.previous == place.data / "dataset.v1.json"
    manifest, _ = load_manifest(place.data)
    assert manifest.version == "2"
    np.testing.assert_array_equal(label_of(place, first)[0], place.mask(first))
    corrected, grid = label_of(place, second)
    assert np.flatnonzero((corrected != mask).ravel(order="F")).tolist() == [voxel]
    (case,) = (one for one in manifest.cases if one.case_id == second)
    assert case.label == f"reviewed/v2/labels/{second}.nii.gz"
    review = case.label_review
    assert review is not None
    assert (review.verdict, review.readers, review.models) == ("corrected", ("Anna",), ("abdomen 1, wwwwwwwwwwww",))
    assert case.label_ml is not None
    name = next(iter(place.manifest.foreground))
    count = int((corrected == value).sum())
    assert case.label_ml[name] == pytest.approx(count * grid.voxel_ml)
    assert {one.case_id for one in manifest.cases} == {one.case_id for one in place.manifest.cases}


def test_nothing_of_the_source_is_touched(place: Place) -> None:
    before = {path: path.read_bytes() for path in place.data.rglob("*") if path.is_file()}
    place.apply(place.save("r.json", place.case(place.unlabelled[0], "accepted")))
    after = {path: path.read_bytes() for path in before if path.name != "dataset.json"}
    assert after == {path: content for path, content in before.items() if path.name != "dataset.json"}
    assert (place.data / "dataset.v1.json").read_bytes() == before[place.data / "dataset.json"]


def test_rejected_case_waits_for_a_label_with_its_reason(place: Place) -> None:
    case_id = place.unlabelled[0]
    done = place.apply(place.save("r.json", place.case(case_id, "rejected", comment="misses the tip")))
    assert (done.queued, done.file) == ((case_id,), None)
    (waiting,) = json.loads((place.data / "to_label.json").read_text(encoding="utf-8"))["cases"]
    assert (waiting["case_id"], waiting["reason"], waiting["readers"]) == (case_id, "misses the tip", ["Anna"])
    assert load_manifest(place.data)[0].version == "1"
    later = place.case(case_id, "accepted", decided="2026-11-05T10:00:00+00:00")
    place.apply(place.save("later.json", later))
    assert json.loads((place.data / "to_label.json").read_text(encoding="utf-8"))["cases"] == []


def test_every_decision_is_kept(place: Place) -> None:
    first, second, third = place.unlabelled
    place.apply(place.save("a.json", place.case(first, "accepted", seconds=12.0)))
    cases = (place.case(second, "rejected", comment="no"), place.case(third, None, comment="ask Ben"))
    done = place.apply(place.save("b.json", *cases, reader="Ben"))
    assert done.undecided == (third,)
    log = json.loads((place.data / "reviews.json").read_text(encoding="utf-8"))["reviews"]
    assert [(one["case_id"], one["reader"], one["verdict"], one["outcome"]) for one in log] == [
        (first, "Anna", "accepted", "label"),
        (second, "Ben", "rejected", "queued"),
        (third, "Ben", None, "undecided"),
    ]
    assert (log[0]["seconds"], log[2]["comment"]) == (12.0, "ask Ben")


def test_same_review_twice_changes_nothing(place: Place) -> None:
    review = place.save("r.json", place.case(place.unlabelled[0], "accepted"))
    place.apply(review)
    before = {path: path.read_bytes() for path in place.data.rglob("*") if path.is_file()}
    done = place.apply(review)
    assert (done.known, done.file) == (place.unlabelled[:1], None)
    assert {path: path.read_bytes() for path in place.data.rglob("*") if path.is_file()} == before


def test_corrections_of_a_known_decision_are_not_passed_over(place: Place) -> None:
    case = place.unlabelled[0]
    place.apply(place.save("1.json", place.case(case, "accepted")))
    voxel = int(np.flatnonzero(place.mask(case).ravel(order="F"))[0])
    corrected = place.save("2.json", place.case(case, "accepted", edits=[{"value": 0, "runs": [voxel, 1]}]))
    done = place.apply(corrected)  # of the same second
    assert (done.known, len(done.failures)) == ((), 1)
    assert place.apply(corrected, replace=True).corrected == (case,)
    assert place.apply(corrected, replace=True).known == (case,)


def test_call_that_was_killed_before_the_log_is_finished_by_the_next(place: Place) -> None:
    review = place.save("r.json", place.case(place.unlabelled[0], "accepted"))
    place.apply(review)
    (place.data / "reviews.json").unlink()
    done = place.apply(review)
    assert (done.known, done.failures) == (place.unlabelled[:1], ())
    assert load_manifest(place.data)[0].version == "2"
    assert len(json.loads((place.data / "reviews.json").read_text(encoding="utf-8"))["reviews"]) == 1


def test_readers_who_disagree_are_reported_and_the_case_stays(place: Place) -> None:
    first, second, third = place.unlabelled
    edits = [{"value": 0, "runs": [0, 1]}]
    anna = place.save("a.json", *(place.case(one, "accepted") for one in place.unlabelled))
    theirs = (place.case(first, "rejected"), place.case(second, "accepted"), place.case(third, "accepted", edits=edits))
    done = place.apply(anna, place.save("b.json", *theirs, reader="Ben"))
    assert (done.disputed, done.accepted) == ((first, third), (second,))
    manifest, _ = load_manifest(place.data)
    labels = {case.case_id: case for case in manifest.cases}
    assert labels[first].label is None
    review = labels[second].label_review
    assert review is not None
    assert review.readers == ("Anna", "Ben")


def test_later_word_of_one_reader_counts(place: Place) -> None:
    case_id = place.unlabelled[0]
    monday = place.save("1.json", place.case(case_id, "accepted"), saved="2026-11-01")
    tuesday = place.save("2.json", place.case(case_id, "rejected"), saved="2026-11-02")
    assert place.apply(tuesday, monday).queued == (case_id,)


def test_mask_that_was_drawn_again_is_refused_and_the_others_are_taken(place: Place) -> None:
    first, second, _ = place.unlabelled
    cases = (place.case(first, "accepted", mask_sha256="0" * 64), place.case(second, "accepted"))
    done = place.apply(place.save("r.json", *cases))
    assert done.accepted == (second,)
    (failure,) = done.failures
    assert f"case {first}: its mask must be the one that was read" in failure.reason


@pytest.mark.parametrize("change", ["drawn again", "gone"])
def test_rejection_of_a_mask_that_was_drawn_again_is_refused_as_its_acceptance_is(place: Place, change: str) -> None:
    first, second, _ = place.unlabelled
    review = place.save("r.json", place.case(first, "rejected"), place.case(second, "rejected"))
    path = place.masks / f"{first}.nii.gz"
    path.unlink() if change == "gone" else shutil.copyfile(place.masks / f"{second}.nii.gz", path)
    done = place.apply(review)
    assert done.queued == (second,)
    (failure,) = done.failures
    assert f"case {first}: its mask must be the one that was read" in failure.reason
    (waiting,) = json.loads((place.data / "to_label.json").read_text(encoding="utf-8"))["cases"]
    assert waiting["case_id"] == second


def apply_in_another_process(place: Place, review: Path, **more: Any) -> subprocess.Popen[str]:
    """A call that stops before its first case, and goes on when it reads a line."""
    code = (
        "import sys; from pathlib import Path;"
        "from medseg.runs.segmentation.review import ApplySettings, apply_reviews;"
        "from medseg.runs.segmentation.review import apply as module; load = module.check_labels;"
        "module.check_labels = lambda *given: (load(*given), print('held', flush=True), sys.stdin.readline());"
        "data, masks, review = map(Path, sys.argv[1:]);"
        "apply_reviews(masks, [review], ApplySettings(dataset=data))"
    )
    command = [sys.executable, "-c", code, str(place.data), str(place.masks), str(review)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more)


def test_second_review_at_the_same_time_is_refused_and_both_are_whole_in_the_end(place: Place) -> None:
    first, second, _ = place.unlabelled
    anna = place.save("a.json", place.case(first, "accepted"))
    ben = place.save("b.json", place.case(second, "accepted"), reader="Ben")
    with apply_in_another_process(place, anna) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DeliveryError, match=r"changed by one review at a time.* wait for its end, and give the"):
            place.apply(ben)
        with pytest.raises(DeliveryError, match="changed by one review at a time"):
            place.apply(ben, out=place.data.parent / "elsewhere.json")  # whose labels go to the same data root
        other.communicate("go on\n")
    assert other.returncode == 0
    assert place.apply(ben).accepted == (second,)
    manifest, _ = load_manifest(place.data)
    labels = {case.case_id: case.label for case in manifest.cases}
    assert (manifest.version, labels[first], labels[second]) == (
        "3", f"reviewed/v2/labels/{first}.nii.gz", f"reviewed/v3/labels/{second}.nii.gz",
    )  # fmt: skip
    log = json.loads((place.data / "reviews.json").read_text(encoding="utf-8"))["reviews"]
    assert [(one["case_id"], one["reader"]) for one in log] == [(first, "Anna"), (second, "Ben")]


def test_review_that_was_killed_blocks_none_after_it(place: Place) -> None:
    review = place.save("r.json", place.case(place.unlabelled[0], "accepted"))
    with apply_in_another_process(place, review) as other:
        assert other.stdout is not None
        other.stdout.readline()
        other.kill()
    assert place.apply(review).accepted == place.unlabelled[:1]


def test_manifest_that_changes_under_a_review_is_not_replaced(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from medseg.runs.segmentation.review import apply as module

    def split_meanwhile(*given: Any, **named: Any) -> Path:
        save_manifest(place.manifest.model_copy(update={"version": "7"}), place.data / "dataset.json")
        return write_label(*given, **named)

    monkeypatch.setattr(module, "write_label", split_meanwhile)
    review = place.save("r.json", place.case(place.unlabelled[0], "accepted"))
    with pytest.raises(DeliveryError, match="must stay as it was read while a review is taken over"):
        place.apply(review)
    assert load_manifest(place.data)[0].version == "7"
    monkeypatch.undo()
    assert place.apply(review).manifest.version == "8"


def test_label_is_replaced_only_when_it_is_asked_for(place: Place) -> None:
    case = place.unlabelled[0]
    place.apply(place.save("1.json", place.case(case, "accepted")))
    old = place.data / "reviewed" / "v2" / "labels" / f"{case}.nii.gz"
    content = old.read_bytes()
    mask = place.mask(case)
    voxel = int(np.flatnonzero(mask.ravel(order="F"))[0])
    edits = [{"value": 0, "runs": [voxel, 1]}]
    again = place.save("2.json", place.case(case, "accepted", edits=edits, decided="2026-11-09T00:00:00+00:00"))
    (failure,) = place.apply(again).failures
    assert "case has a label already" in failure.reason
    assert place.apply(again, replace=True).corrected == (case,)
    label = read_label(place.data / "reviewed" / "v3" / "labels" / old.name, case_id=case)[0]
    assert np.flatnonzero((label != mask).ravel(order="F")).tolist() == [voxel]
    assert old.read_bytes() == content


@pytest.mark.parametrize("is_partial", [True, False])
def test_raters_stay_beside_a_reviewed_label_unless_they_annotated_less_than_it_holds(
    place: Place, is_partial: bool
) -> None:
    chosen, first = place.unlabelled[0], next(iter(place.manifest.foreground))
    raters = {name: f"{name}.nii.gz" for name in ("A", "B")}
    entered = {"raters": raters, "annotated_labels": (first,) if is_partial else None}
    cases = [one.model_copy(update=entered if one.case_id == chosen else {}) for one in place.manifest.cases]
    save_manifest(place.manifest.model_copy(update={"cases": tuple(cases)}), place.data / "dataset.json")
    done = place.apply(place.save("1.json", place.case(chosen, "accepted")), replace=True)
    (case,) = (one for one in load_manifest(place.data)[0].cases if one.case_id == chosen)
    assert case.annotated_labels is None
    assert case.raters == (None if is_partial else raters)
    assert any("no longer list their raters" in text and chosen in text for text in done.warnings) is is_partial
    assert done.previous is not None
    assert raters in [one.raters for one in load_manifest(done.previous, data_root=place.data)[0].cases]


def without(place: Place, case_id: str) -> Manifest:
    """The data set without a case, whose scan and mask are there."""
    manifest = place.manifest.model_copy(
        update={"cases": tuple(case for case in place.manifest.cases if case.case_id != case_id)}
    )
    save_manifest(manifest, place.data / "dataset.json")
    return manifest


def test_new_scan_joins_only_with_its_patient(place: Place, tmp_path: Path) -> None:
    case_id = place.unlabelled[0]
    before = without(place, case_id)
    review = place.save("r.json", place.case(case_id, "accepted"))
    (failure,) = place.apply(review).failures
    assert "its patient must be known" in failure.reason
    with (tmp_path / "patients.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("case_id", "patient_id"), (case_id, "p_new")])
    done = place.apply(review, patients=tmp_path / "patients.csv")
    assert done.accepted == (case_id,)
    (case,) = (one for one in load_manifest(place.data)[0].cases if one.case_id == case_id)
    assert (case.patient_id, case.split) == ("p_new", "training")
    assert case.images == next(one.images for one in place.manifest.cases if one.case_id == case_id)
    folds = [one.fold for one in assign_folds(before).select("training")]
    assert folds.count(case.fold) == min(map(folds.count, folds))


def test_new_scans_of_a_data_set_without_folds_are_spread_and_change_none_of_its_trainings(
    place: Place, tmp_path: Path
) -> None:
    new = place.unlabelled[:2]
    known = tuple(
        case.model_copy(update={"fold": None}) for case in place.manifest.cases if case.case_id not in place.unlabelled
    )
    more = [known[0].model_copy(update={"case_id": f"more_{n}", "patient_id": f"more_{n}"}) for n in range(4)]
    before = place.manifest.model_copy(update={"cases": (*known, *more)})
    save_manifest(before, place.data / "dataset.json")
    with (tmp_path / "patients.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("case_id", "patient_id"), *((case_id, f"of_{case_id}") for case_id in new)])
    review = place.save("r.json", *(place.case(case_id, "accepted") for case_id in new))
    assert place.apply(review, patients=tmp_path / "patients.csv").accepted == new
    folds = {case.case_id: case.fold for case in load_manifest(place.data)[0].select("training")}
    trained = {case.case_id: case.fold for case in assign_folds(before).select("training")}
    assert {case_id: folds[case_id] for case_id in trained} == trained
    assert len({folds[case_id] for case_id in new}) == 2


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (("{},p_1", "{},p_2"), "got 'p_1' and 'p_2'"),
        (("{},p_1", "{},"), "got 'p_1' and ''"),
        (("{}",), "with patient_id ''"),
        ((",p_1",), "case_id '' with patient_id 'p_1'"),
    ],
)
def test_table_gives_each_case_one_patient(place: Place, tmp_path: Path, lines: tuple[str, ...], named: str) -> None:
    case_id = place.unlabelled[0]
    without(place, case_id)
    table = tmp_path / "patients.csv"
    table.write_text("\n".join(("case_id,patient_id", *lines)).format(*[case_id] * 2), encoding="utf-8")
    with pytest.raises(ManifestError, match=re.escape(named)):
        place.apply(place.save("r.json", place.case(case_id, "accepted")), patients=table)
    table.write_text(f"case_id,patient_id\n{case_id},p_1\n,\n\n{case_id},p_1 \n", encoding="utf-8")
    assert place.apply(place.save("r.json", place.case(case_id, "accepted")), patients=table).accepted == (case_id,)


def test_new_scan_from_elsewhere_is_written_below_the_data_root(place: Place, tmp_path: Path) -> None:
    case_id = place.unlabelled[0]
    (image,) = next(case.images for case in place.manifest.cases if case.case_id == case_id)
    moved = tmp_path / "elsewhere" / "scan.nii.gz"
    moved.parent.mkdir()
    shutil.copyfile(place.data / image, moved)
    mask = place.mask(case_id)
    write_masks(place.masks, {case_id: (moved, mask)}, labels=dict(place.manifest.labels))
    without(place, case_id)
    other = place.manifest.cases[-1]
    (tmp_path / "p.csv").write_text(f"case_id,patient_id\n{case_id},{other.patient_id}\n", encoding="utf-8")
    done = place.apply(place.save("r.json", place.case(case_id, "accepted")), patients=tmp_path / "p.csv")
    (case,) = (one for one in done.manifest.cases if one.case_id == case_id)
    assert case.images == (f"reviewed/v2/images/{case_id}.nii.gz",)
    assert (case.split, case.fold) == (other.split, other.fold)  # a patient stays in one part
    np.testing.assert_array_equal(label_of(place, case_id)[0], mask)
    if other.split == "test":
        assert "got a reviewed mask as their reference" in done.warnings[0]


def test_labels_are_matched_by_name(place: Place) -> None:
    record = load_record(place.masks)
    assert record is not None
    names = list(place.manifest.foreground)
    shifted = {"background": 0, **{name: value + 10 for name, value in place.manifest.foreground.items()}}
    masks = {}
    for case_id in place.unlabelled:
        mask = place.mask(case_id)
        (image,) = next(case.images for case in place.manifest.cases if case.case_id == case_id)
        masks[case_id] = (place.data / image, np.where(mask > 0, mask + 10, 0).astype(np.uint8))
    expected = place.mask(place.unlabelled[0])
    write_masks(place.masks, masks, labels=shifted)
    place.apply(place.save("r.json", place.case(place.unlabelled[0], "accepted")))
    np.testing.assert_array_equal(label_of(place, place.unlabelled[0])[0], expected)
    save_record(record.model_copy(update={"labels": {"background": 0, names[0]: 1, "new": 99}}), place.masks)
    with pytest.raises(ConfigError, match="masks and data set must name the same labels, got new only in the masks"):
        place.apply(place.save("r.json", place.case(place.unlabelled[1], "accepted")))


def test_reviewed_labels_change_no_digest_of_earlier_manifests(place: Place) -> None:
    manifest, _ = load_manifest(place.data)
    assert manifest_digest(manifest) == manifest_digest(place.manifest)
    content = json.loads((place.data / "dataset.json").read_text(encoding="utf-8"))
    assert "label_review" not in json.dumps(content)


def test_damaged_log_is_not_overwritten(place: Place) -> None:
    (place.data / "reviews.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"reviews.json: must be as medseg review wrote it"):
        place.apply(place.save("r.json", place.case(place.unlabelled[0], "accepted")))
    assert (place.data / "reviews.json").read_text(encoding="utf-8") == "{}"


def test_pages_show_flagged_masks_first_and_leave_out_what_cannot_be_shown(place: Place, tmp_path: Path) -> None:
    record = load_record(place.masks)
    assert record is not None
    flag = FlagRecord(kind="parts", reason="four parts")
    cases = [case.model_copy(update={"flags": (flag,)} if n == 2 else {}) for n, case in enumerate(record.cases)]
    save_record(record.model_copy(update={"cases": tuple(cases)}), place.masks)
    (place.masks / f"{place.unlabelled[0]}.nii.gz").write_bytes(b"torn")
    built = build_review(place.masks, BuildSettings(out=tmp_path / "r.html"))
    assert built.cases == (place.unlabelled[2], place.unlabelled[1])
    assert [failure.case_id for failure in built.failures] == [place.unlabelled[0]]
    facts = facts_of((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert facts["cases"][0]["flags"] == ["four parts"]
    assert facts["cases"][1]["sha256"] == file_sha256(place.masks / f"{place.unlabelled[1]}.nii.gz")


def test_changed_scan_is_not_shown_with_a_mask_of_another(place: Place, tmp_path: Path) -> None:
    record = load_record(place.masks)
    assert record is not None
    changed = [replace_source(case, sha256="0" * 64) for case in record.cases]
    save_record(record.model_copy(update={"cases": tuple(changed)}), place.masks)
    with pytest.raises(DeliveryError, match="must show at least one case, got none"):
        build_review(place.masks, BuildSettings(out=tmp_path / "r.html"))


def replace_source(case: Any, **changes: Any) -> Any:
    return case.model_copy(update={"source": case.source.model_copy(update=changes)})


def test_reviewed_data_set_trains(medseg: Medseg, place: Place, tmp_path: Path) -> None:
    review = place.save("r.json", *(place.case(one, "accepted") for one in place.unlabelled))
    outcome = medseg("review", "apply", place.masks, review, "--dataset", place.data)
    assert outcome.code == 0, outcome.err
    assert f"next: medseg train {place.data / 'dataset.json'} --out run" in outcome.out
    settings = tmp_path / "quick.yaml"
    settings.write_text("training: {batch_size: 1}\n", encoding="utf-8")
    trained = medseg(
        "train", place.data / "dataset.json", "--out", tmp_path / "run", "--fold", 0, "--epochs", 1, "--no-tracking",
        "--config", settings,
    )  # fmt: skip
    assert trained.code == 0, trained.err
    card = json.loads((tmp_path / "run" / "model" / "model.json").read_text(encoding="utf-8"))
    run = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert set(place.unlabelled) <= {*card["trained_on"], *run["validation"]}


def test_mask_of_another_scan_with_the_same_id_is_refused(place: Place) -> None:
    first, second, _ = place.unlabelled
    images = {case.case_id: case.images for case in place.manifest.cases}
    swapped = tuple(
        case.model_copy(update={"images": images[second]}) if case.case_id == first else case
        for case in place.manifest.cases
    )
    save_manifest(place.manifest.model_copy(update={"cases": swapped}), place.data / "dataset.json")
    (failure,) = place.apply(place.save("r.json", place.case(first, "accepted"))).failures
    assert "image" in failure.reason
    assert load_manifest(place.data)[0].version == "1"


def test_call_that_was_killed_before_the_manifest_is_finished_by_the_next(place: Place) -> None:
    case = place.unlabelled[0]
    review = place.save("r.json", place.case(case, "accepted"))
    place.apply(review)
    (place.data / "dataset.v1.json").replace(place.data / "dataset.json")
    (place.data / "reviews.json").unlink()
    assert place.apply(review).accepted == (case,)


def test_label_of_another_output_is_never_overwritten(place: Place) -> None:
    case = place.unlabelled[0]
    one = place.apply(place.save("r.json", place.case(case, "accepted")), out=place.data / "one.json")
    assert one.file is not None
    voxel = int(np.flatnonzero(place.mask(case).ravel(order="F"))[0])
    edits = [{"value": 0, "runs": [voxel, 1]}]
    again = place.save("2.json", place.case(case, "accepted", edits=edits))
    place.apply(again, out=place.data / "two.json", replace=True)
    np.testing.assert_array_equal(label_of(place, case, one.file)[0], place.mask(case))


def test_mask_without_a_voxel_is_no_label_where_labels_may_not_be_empty(place: Place) -> None:
    case = place.unlabelled[0]
    edits = [{"value": 0, "runs": [0, place.mask(case).size]}]
    (failure,) = place.apply(place.save("r.json", place.case(case, "accepted", edits=edits))).failures
    assert "mask must hold at least one voxel of a structure" in failure.reason


def test_rejected_mask_says_nothing_of_a_label_from_elsewhere(place: Place) -> None:
    case = place.unlabelled[0]
    review = place.save("r.json", place.case(case, "rejected"))
    assert place.apply(review).queued == (case,)
    labelled = next(one.label for one in place.manifest.cases if one.label)
    cases = tuple(
        one.model_copy(update={"label": labelled} if one.case_id == case else {}) for one in place.manifest.cases
    )
    save_manifest(place.manifest.model_copy(update={"cases": cases}), place.data / "dataset.json")
    again = place.save("2.json", place.case(case, "rejected", decided="2026-12-01"))
    assert place.apply(again).rejected == (case,)
    assert json.loads((place.data / "to_label.json").read_text(encoding="utf-8"))["cases"] == []


def test_label_whose_mask_is_rejected_later_is_warned_of(place: Place) -> None:
    case = place.unlabelled[0]
    place.apply(place.save("1.json", place.case(case, "accepted")))
    done = place.apply(place.save("2.json", place.case(case, "rejected", decided="2026-12-01"), reader="Ben"))
    assert done.queued == (case,)
    assert done.warnings[0].endswith(f"until they get another: {case}")


def test_dispute_that_is_given_again_is_kept_once(place: Place) -> None:
    case = place.unlabelled[0]
    files = (
        place.save("a.json", place.case(case, "accepted")),
        place.save("b.json", place.case(case, "rejected"), reader="Ben"),
    )
    for _ in range(2):
        assert place.apply(*files).disputed == (case,)
    assert len(json.loads((place.data / "reviews.json").read_text(encoding="utf-8"))["reviews"]) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"seconds": float("inf")},
        {"decided": "yesterday"},
        {"edits": [{"value": 1, "runs": [2**62, 2**62]}]},
        {"edits": [{"value": 1, "runs": [2**70, 1]}]},
    ],
)
def test_review_that_was_edited_by_hand_is_refused_before_anything_is_written(
    place: Place, change: dict[str, Any]
) -> None:
    review = place.save("r.json", place.case(place.unlabelled[0], "accepted") | change)
    with pytest.raises(ManifestError, match="must be as the review page saved it"):
        place.apply(review)
    assert not (place.data / "reviews.json").exists()


def test_case_that_comes_twice_and_nested_nonsense_are_refused(place: Place) -> None:
    case = place.unlabelled[0]
    with pytest.raises(ManifestError, match="each case must come once"):
        place.apply(place.save("r.json", place.case(case, "accepted"), place.case(case, "rejected")))
    (place.data / "deep.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(ManifestError, match="must be as the review page saved it"):
        place.apply(place.data / "deep.json")


@pytest.mark.parametrize("change", [{"case_id": "../../evil"}, {"mask": "../data/dataset.json"}, {"case_id": "a/b"}])
def test_names_that_lead_out_of_the_folder_of_masks_are_refused(place: Place, change: dict[str, str]) -> None:
    record = load_record(place.masks)
    assert record is not None
    changed = (record.cases[0].model_copy(update=change), *record.cases[1:])
    save_record(record.model_copy(update={"cases": changed}), place.masks)
    with pytest.raises(DeliveryError, match="ids and masks must be usable as names of files"):
        place.apply(place.save("r.json", place.case(place.unlabelled[1], "accepted")))


def test_second_reader_who_accepts_the_mask_that_is_the_label_agrees(place: Place) -> None:
    first, second, _ = place.unlabelled
    cases = [place.case(one, "accepted") for one in (first, second)]
    place.apply(place.save("a.json", *cases))
    before = load_manifest(place.data)[0]
    rejected = place.case(second, "rejected") | {"decided": "2026-11-02T10:00:00+00:00"}
    assert place.apply(place.save("b.json", rejected, reader="Ben")).queued == (second,)
    later = [one | {"decided": "2026-11-03T10:00:00+00:00"} for one in cases]
    done = place.apply(place.save("c.json", *later, reader="Cleo"))
    assert (done.known, done.failures, done.file) == ((first, second), (), None)
    assert load_manifest(place.data)[0] == before
    log = json.loads(done.log.read_text())["reviews"]
    assert [(one["case_id"], one["outcome"]) for one in log if one["reader"] == "Cleo"] == [
        (first, "label"),
        (second, "label"),
    ]
    assert json.loads(done.queue.read_text())["cases"] == []
