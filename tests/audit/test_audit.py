from __future__ import annotations

from pathlib import Path

import medseg.audit.audit as module
import pytest
from medseg.audit import audit_manifest, load_for_audit
from medseg.audit.audit import choose_shown
from medseg.audit.finding import Finding
from medseg.cohort import ThreadExecutor
from medseg.delivery.audit import draw_planes
from medseg.errors import ManifestError
from medseg.records import Manifest

from tests.audit.dirty import Dataset, findings, only
from tests.audit.made_up import cohort_of


def test_clean_cohort_has_no_errors_and_no_warnings(cohort: tuple[Manifest, Path]) -> None:
    audit = audit_manifest(*cohort)
    assert findings(audit) == []
    assert [found.check for found in audit.findings] == ["intensity", "sides"]  # three scanners, two kidneys
    assert [facts.case_id for facts in audit.cases] == [case.case_id for case in cohort[0].cases]


def test_threads_change_nothing(dataset: Dataset) -> None:
    dataset.set("phantom_01_0", fold=1)
    dataset.label("phantom_02_0").unlink()
    loaded = load_for_audit(dataset.folder)
    one, four = (audit_manifest(loaded.manifest, loaded.root, executor=ThreadExecutor(count)) for count in (1, 4))
    assert one.findings == four.findings
    assert [facts.image_digest for facts in one.cases] == [facts.image_digest for facts in four.cases]


def test_damaged_file_is_told_and_stops_nothing(dataset: Dataset) -> None:
    image = dataset.image("phantom_04_0")
    image.write_bytes(image.read_bytes()[:2000])
    done: list[str] = []
    loaded = load_for_audit(dataset.folder)
    audit = audit_manifest(loaded.manifest, loaded.root, on_done=done.append)
    assert len(done) == len(audit.cases) == 11
    assert (only(audit).check, only(audit).severity, only(audit).case_id) == ("unreadable", "error", "phantom_04_0")
    assert "must be a whole NIfTI file" in only(audit).fact
    assert sum(facts.geometry is not None for facts in audit.cases) == 10


def test_missing_file_is_told(dataset: Dataset) -> None:
    dataset.label("phantom_04_0").unlink()
    assert "must exist under the data root" in only(dataset.audit()).fact


def test_error_that_nobody_foresaw_is_told_without_its_text(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.examine_case

    def examine(case, manifest, root, *, draw):  # type: ignore[no-untyped-def]
        if case.case_id == "phantom_04_0":
            raise KeyError("/home/somebody/secret")
        return real(case, manifest, root, draw=draw)

    monkeypatch.setattr(module, "examine_case", examine)
    found = only(dataset.audit())
    assert (found.check, found.case_id) == ("crashed", "phantom_04_0")
    assert "got KeyError" in found.fact
    assert "secret" not in found.message


def test_errors_come_first_then_in_the_order_of_the_checks(dataset: Dataset) -> None:
    dataset.label("phantom_04_0").unlink()
    dataset.edit_voxels(dataset.label("phantom_05_0"), lambda label: label.astype("float32"))
    dataset.edit_voxels(dataset.label("phantom_02_0"), lambda label: label * 0)
    assert [found.check for found in findings(dataset.audit())] == ["unreadable", "empty_label", "label_type"]


def test_checksum_that_is_not_the_manifests_is_told_and_the_case_still_looked_at(dataset: Dataset) -> None:
    name = dataset.entry("phantom_04_0")["label"]
    dataset.set("phantom_04_0", sha256={name: "0" * 64})
    audit = dataset.audit()
    assert (only(audit).check, only(audit).severity) == ("checksum", "error")
    assert name in only(audit).fact
    assert audit.cases[6].labels


def test_manifest_without_cases_is_refused(dataset: Dataset) -> None:
    dataset.change(training=[], test=[])
    with pytest.raises(ManifestError, match="must list at least one case"):
        dataset.audit()


def test_cases_with_findings_are_shown_before_others_of_a_large_cohort() -> None:
    cases = cohort_of(1000)
    told = [Finding("constant", "error", f"c{number}", "a", "b") for number in (7, 900)]
    told.append(Finding("duplicate_image", "error", "c55", "a", "b", others=("c56",)))
    shown = choose_shown(cases, told)
    assert len(shown) == module.SHOWN_CASES
    assert {"c7", "c900", "c55", "c56"} <= set(shown)
    assert list(shown) == sorted(shown, key=lambda case_id: int(case_id[1:]))
    assert max(int(case_id[1:]) for case_id in shown) > 900


def test_more_cases_with_findings_than_are_shown_keep_the_worst() -> None:
    cases = cohort_of(700)
    told = [Finding("constant", "error", f"c{number}", "a", "b") for number in range(650, 700)]
    told += [Finding("speckle", "warning", f"c{number}", "a", "b") for number in range(600)]
    shown = choose_shown(cases, told)
    assert len(shown) == module.SHOWN_CASES
    assert {f"c{number}" for number in range(650, 700)} <= set(shown)


def test_large_cohort_is_drawn_in_a_second_look(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHOWN_CASES", 3)
    dataset.edit_voxels(dataset.label("phantom_05_0"), lambda label: label * 0)
    audit = dataset.audit(draw=draw_planes)
    assert len(audit.shown) == 3
    assert "phantom_05_0" in audit.shown
    assert [facts.case_id for facts in audit.cases if facts.planes] == list(audit.shown)


def test_nothing_is_drawn_or_read_again_where_nobody_draws(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHOWN_CASES", 3)
    read: list[str] = []
    real = module.examine_case

    def examine(case, manifest, root, *, draw):  # type: ignore[no-untyped-def]
        read.append(case.case_id)
        return real(case, manifest, root, draw=draw)

    monkeypatch.setattr(module, "examine_case", examine)
    audit = dataset.audit()
    assert not any(facts.planes for facts in audit.cases)
    assert sorted(read) == sorted(facts.case_id for facts in audit.cases)
