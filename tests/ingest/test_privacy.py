from __future__ import annotations

import hashlib
import json
import logging
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from medseg.ingest import Progress, Pseudonyms
from medseg.workflows.cli import main
from PIL import Image, PngImagePlugin

from tests.dicom_files import PATIENT, save
from tests.grids import grid
from tests.ingest.bytes_written import leaks, parts_of
from tests.ingest.sources import (
    GRID,
    KEY,
    SHAPE,
    block,
    run_ingest,
    voxels,
    write_ct,
    write_nifti,
    write_rtstruct,
    write_seg,
)

# Who is in the DICOM headers, and who only in the names of files and folders.
IN_HEADERS: dict[str, Any] = {
    **PATIENT,
    "PatientID": "MRN-0047110815",
    "IssuerOfPatientID": "Beispielkasse",
    "PatientName": "Mustermann^Erika^Hildegard",
    "PatientBirthDate": "19640812",
    "InstitutionName": "Klinikum Beispielstadt",
    "InstitutionAddress": "Hauptallee 17, Beispielstadt",
    "ReferringPhysicianName": "Zuweiser^Zacharias",
    "PerformingPhysicianName": "Operateur^Ottokar",
    "AccessionNumber": "ACC9988776",
    "OtherPatientIDs": ["FALL-5544332", "KV-777666555"],
    "StationName": "BEISPIELCT7",
}
SPELLINGS = ("12.08.1964", "1964-08-12", "12081964", "0047110815", "FALL-5544332", "KV-777666555")
IN_NAMES = ("Krawuttke", "Waldemar", "Schnoebel", "Annegret")
NO_SECRET = {"MRN", "FALL", "StudyDate"}


def secrets() -> set[str]:
    values = [str(value) for key, value in IN_HEADERS.items() if key not in ("StudyDate", "OtherPatientIDs")]
    return (parts_of(values) | set(SPELLINGS) | set(IN_NAMES)) - NO_SECRET


def write_export(source: Path) -> None:
    """What a hospital hands over: names everywhere, labels that fit and that do not, damage and rubbish."""
    own = source / "Mustermann_Erika 12.08.1964"
    images = write_ct(
        own / "CT Mustermann",
        **{**IN_HEADERS, "SeriesDescription": "MUSTERMANN 12.08.1964 0047110815 Zuweiser FALL-5544332"},
    )
    names = {
        "GTV Mustermann": (2, 5, 2, 5, 1, 3),
        "Niere_Erika_links": (7, 9, 2, 5, 1, 3),
        "PTV MRN-0047110815": (2, 5, 6, 8, 1, 3),
    }
    write_rtstruct(names, images, own / "RS.Mustermann.dcm")
    write_seg(
        {"Leber Hildegard": block(slice(0, 2), slice(0, 2), slice(0, 2))},
        images,
        own / "seg_erika",
        ContentCreatorName="Operateur^Ottokar",
    )
    elsewhere = write_ct(source / "tmp", **IN_HEADERS)
    write_rtstruct({"Tumor Mustermann": (2, 5, 2, 5, 1, 3)}, elsewhere, own / "RS_lost")
    shutil.rmtree(source / "tmp")
    tilted = GRID.affine.copy()
    tilted[1, 2] += 1.0
    write_tilted(own / "Mustermann tilt")
    (own / "Mustermann_broken").write_bytes((own / "CT Mustermann" / "00000").read_bytes()[:300])
    (own / "Mustermann_half.dcm").write_bytes((own / "CT Mustermann" / "00000").read_bytes()[:-300])
    (own / "Arztbrief Mustermann.txt").write_text("Sehr geehrter Herr Zuweiser")
    write_file_patients(source)


def write_tilted(folder: Path, **values: Any) -> None:
    images = write_ct(folder, **{**IN_HEADERS, "SeriesDescription": "Kopf Mustermann", **values})
    for number, image in enumerate(images):
        image.ImagePositionPatient[1] += 1.0 * number
        save(image, folder / f"{number:05d}")


