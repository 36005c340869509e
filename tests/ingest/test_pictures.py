from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.manifest import read_case, read_case_image
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    generate_uid,
)

from tests.dicom_files import PATIENT, save, slice_dataset
from tests.ingest.sources import Ingested, run_ingest, voxels, write_ct, write_nifti

HEIGHT, WIDTH = 20, 30
OVAL = np.zeros((HEIGHT, WIDTH), np.uint8)
OVAL[4:9, 10:22] = 1


def grey(seed: int = 0, shape: tuple[int, ...] = (HEIGHT, WIDTH)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write_picture(path: Path, pixels: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def write_radiograph(path: Path, pixels: np.ndarray, **values: Any) -> Dataset:
    """A CR image of one file."""
    dataset = slice_dataset(pixels, 1)
    shared = {
        **PATIENT,
        "Modality": "CR",
        "SOPClassUID": ComputedRadiographyImageStorage,
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "BitsStored": 12,
        "HighBit": 11,
        "PixelSpacing": [0.2, 0.3],
        **values,
    }
    for keyword, value in shared.items():
        setattr(dataset, keyword, value)
    save(dataset, path)
    return dataset


def rows_first(done: Ingested) -> np.ndarray:
    """The only image as `(rows, columns, channels)`."""
    return done.image()[..., 0].transpose(2, 1, 0)


@pytest.mark.parametrize(("photometric", "turned"), [("MONOCHROME1", True), ("MONOCHROME2", False)])
def test_radiograph_comes_out_with_bright_bones(tmp_path: Path, photometric: str, turned: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (HEIGHT, WIDTH)).astype(np.uint16)
    write_radiograph(tmp_path / "src" / "IM1", pixels, PhotometricInterpretation=photometric)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    np.testing.assert_array_equal(rows_first(done)[:, :, 0], 4095 - pixels.astype(int) if turned else pixels)
    geometry = read_case_image(done.case, done.manifest, done.folder).geometry
    np.testing.assert_allclose(geometry.spacing_mm, (0.3, 0.2, 1.0))
    assert done.manifest.channels == ("CR",)


def test_each_radiograph_of_a_series_is_a_case(tmp_path: Path) -> None:
    for number in range(2):
        write_radiograph(tmp_path / "src" / str(number), grey(number).astype(np.uint16), SeriesInstanceUID="1.2.3")
    assert len(run_ingest(tmp_path / "src", tmp_path / "out").manifest.cases) == 2


def test_ultrasound_is_a_risk_of_burned_in_text_unless_it_says_not(tmp_path: Path) -> None:
    for number, said in enumerate(("", "NO", "YES")):
        write_radiograph(
            tmp_path / "src" / str(number),
            grey(number).astype(np.uint16),
            Modality="US",
            SOPClassUID=UltrasoundImageStorage,
            PatientID=str(1000 + number),
            **({"BurnedInAnnotation": said} if said else {}),
        )
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert len(done.manifest.cases) == 3
    assert done.report.count_risks() == {"burned_in_text": 2}


def test_loop_is_refused_and_screen_copy_set_aside(tmp_path: Path) -> None:
    loop = {"Modality": "US", "SOPClassUID": UltrasoundImageStorage, "NumberOfFrames": 2}
    pixels = np.concatenate([grey(1), grey(2)]).astype(np.uint16)
    write_radiograph(tmp_path / "src" / "loop", pixels, Rows=HEIGHT, **loop)
    write_radiograph(
        tmp_path / "src" / "copy", grey().astype(np.uint16), Modality="OT", SOPClassUID=SecondaryCaptureImageStorage
    )
    write_radiograph(tmp_path / "src" / "good", grey().astype(np.uint16))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    (failure,) = done.report.failures
    assert "a picture must have one frame, got a loop of 2" in failure.reason
    assert done.report.aside == {"it is a screen copy without a place in the patient; export the original images": 1}
    assert len(done.manifest.cases) == 1


def test_mask_picture_belongs_to_the_radiograph_beside_it(tmp_path: Path) -> None:
    for number in range(2):
        folder = tmp_path / "src" / f"patient {number}"
        write_radiograph(folder / "IM1", grey(number).astype(np.uint16), PatientID=f"no {number}")
        write_picture(folder / "lung_mask.png", OVAL if number else OVAL[::-1])
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.report.is_clean, done.report
    for case in done.manifest.cases:
        read = read_case(case, done.manifest, done.folder)
        number = int(np.array_equal(read.image.array[0, :, :, 0].T, grey(1)))
        np.testing.assert_array_equal(read.label[:, :, 0].T, OVAL if number else OVAL[::-1])


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a.png", "a_mask.png"),
        ("images/a.jpg", "masks/a.png"),
        ("images/a.tif", "masks/a.tif"),
        ("p/a.png", "p/a_seg.png"),
    ],
)
def test_picture_and_its_mask_become_a_case(tmp_path: Path, image: str, mask: str) -> None:
    for name, flip in (("a", 1), ("b", -1)):
        write_picture(
            tmp_path / "src" / f"{name}{image[1:]}"
            if image[0] == "a"
            else tmp_path / "src" / image.replace("a.", f"{name}."),
            grey(flip + 1),
        )
        write_picture(
            tmp_path / "src" / f"{name}{mask[1:]}"
            if mask[0] == "a"
            else tmp_path / "src" / mask.replace("a.", f"{name}.").replace("a_", f"{name}_"),
            OVAL[::flip],
        )
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.report.is_clean, done.report
    assert len(done.manifest.select("training")) == 2
    assert {Path(name).suffix for case in done.manifest.cases for name in (*case.images, case.label or "")} == {".png"}
    sums = {int(done.label(case)[:, :, 0].T[4:9].sum()) for case in done.manifest.cases}
    assert sums == {int(OVAL[4:9].sum()), int(OVAL[::-1][4:9].sum())}
    for case in done.manifest.cases:
        read_case(case, done.manifest, done.folder)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_picture_comes_out_upright_with_its_mask_in_place(tmp_path: Path, orientation: int) -> None:
    pixels = grey()
    stored, undo = stored_as(pixels, orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    write_picture(tmp_path / "src" / "images" / "a.png", stored, exif=exif)
    write_picture(tmp_path / "src" / "masks" / "a.png", OVAL)
    np.testing.assert_array_equal(undo, pixels)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    np.testing.assert_array_equal(rows_first(done)[:, :, 0], pixels)
    np.testing.assert_array_equal(done.label()[:, :, 0].T, OVAL)


def stored_as(upright: np.ndarray, orientation: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels as a camera stores them with an EXIF orientation, and those turned back by its table (EXIF 2.32)."""
    flips = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.T, 6: lambda a: np.rot90(a, 1), 7: lambda a: a[::-1, ::-1].T, 8: lambda a: np.rot90(a, -1),
    }  # fmt: skip
    back = {**flips, 6: flips[8], 8: flips[6]}
    stored = np.ascontiguousarray(flips[orientation](upright))
    return stored, back[orientation](stored)


def test_colour_pictures_have_three_channels_and_grey_ones_are_set_aside(tmp_path: Path) -> None:
    for number in range(3):
        write_picture(tmp_path / "src" / f"{number}.png", grey(number, (HEIGHT, WIDTH, 3)))
    write_picture(tmp_path / "src" / "grey.png", grey())
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.manifest.channels == ("red", "green", "blue")
    assert len(done.manifest.cases) == 3
    assert done.report.aside == {"images of a dataset must have the same channels (3), got 1; ingest them apart": 1}
    colours = {done.image(case)[:, 3, 5, 0].tobytes() for case in done.manifest.cases}
    assert colours == {grey(n, (HEIGHT, WIDTH, 3))[5, 3].astype(np.float32).tobytes() for n in range(3)}


def test_pictures_beside_volumes_are_set_aside_and_taken_on_request(tmp_path: Path) -> None:
    write_ct(tmp_path / "src" / "ct")
    write_picture(tmp_path / "src" / "photo.png", grey())
    write_picture(tmp_path / "src" / "photo_mask.png", OVAL)
    volumes = run_ingest(tmp_path / "src", tmp_path / "volumes")
    assert volumes.manifest.channels == ("CT",)
    (reason,) = volumes.report.aside
    assert reason.endswith("got both; ingest these and their masks apart, with the kind pictures")
    assert volumes.report.lost_labels == ()
    pictures = run_ingest(tmp_path / "src", tmp_path / "pictures", kind="pictures")
    np.testing.assert_array_equal(pictures.label()[:, :, 0].T, OVAL)
    (reason,) = pictures.report.aside
    assert reason.endswith("with the kind volumes")


def test_deep_grey_keeps_its_values(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH)).astype(np.uint16)
    write_picture(tmp_path / "src" / "images" / "a.png", pixels)
    write_picture(tmp_path / "src" / "masks" / "a.png", OVAL)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    np.testing.assert_array_equal(rows_first(done)[:, :, 0], pixels)
    read_case(done.case, done.manifest, done.folder)


def test_mask_saved_in_colours_is_read_if_it_is_grey(tmp_path: Path) -> None:
    write_picture(tmp_path / "src" / "images" / "a.png", grey())
    write_picture(tmp_path / "src" / "masks" / "a.png", np.stack([OVAL * 255] * 3, axis=-1))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    np.testing.assert_array_equal(done.label()[:, :, 0].T > 0, OVAL > 0)


def test_mask_in_colours_is_told(tmp_path: Path) -> None:
    write_picture(tmp_path / "src" / "images" / "a.png", grey())
    write_picture(tmp_path / "src" / "masks" / "a.png", np.stack([OVAL * 255, OVAL, OVAL], axis=-1))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert "a mask must have one channel, got colours; save label values as grey" in done.report.lost_labels[0]


def test_many_objects_in_a_mask_are_instances(tmp_path: Path) -> None:
    objects = np.arange(1, 101, dtype=np.uint16).reshape(10, 10)
    few = np.zeros((10, 10), np.uint16)
    few[:2, :2], few[5:7, 5:7] = 1, 2
    for name, mask in (("a", objects), ("b", few)):
        write_picture(tmp_path / "src" / "images" / f"{name}.png", grey(ord(name), (10, 10)))
        write_picture(tmp_path / "src" / "instances" / f"{name}.png", mask)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.manifest.instances
    assert done.manifest.labels == {"background": 0, "object": 1}
    masks = sorted((done.label(case)[:, :, 0].T for case in done.manifest.cases), key=lambda mask: int(mask.max()))
    np.testing.assert_array_equal(masks[0], few)
    np.testing.assert_array_equal(masks[1], objects)
    for case in done.manifest.cases:
        assert set(np.unique(read_case(case, done.manifest, done.folder).label)) <= {0, 1}


def test_few_objects_are_instances_if_the_mapping_says_so(tmp_path: Path) -> None:
    few = np.zeros((10, 10), np.uint16)
    few[:2, :2], few[5:7, 5:7] = 1, 2
    write_picture(tmp_path / "src" / "images" / "a.png", grey(0, (10, 10)))
    write_picture(tmp_path / "src" / "instances" / "a.png", few)
    mapping = "{labels: {nucleus: {value: 1, names: ['value *']}}, instances: true}"
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=mapping)
    assert done.manifest.instances
    np.testing.assert_array_equal(done.label()[:, :, 0].T, few)


def test_picture_of_several_pages_is_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(grey(n)) for n in range(2)]
    (tmp_path / "src").mkdir()
    pages[0].save(tmp_path / "src" / "a.tif", save_all=True, append_images=pages[1:])
    write_picture(tmp_path / "src" / "b.png", grey())
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    (failure,) = done.report.failures
    assert "must have one page, got several" in failure.reason


@pytest.mark.parametrize("fault", ["pages", "cut short"])
@pytest.mark.parametrize("broken", [1, 3])
def test_refused_pictures_do_not_settle_the_channels(tmp_path: Path, fault: str, broken: int) -> None:
    source = tmp_path / "src"
    source.mkdir()
    for number in range(broken):
        if fault == "pages":
            pages = [Image.fromarray(grey(5 * number + n)) for n in range(5)]
            pages[0].save(source / f"stack{number}.tif", save_all=True, append_images=pages[1:])
        else:
            write_picture(source / f"cut{number}.tif", grey(number))
            content = (source / f"cut{number}.tif").read_bytes()
            (source / f"cut{number}.tif").write_bytes(content[: len(content) // 2])
    write_picture(source / "good.tif", grey(9, (HEIGHT, WIDTH, 3)))
    done = run_ingest(source, tmp_path / "out")
    assert done.manifest.channels == ("red", "green", "blue")
    np.testing.assert_array_equal(done.image(done.case)[:, :, :, 0].T, grey(9, (HEIGHT, WIDTH, 3)))
    assert len(done.report.failures) + sum(done.report.aside.values()) == broken


def test_volume_in_a_picture_dataset_is_set_aside(tmp_path: Path) -> None:
    write_nifti(tmp_path / "src" / "p" / "ct.nii.gz", voxels())
    write_picture(tmp_path / "src" / "photo.png", grey())
    done = run_ingest(tmp_path / "src", tmp_path / "out", kind="pictures")
    assert len(done.manifest.cases) == 1
    assert sum(done.report.aside.values()) == 1


@pytest.mark.parametrize("repair", [[], ["grids"]])
def test_mask_of_another_size_than_its_picture_is_refused_always(tmp_path: Path, repair: list[str]) -> None:
    write_picture(tmp_path / "src" / "images" / "a.png", grey())
    write_picture(tmp_path / "src" / "masks" / "a.png", OVAL[::2, ::2])
    done = run_ingest(tmp_path / "src", tmp_path / "out", repair=repair)
    (failure,) = done.report.failures
    assert "a mask picture must have its image's size (30, 20), got (15, 10); export it again" in failure.reason


OBJECTS = "{labels: {nucleus: {value: 1, names: ['*']}}, instances: true}"


def cell(row: int, column: int, size: int = 3) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[row : row + size, column : column + size] = 255
    return mask


def test_mask_files_of_objects_of_one_picture_give_all_objects(tmp_path: Path) -> None:
    write_picture(tmp_path / "src" / "p" / "a.png", grey())
    for number, row in enumerate((1, 6, 11)):
        write_picture(tmp_path / "src" / "p" / f"a_mask_{'xyz'[number]}.png", cell(row, 4))
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=OBJECTS)
    np.testing.assert_array_equal(
        done.label()[:, :, 0].T, sum(n * (cell(row, 4) > 0) for n, row in enumerate((1, 6, 11), start=1))
    )
    (entry,) = done.document["cases"]
    assert entry["notes"] == ["3 mask files were drawn together as 3 objects"]


def test_mask_files_of_several_objects_each_give_all_of_them(tmp_path: Path) -> None:
    write_picture(tmp_path / "src" / "p" / "a.png", grey())
    write_picture(tmp_path / "src" / "p" / "a_mask_x.png", cell(1, 1) // 255 * 7 + cell(1, 9) // 255 * 2)
    write_picture(tmp_path / "src" / "p" / "a_mask_y.png", cell(9, 1) // 255 * 7)
    label = run_ingest(tmp_path / "src", tmp_path / "out", mapping=OBJECTS).label()[:, :, 0].T
    expected = (cell(1, 9) > 0) * 1 + (cell(1, 1) > 0) * 2 + (cell(9, 1) > 0) * 3
    np.testing.assert_array_equal(label, expected)


def test_objects_that_share_pixels_or_are_covered_are_told(tmp_path: Path) -> None:
    write_picture(tmp_path / "src" / "p" / "a.png", grey())
    for name, mask in (("x", cell(1, 1)), ("y", cell(1, 2)), ("z", cell(0, 0, 9))):
        write_picture(tmp_path / "src" / "p" / f"a_mask_{name}.png", mask)
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=OBJECTS)
    (entry,) = done.document["cases"]
    assert entry["notes"] == [
        "3 mask files were drawn together as 3 objects",
        "objects share 18 voxels; the later file's object is drawn on top",
        "2 object(s) have no voxel left: later ones cover them",
    ]


def test_structure_that_the_mapping_ignores_is_no_object(tmp_path: Path) -> None:
    write_picture(tmp_path / "src" / "p" / "a.png", grey())
    write_picture(tmp_path / "src" / "p" / "a_mask_cell.png", cell(1, 1))
    write_picture(tmp_path / "src" / "p" / "a_mask_field.png", np.full((HEIGHT, WIDTH), 255, np.uint8))
    mapping = "{labels: {nucleus: {value: 1, names: [cell]}}, ignore: [field], instances: true}"
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=mapping)
    np.testing.assert_array_equal(done.label()[:, :, 0].T > 0, cell(1, 1) > 0)
    failed = run_ingest(tmp_path / "src", tmp_path / "failed", mapping=mapping.replace("[field]", "[]"))
    assert "structures must be named in the mapping, got 'field'" in failed.report.failures[0].reason


MARKS = {
    "hashes": lambda picture, n: hashlib.sha256(f"{picture} {n}".encode()).hexdigest(),
    "uuids": lambda picture, n: str(uuid.UUID(hashlib.sha256(f"{picture} {n}".encode()).hexdigest()[:32])),
    "numbers": lambda picture, n: str(n + 1),
    "marks behind a word": lambda picture, n: f"nucleus_{hashlib.sha256(f'{picture} {n}'.encode()).hexdigest()[:10]}",
    "marks of letters": lambda picture, n: f"{'abcdefgh'[n]}{['ka', 'lo', 'mu', 'ne'][int(picture[-1])]}x",
}


@pytest.mark.parametrize("marks", MARKS)
@pytest.mark.parametrize("folder", ["{picture}/images/{picture}.png {picture}/masks/{mark}.png",
                                    "images/{picture}.png masks/{picture}/{mark}.png"])  # fmt: skip
def test_one_mask_file_per_object_is_proposed_as_objects(tmp_path: Path, marks: str, folder: str) -> None:
    image, mask = folder.split(" ")
    for number in range(4):
        picture = f"plate{number}"
        write_picture(tmp_path / "src" / image.format(picture=picture), grey(number, (HEIGHT, WIDTH, 3)))
        for n in range(3 + number):
            mark = MARKS[marks](picture, n)
            write_picture(tmp_path / "src" / mask.format(picture=picture, mark=mark), cell(5 * (n // 4), 5 * (n % 4)))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.report.is_clean, done.report.lost_labels
    assert done.manifest.instances
    assert done.manifest.labels == {"background": 0, "nucleus" if marks == "marks behind a word" else "object": 1}
    assert sorted(len(np.unique(done.label(case))) - 1 for case in done.manifest.cases) == [3, 4, 5, 6]


@pytest.mark.parametrize("form", ["cell_{n}", "cell_{n:03d}", "plate_{picture}_cell {n}"])
def test_numbers_that_count_objects_are_no_structures(tmp_path: Path, form: str) -> None:
    for number in range(3):
        folder = tmp_path / "src" / f"plate_{number}"
        write_picture(folder / f"plate_{number}.png", grey(number, (HEIGHT, WIDTH, 3)))
        for n in range(2 + number):
            write_picture(folder / "masks" / f"{form.format(n=n + 1, picture=number)}.png", cell(0, 4 * n))
        for n in range(1, 3):
            write_picture(folder / "masks" / f"vessel_{n}.png", cell(10, 4 * n))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert set(done.manifest.foreground) == {"cell", "vessel_1", "vessel_2"}
    mapping = "{labels: {cell: {value: 1, names: [cell]}}, ignore: ['vessel*'], instances: true}"
    objects = run_ingest(tmp_path / "src", tmp_path / "objects", mapping=mapping)
    assert sorted(len(np.unique(objects.label(case))) - 1 for case in objects.manifest.cases) == [2, 3, 4]


def test_structures_in_files_of_their_own_are_no_objects_though_objects_lie_beside_them(tmp_path: Path) -> None:
    for number in range(2):
        folder = tmp_path / "src" / f"plate{number}"
        write_picture(folder / "image.png", grey(number, (HEIGHT, WIDTH, 3)))
        write_picture(folder / "masks" / "field.png", cell(0, 0, 18) // 255)
        for n in range(4):
            write_picture(folder / "masks" / f"{uuid.UUID(int=7 * number + n + 2**100)}.png", cell(0, 4 * n))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert not done.manifest.instances
    assert set(done.manifest.labels) == {"background", "field", "object"}
    for case in done.manifest.cases:
        cells = np.any([cell(0, 4 * n) > 0 for n in range(4)], axis=0)
        value = done.manifest.labels["object"]
        drawn = done.label(case)[:, :, 0].T
        np.testing.assert_array_equal(drawn == value, cells)


def test_structures_of_many_pictures_in_files_of_their_own_stay_structures(tmp_path: Path) -> None:
    for number in range(3):
        write_picture(tmp_path / "src" / f"eye{number}" / "fundus.png", grey(number, (HEIGHT, WIDTH, 3)))
        for n, name in enumerate(("disc", "cup", "macula", "vessel_1", "vessel_2")):
            write_picture(tmp_path / "src" / f"eye{number}" / "masks" / f"{name}.png", cell(0, 4 * n))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert set(done.manifest.foreground) == {"disc", "cup", "macula", "vessel_1", "vessel_2"}


@pytest.mark.parametrize("ending", ["gif", "bmp", "png", "tif"])
@pytest.mark.parametrize("white_first", [False, True])
def test_mask_of_a_picture_is_read_from_any_format_by_what_it_shows(
    tmp_path: Path, ending: str, white_first: bool
) -> None:
    write_picture(tmp_path / "src" / "images" / f"a.{ending}", grey(0, (HEIGHT, WIDTH, 3)))
    path = tmp_path / "src" / "masks" / f"a.{ending}"
    if white_first and ending in ("gif", "bmp"):
        picture = Image.fromarray(1 - OVAL, "P")
        picture.putpalette([255, 255, 255, 0, 0, 0])
        path.parent.mkdir(parents=True)
        picture.save(path)
    else:
        write_picture(path, OVAL * 255)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.manifest.channels == ("red", "green", "blue")
    np.testing.assert_array_equal(done.label()[:, :, 0].T > 0, OVAL > 0)
    assert done.manifest.labels == {"background": 0, "value_255": 255}


def test_gif_mask_in_colours_is_told(tmp_path: Path) -> None:
    write_picture(tmp_path / "src" / "images" / "a.png", grey())
    picture = Image.fromarray(OVAL, "P")
    picture.putpalette([0, 0, 0, 255, 0, 0])
    (tmp_path / "src" / "masks").mkdir()
    picture.save(tmp_path / "src" / "masks" / "a.gif")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert "a mask must have one channel, got colours; save label values as grey" in done.report.lost_labels[0]


@pytest.mark.parametrize("place", [
    "1st_manual/{n}_manual1.{e}", "Masken/{n}.{e}", "{n}_reader1.{e}", "outlines/{n}.{e}", "{n}_AB.{e}",
    "verite_terrain/{n}.{e}", "разметка/{n}.{e}",
])  # fmt: skip
@pytest.mark.parametrize("ending", ["png", "gif"])
def test_grey_masks_of_any_name_outnumber_no_colour_pictures(tmp_path: Path, place: str, ending: str) -> None:
    folder = "" if "/" not in place else "images/"
    for number in range(3):
        write_picture(tmp_path / "src" / f"{folder}eye{number}.png", grey(number, (HEIGHT, WIDTH, 3)))
        masks = {place: np.roll(OVAL, number, axis=0) * 255, f"field_mask/{{n}}.{ending}": OVAL * 0 + 255}
        for form, mask in masks.items():
            write_picture(tmp_path / "src" / form.format(n=f"eye{number}", e=ending), mask)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.manifest.channels == ("red", "green", "blue")
    assert len(done.manifest.select("training")) == 3
    assert {how for case in done.document["cases"] for how in case["labels"]} == {
        "mask matched by name and grid", "mask known by its few whole values matched by name and grid",
    }  # fmt: skip


def test_masks_that_nothing_but_their_values_tell_are_in_no_case_if_no_image_fits_them(tmp_path: Path) -> None:
    for number in range(3):
        write_picture(tmp_path / "src" / "photos" / f"eye{number}.png", grey(number, (HEIGHT, WIDTH, 3)))
        write_picture(tmp_path / "src" / "drawn" / f"{'abc'[number]}.png", np.roll(OVAL, number) * 255)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert len(done.manifest.cases) == 3
    assert len(done.report.lost_labels) == 3
    assert "name it like its image, or list it under images in the mapping if it is one" in done.report.lost_labels[0]
    assert "mask known by its few whole values" in done.report.lost_labels[0]


@pytest.mark.parametrize(("ending", "colours", "reason"), [
    ("png", True, "a mask must have one channel, got colours"),
    ("jpg", False, "a mask must be stored without loss"),
])  # fmt: skip
def test_mask_of_any_name_that_cannot_be_one_is_told_and_becomes_no_image(
    tmp_path: Path, ending: str, colours: bool, reason: str
) -> None:
    for number in range(3):
        write_picture(tmp_path / "src" / "images" / f"eye{number}.png", grey(number, (HEIGHT, WIDTH, 3)))
        mask = np.roll(OVAL, number, axis=0) * 255
        pixels = np.stack([mask, mask * 0, mask * 0], axis=-1) if colours else mask
        write_picture(tmp_path / "src" / "drawn" / f"eye{number}.{ending}", pixels)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert len(done.manifest.cases) == 3
    assert [reason in line for line in done.report.lost_labels] == [True] * 3


def test_pictures_of_few_values_without_any_other_stay_pictures_and_are_noted(tmp_path: Path) -> None:
    for number in range(3):
        write_picture(tmp_path / "src" / f"scan{number}.png", np.roll(OVAL, number, axis=0) * 255)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert len(done.manifest.cases) == 3
    assert [case["notes"] for case in done.document["cases"]] == [
        ["it holds few whole values, as a mask does, but lies on no other scan's grid; it was taken as an image"]
    ] * 3


@pytest.mark.parametrize(
    ("name", "pixels", "reason"),
    [
        ("a.jpg", OVAL * 200, "a mask must be stored without loss, got a JPEG of"),
        ("a.tif", OVAL.astype(np.float32) * 0.5, "a mask must hold whole numbers from 0"),
        ("a.tif", OVAL.astype(np.int32) * -1, "a mask must hold whole numbers from 0"),
    ],
)
def test_mask_picture_that_holds_no_labels_is_told(tmp_path: Path, name: str, pixels: np.ndarray, reason: str) -> None:
    write_picture(tmp_path / "src" / "images" / "a.png", grey())
    write_picture(tmp_path / "src" / "masks" / name, pixels)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert reason in done.report.lost_labels[0]
    assert done.case.label is None
