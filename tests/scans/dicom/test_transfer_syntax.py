"""Every transfer syntax that archives use comes out as the voxels that went in, by the project's own dependencies."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.scans.dicom.pixels import read_pixels
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.filereader import dcmread
from pydicom.pixels import get_decoder

from tests.dicom_files import assert_same_voxels, found_in, read_folder, recode, save, slice_dataset, write_series
from tests.grids import grid

# Encoders of JPEG 2000 want some pixels.
SLANTED = grid((40, 33, 5), spacing_mm=(0.8, 1.1, 3.0), angles=(0.2, -0.1, 0.3), origin_mm=(-12, 5, 40), axcodes="LPS")
ARRAY = np.random.default_rng(8).integers(-2000, 3000, SLANTED.shape).astype(np.int16)
NATIVE = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)
# As GDCM names them.
LOSSLESS = ("RLELossless", "JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless")
CODED = (
    uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless,
    uid.JPEGLSNearLossless, uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K,
    uid.RLELossless,
)  # fmt: skip
# Rows of 7 values 1237 n mod 4093, as OpenJPH 0.26.3 codes them without loss.
HTJ2K = (
    "/0//UQApQAAAAAAHAAAABQAAAAAAAAAAAAAABwAAAAUAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCIkJCQkJCQkJCQ"
    "kJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAI4AAf+TwAAmp/AFB3QAAADAABNAABNAABMAZPwCh3QASvwCh3QA/3wCh3QA"
    "wAAVUAAE8AAEwHrXR1JUugHAtAD+9fsAgjQA/usDAXQAwAAtSAAFfAACrP9h/2Sv/3Ev/34f/gMC3EKBvFgA/esf/3Xvf/z3AEIAHFYA/d9//3sA"
    "ZAP7tgD/2Q=="
)


@pytest.fixture(autouse=True)
def _only_dependencies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders of packages that are no dependency of the project, but may lie about, are out of reach."""
    for syntax in CODED:
        decoder = get_decoder(syntax)
        is_2000 = "2000" in syntax.name or "HTJ2K" in syntax.name or "High-Throughput" in syntax.name
        allowed = {"gdcm", "pydicom", "pillow"} | ({"pylibjpeg"} if is_2000 else set())
        kept = {name: function for name, function in decoder._available.items() if name in allowed}
        monkeypatch.setattr(decoder, "_available", kept)


@pytest.mark.parametrize("syntax", CODED, ids=lambda syntax: syntax.keyword)
def test_a_dependency_decodes_the_syntax(syntax: uid.UID) -> None:
    assert get_decoder(syntax).is_available


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.keyword)
@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_native_syntaxes_keep_every_voxel(tmp_path: Path, syntax: uid.UID, dtype: type) -> None:
    array = ARRAY if dtype is np.int16 else np.abs(ARRAY).astype(np.uint16)
    for dataset in write_series(array, SLANTED, tmp_path / "plain", order=[3, 1, 0, 4, 2]):
        if syntax == uid.ExplicitVRBigEndian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset.PixelData = dataset.PixelData  # sets the VR again
        dataset["PixelData"].VR = "OW"
        save(dataset, tmp_path / "coded" / dataset.SOPInstanceUID, transfer_syntax=syntax)
    assert_same_voxels(read_folder(tmp_path / "coded"), array, SLANTED)


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_lossless_syntaxes_keep_every_voxel(tmp_path: Path, syntax: str, dtype: type) -> None:
    array = ARRAY if dtype is np.int16 else np.abs(ARRAY).astype(np.uint16)
    write_series(array, SLANTED, tmp_path / "plain", slopes=[(2, -5)] * 5)
    for path in (tmp_path / "plain").iterdir():
        recode(path, syntax, tmp_path / "coded" / path.name)
    assert dcmread(next((tmp_path / "coded").iterdir())).file_meta.TransferSyntaxUID.is_compressed
    assert_same_voxels(read_folder(tmp_path / "coded"), 2 * array.astype(np.int32) - 5, SLANTED)


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEG2000Lossless], ids=lambda syntax: syntax.keyword)
def test_files_that_pydicom_coded_keep_every_voxel(tmp_path: Path, syntax: uid.UID) -> None:
    for dataset in write_series(ARRAY, SLANTED, tmp_path):
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(tmp_path / f"{dataset.InstanceNumber - 1:05d}")
    assert_same_voxels(read_folder(tmp_path), ARRAY, SLANTED)