def write_file_patients(source: Path) -> None:
    patient = source / "Krawuttke_Waldemar"
    write_nifti(patient / "ct.nii.gz", voxels(), descrip="Krawuttke Waldemar")
    image: Any = nibabel.load(patient / "ct.nii.gz")
    image.set_qform(np.diag([1.5, 1.5, 4, 1]), code=1)  # disagrees with the sform, which is logged
    image.to_filename(patient / "ct.nii.gz")
    write_nifti(patient / "Krawuttke_liver_mask.nii.gz", block(slice(2, 5)).astype(np.uint8), descrip="Waldemar")
    write_slicer_segmentation(patient / "Waldemar.seg.nrrd", "Krawuttke tumor")
    other = GRID.resampled((2.0, 2.0, 4.0))
    write_nifti(source / "a" / "Schnoebel_Annegret.nii.gz", voxels(seed=2))
    write_nifti(source / "a" / "Schnoebel_Annegret_spleen_mask.nii.gz", np.ones(other.shape, np.uint8), other)
    for name in (
        "Schnoebel_1.nii.gz",
        "Schnoebel_2.nii",
        "Schnoebel_3.nrrd",
        "Schnoebel_4.mha",
        "Schnoebel_5.png",
        "Schnoebel_6.mhd",
        "Schnoebel_7.hdr",
    ):
        (source / "b" / name).parent.mkdir(exist_ok=True)
        (source / "b" / name).write_bytes(b"")
        (source / "b" / f"rubbish_{name}").write_bytes(b"Schnoebel Annegret " * 40)
        (source / "b" / f"mask_{name}").write_bytes(b"Schnoebel Annegret " * 40)
    cut = (source / "a" / "Schnoebel_Annegret.nii.gz").read_bytes()
    (source / "b" / "Schnoebel_cut.nii.gz").write_bytes(cut[: len(cut) // 2])


def write_slicer_segmentation(path: Path, name: str) -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[5:8, 5:8, 2:4] = 1
    image = sitk.GetImageFromArray(mask.transpose(2, 1, 0))
    affine = GRID.to_lps()
    spacing = GRID.spacing_mm
    image.SetSpacing(spacing)
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    image.SetMetaData("Segment0_Name", name)
    image.SetMetaData("Segment0_LabelValue", "1")
    sitk.WriteImage(image, str(path), useCompression=True)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("export")
    write_export(source)
    return source


class Said(NamedTuple):
    """A run of `medseg ingest`: how it ended, and all that came out of it, of libraries in C too."""

    code: object
    texts: tuple[str, ...]


@pytest.fixture
def ingest_aloud(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Callable[..., Said]:
    def run(source: Path, *arguments: object) -> Said:
        caplog.set_level(logging.DEBUG)
        monkeypatch.setattr(sys, "argv", ["medseg", "ingest", str(source), *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        records = (f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)
        texts = [*capfd.readouterr(), *records]
        return Said(stopped.value.code, tuple(text.replace(str(source), "SOURCE") for text in texts))

    return run


def test_nothing_that_is_written_or_said_holds_who_the_patients_are(
    export: Path, tmp_path: Path, ingest_aloud: Callable[..., Said]
) -> None:
    said = ingest_aloud(export, "--out", tmp_path / "ds", "--shift-dates", "--key", tmp_path / "own" / "key")
    assert said.code == 1, said.texts
    assert (tmp_path / "ds" / "dataset.json").is_file(), said.texts
    assert {path.name for path in tmp_path.iterdir()} == {"ds", "own"}
    assert leaks(secrets(), *said.texts, folders=[tmp_path / "ds"]) == []


def test_names_in_any_script_and_spelling_stay_out(tmp_path: Path) -> None:
    patients = {
        "Müller^Jörg": ("Leber MUELLER", "müller gtv", "GTV Jorg"),
        "Yamada^Tarou=山田^太郎": ("山田太郎 腫瘍", "yamada liver", "TAROU"),
        "STRAUß^Åse": ("Strauß", "strauss_niere", "CT Aase"),
    }
    for number, (name, told) in enumerate(patients.items()):
        folder = tmp_path / "src" / str(number)
        images = write_ct(
            folder,
            SpecificCharacterSet="ISO_IR 192",
            PatientName=name,
            PatientID=f"ID-99887{number}",
            OtherPatientIDs=[f"ALT-11{number}22", f"neu-33{number}44"],
            SeriesDescription=f"CT {told[0]} alt-11{number}22 NEU-33{number}44",
        )
        boxes = {f"{one} {n}": (1 + n, 2 + n, 2, 4, 1, 3) for n, one in enumerate(told)}
        write_rtstruct(boxes, images, folder / "rs", SpecificCharacterSet="ISO_IR 192")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    spellings = ["Müller", "Mueller", "Muller", "Jörg", "Joerg", "Jorg", "Yamada", "Tarou", "山田", "太郎", "Strauß"]
    ids = [
        f"{start}{n}{end}" for n in range(3) for start, end in (("ALT-11", "22"), ("NEU-33", "44"), ("ID-99887", ""))
    ]
    assert leaks([*spellings, "Strauss", "Åse", "Aase", *ids], repr(done.report), folders=[tmp_path / "out"]) == []
    assert {case["channels"][0]["description"] for case in done.document["cases"]} == {
        "CT Leber … … …",
        "CT … 腫瘍 … …",
        "CT … … …",
    }


def test_proposed_mapping_of_names_that_were_taken_out_can_be_given_back(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src")
    boxes = {"GTV Mustermann": (2, 4, 2, 4, 1, 2), "Leber Erika": (6, 8, 2, 4, 1, 2), "Mustermann": (6, 8, 6, 8, 1, 2)}
    write_rtstruct(boxes, images, tmp_path / "src" / "rs")
    first = run_ingest(tmp_path / "src", tmp_path / "out")
    again = run_ingest(tmp_path / "src", tmp_path / "again", mapping=tmp_path / "out" / "mapping.yaml")
    masked = next(name for name in first.manifest.labels if name.startswith("structure_"))
    assert first.manifest.labels == {"background": 0, "gtv": 1, "liver": 2, masked: 3}
    assert again.manifest.labels == first.manifest.labels
    np.testing.assert_array_equal(first.label(), again.label())
    assert {int(value) for value in np.unique(again.label())} == {0, 1, 2, 3}


def test_file_that_vanishes_under_way_is_told_without_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "Krawuttke_Waldemar"
    write_ct(folder / "ct", PatientName="anonymous", PatientID="0815-0815")
    write_nifti(tmp_path / "src" / "Schnoebel" / "ct.nii.gz", voxels())
    write_ct(tmp_path / "src" / "whole", PatientID="other")
    gone = Progress(on_cases=lambda total: [shutil.rmtree(folder), shutil.rmtree(tmp_path / "src" / "Schnoebel")])
    done = run_ingest(tmp_path / "src", tmp_path / "out", progress=gone)
    assert len(done.report.failures) == 2
    assert all("No such file" in failure.reason for failure in done.report.failures)
    assert leaks(["Krawuttke", "Waldemar", "Schnoebel", str(tmp_path)], repr(done.report), folders=[done.folder]) == []
    assert len(done.manifest.cases) == 1


def test_warning_of_a_reader_becomes_a_note_of_its_own_case_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("Schnoebel", "Krawuttke", "Waldemar", "Annegret"):
        path = tmp_path / "src" / name / f"{name}.nii.gz"
        write_nifti(path, voxels())
        if name == "Krawuttke":
            image: Any = nibabel.load(path)
            image.set_qform(np.diag([1.5, 1.5, 4, 1]), code=1)
            image.to_filename(path)
    done = run_ingest(tmp_path / "src", tmp_path / "out", workers=2)
    notes = [note for case in done.document["cases"] for note in case["notes"]]
    assert notes == ["sform and qform of the file disagree by up to 115 mm; the sform is used"]
    assert leaks(["Krawuttke"], caplog.text) == []


def test_name_of_a_dataset_in_the_source_is_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_nifti(tmp_path / "src" / "images" / "a.nii.gz", voxels())
    write_nifti(tmp_path / "src" / "labels" / "a.nii.gz", block(slice(1, 4)).astype(np.uint8))
    case = {"image": "./images/a.nii.gz", "label": "./labels/a.nii.gz"}
    content = {"name": "Krawuttke", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver"}}
    (tmp_path / "src" / "dataset.json").write_text(json.dumps({**content, "training": [case], "test": []}))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert set(done.manifest.labels) == {"background", "liver"}
    assert leaks(["Krawuttke"], caplog.text, repr(done.report), folders=[done.folder]) == []


def test_pictures_lose_the_text_that_they_carry(tmp_path: Path, ingest_aloud: Callable[..., Said]) -> None:
    source = tmp_path / "src"
    source.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30), np.uint8)
    told = PngImagePlugin.PngInfo()
    told.add_text("Patient", "Mustermann Erika")
    told.add_itxt("Comment", "Zuweiser")
    Image.fromarray(pixels).save(source / "Krawuttke.png", pnginfo=told)
    exif = Image.Exif()
    exif[0x010E], exif[0x013B], exif[0x9C9B] = "Mustermann Erika", "Zuweiser", "Krawuttke".encode("utf-16-le")
    Image.fromarray(pixels).save(source / "Waldemar.jpg", exif=exif, comment=b"Zuweiser")
    Image.fromarray(pixels).save(source / "Schnoebel.tiff", tiffinfo={270: "Mustermann Erika", 315: "Zuweiser"})
    Image.fromarray(pixels.astype(np.uint16) * 200).save(source / "Annegret.png", pnginfo=told)
    said = ingest_aloud(source, "--out", tmp_path / "ds", "--key", tmp_path / "key")
    assert said.code == 0, said.texts
    values = ["Mustermann", "Erika", "Zuweiser", "Krawuttke", "Waldemar", "Schnoebel", "Annegret"]
    assert leaks(values, *said.texts, folders=[tmp_path / "ds"]) == []
    assert len(list((tmp_path / "ds" / "images").iterdir())) == 4


def test_errors_of_a_whole_run_name_no_folder_of_the_source(tmp_path: Path, ingest_aloud: Callable[..., Said]) -> None:
    source = tmp_path / "src" / "Krawuttke"
    source.mkdir(parents=True)
    (source / "Waldemar.txt").write_text("Krawuttke")
    said = ingest_aloud(tmp_path / "src", "--out", tmp_path / "ds", "--key", tmp_path / "key")
    assert said.code == 1
    assert any("must hold a scan" in text for text in said.texts)
    assert leaks(["Krawuttke", "Waldemar"], *said.texts, folders=[tmp_path / "ds"]) == []


def test_kept_ids_stand_everywhere_but_names_do_not(tmp_path: Path) -> None:
    images = write_ct(tmp_path / "src" / "ok", PatientID="STS_003", SeriesDescription="STS_003 Mustermann")
    write_tilted(tmp_path / "src" / "tilt", IssuerOfPatientID="")
    write_rtstruct({"GTV STS_003": (2, 4, 2, 4, 1, 2)}, images, tmp_path / "src" / "rs")
    done = run_ingest(tmp_path / "src", tmp_path / "out", keep_ids=True)
    case = done.case
    assert (case.case_id, case.patient_id) == ("STS_003_ct", "STS_003")
    assert case.series_uid == images[0].SeriesInstanceUID
    assert case.study_uid == images[0].StudyInstanceUID
    (entry,) = done.document["cases"]
    assert entry["channels"][0]["description"] == "STS_003 …"
    assert entry["structures"] == {"GTV STS_003": "gtv_sts_003"}
    (failure,) = done.report.failures
    assert failure.reason.startswith("case MRN-0047110815_ct: slices must be stacked")
    assert leaks(["Mustermann", "Erika", "19640812"], repr(done.report), folders=[done.folder]) == []


@pytest.mark.parametrize("name", ["Mustermann^Erika", ""])
def test_names_and_folders_that_stand_in_for_an_id_are_never_kept(tmp_path: Path, name: str) -> None:
    images = write_ct(tmp_path / "Krawuttke" / "ct", PatientID="", PatientName=name)
    for number, image in enumerate(images):
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
            delattr(image, keyword)
        save(image, tmp_path / "Krawuttke" / "ct" / f"{number:05d}")
    done = run_ingest(tmp_path / "Krawuttke", tmp_path / "out", keep_ids=True)
    assert done.case.study_uid is None
    told = [repr(done.report), repr(done.case)]
    assert leaks(["Krawuttke", "Mustermann", "Erika", "19640812"], *told, folders=[done.folder]) == []


def test_folder_named_for_a_patient_is_scrubbed_although_its_headers_are_clean(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "Krawuttke_Waldemar"
    write_ct(folder / "CT", PatientID="0815", PatientName="anon")
    write_nifti(folder / "pet.nii.gz", voxels(seed=3))
    write_slicer_segmentation(folder / "pet.seg.nrrd", "Waldemar tumor")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert set(done.manifest.labels) == {"background", "tumor"}
    assert leaks(["Krawuttke", "Waldemar"], repr(done.report), folders=[done.folder]) == []


def test_checksums_of_sources_are_keyed(tmp_path: Path) -> None:
    write_ct(tmp_path / "src")
    sums = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((tmp_path / "src").iterdir()))
    plain = hashlib.sha256("".join(f"{one}\n" for one in sums).encode()).hexdigest()
    first = run_ingest(tmp_path / "src", tmp_path / "a")
    other = run_ingest(tmp_path / "src", tmp_path / "b", key=KEY[::-1])
    assert leaks([plain, *sums], repr(first.report), folders=[first.folder]) == []
    keyed = [done.document["cases"][0]["channels"][0]["sha256_of_files"] for done in (first, other)]
    assert keyed[0] == Pseudonyms(KEY).seal(plain)
    assert keyed[0] != keyed[1]


def test_site_is_told_apart_but_not_named(tmp_path: Path) -> None:
    for number, institution in enumerate(("Klinikum Beispielstadt", "KLINIKUM BEISPIELSTADT", "Elsewhere")):
        write_ct(tmp_path / "src" / str(number), PatientID=str(number), InstitutionName=institution)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    sites = [case.site for case in done.manifest.cases]
    assert len(set(sites)) == 2
    assert all(site and site.startswith("site_") for site in sites)


def test_scanner_is_told_without_the_place_where_it_stands(tmp_path: Path) -> None:
    write_ct(tmp_path / "src", Manufacturer="Maker", ManufacturerModelName="Aera Beispielstadt")
    assert run_ingest(tmp_path / "src", tmp_path / "out").case.scanner == "Maker Aera …"


@pytest.mark.parametrize("shift", [True, False])
def test_shifted_dates_keep_the_days_between_studies_but_not_the_dates(tmp_path: Path, shift: bool) -> None:
    dates = {"a": ("20240105", "20240205", "20250105"), "b": ("20240105",), "c": ("20240105",)}
    for patient, studies in dates.items():
        for date in studies:
            write_ct(tmp_path / "src" / f"{patient}{date}", PatientID=patient, StudyDate=date)
    done = run_ingest(tmp_path / "src", tmp_path / "out", shift_dates=shift)
    by_patient: dict[str, list[datetime]] = defaultdict(list)
    for case in done.manifest.cases:
        if not shift:
            assert case.study_date is None
            continue
        assert case.study_date is not None
        by_patient[case.patient_id].append(datetime.strptime(case.study_date, "%Y%m%d"))
    if shift:
        (several,) = [sorted(found) for found in by_patient.values() if len(found) == 3]
        assert [(date - several[0]).days for date in several] == [0, 31, 366]
        shifts = {(datetime(2024, 1, 5) - min(found)).days for found in by_patient.values()}
        assert len(shifts) == 3
        assert all(1 <= days <= 365 for days in shifts)
    assert leaks(["20240105", "20240205", "20250105", "2024-01-05"], repr(done.report), folders=[done.folder]) == []


def test_no_patient_keeps_its_dates_and_none_is_moved_by_more_than_a_year() -> None:
    start = datetime(2024, 1, 1)
    moved = [Pseudonyms(KEY).shifted_date(str(patient), "20240101") for patient in range(3000)]
    days = {(start - datetime.strptime(str(date), "%Y%m%d")).days for date in moved}
    assert days == set(range(1, 366))


@pytest.mark.parametrize("date", ["", "00010101", "2024", "notadate"])
def test_impossible_study_date_is_left_out(tmp_path: Path, date: str) -> None:
    assert Pseudonyms(KEY).shifted_date("patient", date) is None


def test_burned_in_text_and_faces_are_told_as_risks(tmp_path: Path) -> None:
    said = {"BurnedInAnnotation": "YES"}
    write_ct(tmp_path / "src" / "burned", PatientID="burned", **said)
    write_ct(tmp_path / "src" / "kopf", PatientID="kopf", SeriesDescription="CT Schädel nativ")
    write_ct(tmp_path / "src" / "part", PatientID="part", BodyPartExamined="HEAD")
    write_ct(tmp_path / "src" / "yes", PatientID="yes", RecognizableVisualFeatures="YES")
    write_ct(tmp_path / "src" / "belly", PatientID="belly")
    tall = grid((12, 10, 320), spacing_mm=(3.0, 3.0, 3.0), axcodes="LPS")
    write_nifti(tmp_path / "src" / "whole" / "body.nii.gz", voxels(tall), tall)
    names = Pseudonyms(KEY)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    by_patient = {case["patient_id"]: case["case_id"] for case in done.document["cases"]}
    risks = {(risk["case_id"], risk["risk"]) for risk in done.document["risks"]}
    faces = {(by_patient[names.patient(who)], "face") for who in ("kopf", "part", "yes", "whole")}
    assert risks == {*faces, (by_patient[names.patient("burned")], "burned_in_text")}
    assert done.report.count_risks() == {"face": 4, "burned_in_text": 1}
