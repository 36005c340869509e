"""audit.json: everything that was found, and nothing about this machine."""

from __future__ import annotations

import json
from pathlib import Path

from medseg.audit import Finding, Fix, audit_manifest, write_audit
from medseg.records import Manifest

from tests.audit.made_up import made_up_audit


def test_report_holds_every_finding_and_fact_and_no_folder(cohort: tuple[Manifest, Path], tmp_path: Path) -> None:
    audit = audit_manifest(*cohort)
    path = write_audit(audit, tmp_path / "out", fixes=[Fix(None, "crossing_folds", "cleared")])
    assert path == tmp_path / "out/audit.json"
    text = (tmp_path / "out/audit.json").read_text()
    content = json.loads(text)
    assert content["verdict"] == "clean"
    assert content["counts"] == {"cases": 11, "errors": 0, "warnings": 0, "notes": 2}
    assert content["fixes"] == [{"case_id": None, "check": "crossing_folds", "text": "cleared", "is_done": True}]
    first = content["cases"][0]
    assert first["case_id"] == "phantom_00_0"
    assert set(first["labels"]) == {"liver", "kidney_right", "kidney_left"}
    assert len(first["image_hash"]) == 128
    for folder in (str(cohort[1]), str(tmp_path)):
        assert folder not in text


def test_findings_in_the_report_say_message_and_remedy(tmp_path: Path) -> None:
    write_audit(made_up_audit(Finding("constant", "error", "c0", "it is flat", "drop it", others=("c1",))), tmp_path)
    content = json.loads((tmp_path / "audit.json").read_text())
    assert content["verdict"] == "errors"
    assert content["findings"] == [
        {
            "check": "constant",
            "severity": "error",
            "case_id": "c0",
            "message": "case c0: it is flat; drop it",
            "remedy": "drop it",
            "others": ["c1"],
            "is_fixable": False,
        }
    ]