def test_slices_of_one_series_may_differ_in_syntax(tmp_path: Path) -> None:
    write_series(ARRAY, SLANTED, tmp_path / "plain")
    for path, syntax in zip(sorted((tmp_path / "plain").iterdir()), LOSSLESS, strict=True):
        recode(path, syntax, tmp_path / "coded" / path.name)
    assert_same_voxels(read_folder(tmp_path / "coded"), ARRAY, SLANTED)


@pytest.mark.parametrize("syntax", [uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K], ids=lambda one: one.keyword)
def test_high_throughput_jpeg_2000_is_decoded(tmp_path: Path, syntax: uid.UID) -> None:
    expected = (np.arange(35).reshape(5, 7) * 1237 % 4093).astype(np.uint16)
    dataset = slice_dataset(expected, 1)
    dataset.SOPClassUID, dataset.Modality = uid.CTImageStorage, "CT"
    dataset.PixelData = encapsulate([base64.b64decode(HTJ2K)])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    save(dataset, tmp_path / "one", transfer_syntax=syntax)
    np.testing.assert_array_equal(read_pixels(tmp_path / "one").frames[0, :, :, 0], expected)


@pytest.mark.parametrize("colours", [1, 3])
def test_lossy_jpeg_is_as_pillow_decodes_it(tmp_path: Path, colours: int) -> None:
    ramp = np.add.outer(np.arange(24) * 4, np.arange(16) * 6).astype(np.uint8)
    pixels = ramp if colours == 1 else np.stack([ramp, 255 - ramp, ramp // 2], axis=-1)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=90, subsampling=0)
    decoded = np.asarray(Image.open(stream))
    dataset = slice_dataset(ramp.astype(np.uint16), 1)
    dataset.SOPClassUID, dataset.Modality = uid.DigitalXRayImageStorageForPresentation, "DX"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.SamplesPerPixel = colours
    if colours == 3:
        dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "YBR_FULL_422", 0
    dataset.PixelData = encapsulate([stream.getvalue()])
    dataset["PixelData"].VR = "OB"
    save(dataset, tmp_path / "one", transfer_syntax=uid.JPEGBaseline8Bit)
    scan = read_folder(tmp_path).scan
    assert scan.array.shape == (colours, 16, 24, 1)
    expected = decoded.reshape(24, 16, colours).transpose(2, 1, 0)
    np.testing.assert_allclose(scan.array[..., 0], expected, atol=2)


def test_unknown_syntax_is_refused(tmp_path: Path) -> None:
    for dataset in write_series(ARRAY, SLANTED, tmp_path):
        dataset.file_meta.TransferSyntaxUID = "1.2.3.4.5"
        dataset.save_as(tmp_path / f"{dataset.InstanceNumber - 1:05d}", implicit_vr=False, little_endian=True)
    with pytest.raises(ScanError, match="DICOM pixel data must be whole"):
        read_folder(tmp_path)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_damaged_code_is_refused_and_not_quoted(tmp_path: Path, syntax: str) -> None:
    write_series(ARRAY, SLANTED, tmp_path / "plain")
    for path in (tmp_path / "plain").iterdir():
        recode(path, syntax, tmp_path / "coded" / path.name)
    victim = tmp_path / "coded" / "00002"
    victim.write_bytes(victim.read_bytes()[:-60])
    with pytest.raises(ScanError, match="DICOM pixel data must") as refused:
        read_folder(tmp_path / "coded")
    assert "Mustermann" not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


def test_a_coded_and_a_plain_series_are_found_alike(tmp_path: Path) -> None:
    write_series(ARRAY, SLANTED, tmp_path / "plain", series_uid="1.2.3")
    for path in (tmp_path / "plain").iterdir():
        recode(path, "JPEGLSLossless", tmp_path / "coded" / path.name)
    (plain,), (coded,) = found_in(tmp_path / "plain"), found_in(tmp_path / "coded")
    assert plain.planes is not None
    assert coded.planes is not None
    assert plain.planes.geometry().is_close(coded.planes.geometry(), tolerance_mm=1e-9)
