"""From DICOM studies to a folder of masks, and a search of it for everything that names a patient."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from medseg.geometry import Geometry
from medseg.inference import input_digest, load_record
from medseg.inference.segmentation import ModelCard, predict_cases

from tests.dicom_files import write_series
from tests.inference.inputs.studies import find
from tests.inference.segmentation.test_predict_cases import blocks, predictor

CardBuilder = Callable[..., ModelCard]
SECRETS = (b"Mustermann", b"Erika", b"0047110815", b"19640812", b"1.2.826", b"Zuweiser", b"Beispielstadt", b"venous")


@pytest.fixture
def study(oblique: Geometry, tmp_path: Path) -> Path:
    """A T1 and a T2 of one patient in a folder of the patient's name; the T1 is the one to segment."""
    folder = tmp_path / "in" / "Mustermann"
    array = blocks(oblique.shape).astype(np.int16)
    for number, words in enumerate(("T1 venous", "T2")):
        values = {"Modality": "MR", "SeriesDescription": words, "SeriesNumber": number + 1}
        write_series(array * (1 - number), oblique, folder / words, **values)
    return tmp_path / "in"


def test_mask_of_a_study_lies_where_simpleitk_says_that_its_series_lies(
    study: Path, tmp_path: Path, build_card: CardBuilder
) -> None:
    found = find(study, channels=("T1",), out=tmp_path / "masks")
    (prediction,), failures = predict_cases(predictor(build_card(channels=("T1",))), found, tmp_path / "masks")
    assert failures == []
    assert prediction.mask_path.name == "MRN-0047110815.nii.gz"
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(study / "Mustermann" / "T1 venous")))
    image, mask = reader.Execute(), sitk.ReadImage(str(prediction.mask_path))
    onto = sitk.Resample(mask, image, sitk.Transform(), sitk.sitkNearestNeighbor)
    expected = np.array([0, 3, 7])[sitk.GetArrayFromImage(image)]
    assert set(np.unique(expected)) == {0, 3, 7}
    np.testing.assert_array_equal(sitk.GetArrayFromImage(onto), expected)


def test_record_holds_the_source_and_what_was_passed_over(study: Path, tmp_path: Path, build_card: CardBuilder) -> None:
    found = find(study, channels=("T1",), out=tmp_path / "masks")
    predict_cases(predictor(build_card(channels=("T1",))), found, tmp_path / "masks")
    record = load_record(tmp_path / "masks")
    assert record is not None
    (case,) = record.cases
    assert case.source is not None
    assert case.source.sha256 == input_digest(found.cases[0])
    assert [series.description for series in case.source.series] == ["T1 venous"]
    assert [(one.path, one.reason) for one in record.passed_over] == [
        ("Mustermann/T2", "another series of its study is taken")
    ]


def test_nothing_in_the_folder_of_the_masks_names_the_patient_under_pseudonyms(
    study: Path, tmp_path: Path, build_card: CardBuilder
) -> None:
    torn = study / "Erika" / "Mustermann.nii.gz"
    torn.parent.mkdir()
    torn.write_bytes(b"torn")
    found = find(study, channels=("T1",), out=tmp_path / "masks", pseudonyms=tmp_path / "table.csv")
    model = predictor(build_card(channels=("T1",)))
    predictions, failures = predict_cases(model, found, tmp_path / "masks", has_page=True)
    assert (len(predictions), len(failures)) == (1, 1)
    assert (tmp_path / "masks" / "index.html").is_file()
    files = sorted(path for path in (tmp_path / "masks").rglob("*") if path.is_file())
    assert len(files) >= 3
    for path in files:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        held = path.name.encode() + content
        assert not [secret for secret in SECRETS if secret in held], path.name
