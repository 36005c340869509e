"""Measurements as a structured report: what two libraries read back."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import dcmqi
import highdicom
import numpy as np
import pytest
from medseg.delivery.measurements import measure_structures
from medseg.errors import DeliveryError
from medseg.origin import SeriesOrigin
from medseg.records import Scan
from medseg.scans.dicom import write_measurement_report, write_seg
from medseg.scans.segment import CodedTerm
from medseg.scans.structure_measurements import StructureMeasurements
from pydicom import dcmread

from tests.dicom_files import read_folder, write_series
from tests.grids import OBLIQUE
from tests.segments import ALGORITHM, segments

ARRAY = np.random.default_rng(3).integers(-1000, 3000, OBLIQUE.shape).astype(np.int16)
DCIODVFY = shutil.which("dciodvfy")
KIDNEY, EMPTY = segments("linke Niere", "leer")
PARTS = (
    replace(
        KIDNEY, kind=CodedTerm("64033007", "SCT", "Kidney"), laterality=CodedTerm("7771000", "SCT", "Left")
    ),
    EMPTY,
)  # fmt: skip


def written(place: Path, **values: Any) -> tuple[Scan, tuple[StructureMeasurements, ...]]:
    """A series, its binary SEG `seg.dcm` with one empty segment, and its report `sr.dcm`."""
    write_series(ARRAY, OBLIQUE, place / "scan", **values)
    scan = read_folder(place / "scan").scan
    labels = np.zeros(OBLIQUE.shape, np.uint8)
    labels[1:5, 2:7, 1:4] = 1
    write_seg(labels, PARTS, scan, place / "seg.dcm", kind="binary", algorithm=ALGORITHM)
    rows = measure_structures(labels, PARTS, scan)
    write_measurement_report(rows, PARTS, scan, place / "seg.dcm", place / "sr.dcm", algorithm=ALGORITHM)
    return scan, rows


def test_highdicom_reads_every_measurement_of_every_segment(tmp_path: Path) -> None:
    _, (kidney, _) = written(tmp_path)
    intensity = kidney.intensities[0]
    assert intensity is not None
    report = highdicom.sr.srread(tmp_path / "sr.dcm").content
    first, second = report.get_volumetric_roi_measurement_groups()
    found = {
        (one.name.meaning, one.derivation.meaning if one.derivation else ""): (one.value, one.unit.value)
        for one in first.get_measurements()
    }
    expected = {
        ("Volume", ""): (kidney.volume_ml, "ml"),
        ("Diameter", "Maximum"): (kidney.longest_mm, "mm"),
        ("Long axis", ""): (kidney.in_slice_mm, "mm"),
        ("Short axis", ""): (kidney.perpendicular_mm, "mm"),
        ("Attenuation Coefficient", "Mean"): (intensity.mean, "[hnsf'U]"),
        ("Attenuation Coefficient", "Standard Deviation"): (intensity.sd, "[hnsf'U]"),
        ("Attenuation Coefficient", "Median"): (intensity.median, "[hnsf'U]"),
    }
    assert found.keys() == expected.keys()
    for name, (value, unit) in expected.items():
        assert found[name] == (pytest.approx(value, rel=1e-7), unit)
    assert [(one.name.meaning, one.value) for one in second.get_measurements()] == [("Volume", 0)]


def test_dcmqi_reads_the_same_volume_finding_and_series(tmp_path: Path) -> None:
    scan, (kidney, _) = written(tmp_path)
    program = next((Path(dcmqi.__file__).parent / "bin").glob("tid1500reader*"))
    command = [program, "--inputDICOM", tmp_path / "sr.dcm", "--outputMetadata", tmp_path / "sr.json"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    content = json.loads((tmp_path / "sr.json").read_text(encoding="utf-8"))
    first, second = content["Measurements"]
    assert isinstance(scan.origin, SeriesOrigin)
    assert (first["TrackingIdentifier"], second["TrackingIdentifier"]) == ("linke Niere", "leer")
    assert (first["Finding"]["CodeValue"], first["ReferencedSegment"]) == ("64033007", 1)
    assert first["SourceSeriesForImageSegmentation"] == scan.origin.series_uid
    volumes = [item for item in first["measurementItems"] if item["quantity"]["CodeMeaning"] == "Volume"]
    assert [float(item["value"]) for item in volumes] == [pytest.approx(kidney.volume_ml, rel=1e-7)]


def test_the_report_tracks_the_segments_of_its_seg_and_has_all_images_as_evidence(tmp_path: Path) -> None:
    scan, _ = written(tmp_path)
    seg = dcmread(tmp_path / "seg.dcm")
    report = highdicom.sr.srread(tmp_path / "sr.dcm")
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert [group.tracking_uid for group in groups] == [item.TrackingUID for item in seg.SegmentSequence]
    assert [group.referenced_segment.referenced_sop_instance_uid for group in groups] == [seg.SOPInstanceUID] * 2
    assert isinstance(scan.origin, SeriesOrigin)
    evidence = {str(uid) for _, _, uid, _ in report.get_evidence()}
    assert evidence == {one.sop_instance_uid for one in scan.origin.slices} | {seg.SOPInstanceUID}
    assert (report.PatientID, report.StudyInstanceUID) == (seg.PatientID, seg.StudyInstanceUID)


@pytest.mark.parametrize(("modality", "name"), [("MR", "MR signal intensity"), ("PT", None)])
def test_intensities_are_named_for_the_modality_or_left_to_the_table(
    modality: str, name: str | None, tmp_path: Path
) -> None:
    written(tmp_path, Modality=modality)
    first, _ = highdicom.sr.srread(tmp_path / "sr.dcm").content.get_volumetric_roi_measurement_groups()
    names = {one.name.meaning for one in first.get_measurements()} - {"Volume", "Diameter", "Long axis", "Short axis"}
    assert names == ({name} if name else set())


def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    if DCIODVFY is None:
        pytest.skip("dciodvfy is not installed (Debian: apt-get install dicom3tools)")
    written(tmp_path)
    done = subprocess.run([DCIODVFY, str(tmp_path / "sr.dcm")], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []


def test_measurements_of_other_segments_are_refused(tmp_path: Path) -> None:
    scan, rows = written(tmp_path)
    with pytest.raises(DeliveryError, match="must have the measurements of each segment"):
        write_measurement_report(
            rows[:1], PARTS, scan, tmp_path / "seg.dcm", tmp_path / "other.dcm", algorithm=ALGORITHM
        )
    assert not (tmp_path / "other.dcm").exists()
