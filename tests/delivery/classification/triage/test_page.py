"""The page: one file that holds everything it says, safe to show whatever studies are called."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from medseg.delivery.classification.triage import KeySlice, TriageStudy
from medseg.delivery.classification.triage.curve import BOTTOM, LEFT, RIGHT, TOP, draw_curve
from medseg.delivery.classification.triage.legible import in_mm, legible
from medseg.delivery.classification.triage.rows import make_ranking
from medseg.delivery.classification.triage.thumbnail import thumbnail
from medseg.errors import DeliveryError
from medseg.records import Failure
from PIL import Image

from tests.delivery.classification.triage.studies import CLASSES, page_of, peaks, scores_of, study_of

HOSTILE = "</title></script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}&amp;\u202e"
VOID = {"meta", "img", "input", "br"}


class Parsed(HTMLParser):
    """Tags with their attributes, texts, and whether every tag that was opened is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.is_sound = True
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        self.is_sound &= bool(self.open) and self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.texts.append(text)

    def values(self, tag: str, name: str) -> list[str]:
        """The attribute of every such tag that has it."""
        return [found[name] or "" for kind, found in self.tags if kind == tag and name in found]


def some_studies() -> list[TriageStudy]:
    return [
        study_of(scores_of("low", peaks(30, tumour=(3, 0.2), oedema=(20, 0.1)).tolist())),
        study_of(scores_of("high", peaks(30, tumour=(3, 0.4), oedema=(20, 0.95)).tolist())),
        study_of(scores_of("middle", peaks(30, tumour=(9, 0.6), oedema=(10, 0.3)).tolist())),
    ]


def cases_of(page: str) -> list[str]:
    """Case ids in the order of the list."""
    return re.findall(r'<td role="cell" class="case"><bdi>(.*?)</bdi>', page)


def test_most_probable_study_is_on_top(tmp_path: Path) -> None:
    page = page_of(tmp_path / "triage.html", some_studies())
    assert cases_of(page) == ["high", "middle", "low"]
    assert re.findall(r'data-ranks="([\d ]+)" data-shares="([\d. ]+)"', page) == [
        ("1 2 1", "0.950 0.400 0.950"),
        ("2 1 2", "0.600 0.600 0.300"),
        ("3 3 3", "0.200 0.200 0.100"),
    ]


def test_page_is_sound_html_and_asks_for_nothing_outside_itself(tmp_path: Path) -> None:
    page = page_of(tmp_path / "triage.html", some_studies(), failures=[Failure("x", "read", "case x: broken")])
    parsed = Parsed(page)
    assert parsed.is_sound
    assert parsed.open == []
    assert all(source.startswith("data:image/jpeg;base64,") for source in parsed.values("img", "src"))
    assert not any(tag in ("link", "a", "iframe") for tag, _ in parsed.tags)
    assert not re.search(r"https?://|@import|url\(", page)
    ids = [found["id"] for _, found in parsed.tags if "id" in found]
    assert len(set(ids)) == len(ids)


def test_only_the_page_s_own_script_may_run(tmp_path: Path) -> None:
    page = page_of(tmp_path / "triage.html", some_studies())
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = Parsed(page).values("meta", "content")[:1]
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    plain = Parsed(page_of(tmp_path / "plain.html", [study_of(scores_of("a", [[0.1, 0.9, 0.2]]))], model="m"))
    classes = ("background", HOSTILE, "oedema")
    studies = [study_of(scores_of(HOSTILE, [[0.1, 0.9, 0.2]]), classes)]
    failures = [Failure(HOSTILE, HOSTILE, HOSTILE)]
    page = page_of(tmp_path / "hostile.html", studies, classes, model=HOSTILE, failures=failures)
    parsed = Parsed(page)
    assert parsed.is_sound
    assert parsed.texts.count(HOSTILE) >= 6
    assert [tag for tag, _ in parsed.tags].count("script") == [tag for tag, _ in plain.tags].count("script") == 1
    assert not any(name.startswith("on") for _, found in parsed.tags for name in found)
    assert len(parsed.values("img", "src")) == len(plain.values("img", "src"))


def test_names_that_no_file_can_hold_are_still_shown(tmp_path: Path) -> None:
    page = page_of(tmp_path / "triage.html", [study_of(scores_of("a\udcff\x00b", [[0, 0.5, 0]]))])
    assert cases_of(page) == ["a\ufffd\ufffdb"]
    assert legible("größe 肺") == "größe 肺"


def test_failures_stand_above_the_list_with_their_reason(tmp_path: Path) -> None:
    failures = [Failure("x", "read", "case x: file must be readable, got: <b>"), Failure("y", "classify", "case y: no")]
    page = page_of(tmp_path / "triage.html", some_studies(), failures=failures)
    assert "2 studies failed and have no rank" in page
    assert page.index("case x: file must be readable, got: &lt;b&gt;") < page.index('id="studies"')
    assert "failed" not in Parsed(page_of(tmp_path / "other.html", some_studies())).values("section", "class")


def test_study_without_numbers_is_a_failure(tmp_path: Path) -> None:
    lost = TriageStudy("lost", scores_of("lost", [[0, math.nan, 0], [0, 0.5, 0]]))
    empty = TriageStudy("empty", scores_of("empty", []))
    page = page_of(tmp_path / "triage.html", [*some_studies(), lost, empty])
    assert cases_of(page) == ["high", "middle", "low"]
    assert "case lost: probabilities must be numbers, got NaN or infinity on 1 of 2 slices" in page
    assert "case empty: study must have slices, got none" in page
    assert "Triage of 3 studies" in page
    rows = re.sub(r'base64,[^"]*', "", page[page.index('id="studies"') : page.index("<footer>")])
    assert not re.search(r"\bnan\b|\binf\b", rows, re.IGNORECASE)


def test_page_without_studies_says_so(tmp_path: Path) -> None:
    page = page_of(tmp_path / "triage.html", [], failures=[Failure("x", "read", "case x: broken")])
    assert Parsed(page).is_sound
    assert "No study was classified." in page
    assert "1 study failed and has no rank" in page
    assert 'id="studies"' not in page


def test_one_slice_is_drawn_as_a_level_line(tmp_path: Path) -> None:
    study = study_of(scores_of("a", [[0.2, 0.5, 0.3]]))
    curve = draw_curve(study.scores, study.keys, {1: 0, 2: 1}, CLASSES)
    (start, end) = curve.lines[0].points.split()
    assert start.split(",")[1] == end.split(",")[1] == str((TOP + BOTTOM) // 2)
    assert [(dot.x, dot.y) for dot in curve.dots] == [((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2)]
    page = page_of(tmp_path / "triage.html", [study])
    assert "1 slice<" in page
    assert ">−10 mm</text>" in page


def test_curve_rises_along_the_patient_whatever_the_order_of_the_array() -> None:
    scores = scores_of("a", [[0, 1.0, 0], [0, 0.5, 0], [0, 0.0, 0]])
    scores.positions_mm[:] = [4, 2, 0]
    curve = draw_curve(scores, (KeySlice(0, 4.0, "tumour", 1.0),), {1: 0}, CLASSES)
    assert curve.lines[0].points == f"{LEFT},{BOTTOM} {(LEFT + RIGHT) / 2:g},{(TOP + BOTTOM) // 2} {RIGHT},{TOP}"
    assert [(dot.x, dot.y) for dot in curve.dots] == [(RIGHT, TOP)]
    assert (curve.low_mm, curve.high_mm) == (0, 4)


def test_long_curve_keeps_its_peaks() -> None:
    table = peaks(2000, tumour=(777, 1.0))
    curve = draw_curve(scores_of("a", table.tolist()), (), {1: 0}, CLASSES)
    points = [tuple(map(float, point.split(","))) for point in curve.lines[0].points.split()]
    assert len(points) <= 112
    assert min(y for _, y in points) == TOP
    assert points == sorted(points, key=lambda point: point[0])


@pytest.mark.parametrize(
    ("direction", "words"), [("R", "left to right"), ("A", "posterior to anterior"), ("S", "inferior to superior")]
)
def test_patient_direction_is_named(direction: str, words: str, tmp_path: Path) -> None:
    page = page_of(tmp_path / "triage.html", some_studies(), direction=direction)
    assert f"Along {direction}, {words}</th>" in page
    assert f">{words[0].upper()} −10</text>" in page
    assert f"48 mm {words.split()[-1][0].upper()}</text>" in page


def test_page_says_what_it_is_not_and_what_made_it(tmp_path: Path) -> None:
    made = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)
    page = page_of(tmp_path / "triage.html", some_studies(), made=made)
    assert "Not a medical device." in page
    assert "phantoms 1, digest 3f9a" in page
    assert "made 2026-11-23 06:05 UTC" in page
    assert "Probabilities are calibrated on validation cases." in page
    other = page_of(tmp_path / "other.html", some_studies(), is_calibrated=False)
    assert "Probabilities are not calibrated" in other
    assert "are calibrated" not in other


def test_key_slices_are_shown_with_place_class_and_probability(tmp_path: Path) -> None:
    page = page_of(tmp_path / "triage.html", some_studies()[:1])
    captions = re.findall(r"<figcaption><b><bdi>(.*?)</bdi></b> ([\d.]+)<br>(.*?)</figcaption>", page)
    assert captions == [("tumour", "0.200", "slice 3, −4.0 mm"), ("oedema", "0.100", "slice 20, 30.0 mm")]
    parsed = Parsed(page)
    assert parsed.values("img", "loading") == ["lazy", "lazy"]
    assert parsed.values("img", "width") == ["96", "96"]
    assert parsed.values("img", "height") == ["64", "64"]


def test_only_class_has_the_only_column(tmp_path: Path) -> None:
    page = page_of(tmp_path / "triage.html", [study_of(scores_of("a", [[0.2, 0.5]]), ("background", "x"))], CLASSES[:2])
    assert len(re.findall("data-column=", page)) == 1
    assert 'data-ranks="1" data-shares="0.500"' in page


def test_of_many_classes_the_most_probable_have_columns_and_all_rank() -> None:
    classes = tuple(f"c{number:02d}" for number in range(12))
    weak = scores_of("weak", [[0.1 + 0.05 * number for number in range(12)]])
    ranking = make_ranking([study_of(weak, classes)], classes, None)
    assert ranking.shown == [f"c{number:02d}" for number in range(4, 12)]
    assert ranking.hidden == 4
    assert [share.colour for share in ranking.rows[0].shares] == [7, *range(8)]


def test_two_studies_of_one_name_keep_their_own_numbers(tmp_path: Path) -> None:
    studies = [study_of(scores_of("a", [[0, value, 0]])) for value in (0.25, 0.75)]
    page = page_of(tmp_path / "triage.html", studies)
    assert re.findall(r'data-shares="([\d.]+)', page) == ["0.750", "0.250"]


def test_thousand_studies_of_pure_noise_stay_under_twenty_megabytes(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 2, (96, 96)).astype(float) for _ in range(4)]
    table = generator.random((120, 3)) * 0.5
    table[10, 1], table[100, 2] = 0.9, 0.8
    key_pair = (KeySlice(10, 10.0, "tumour", 0.9), KeySlice(100, 190.0, "oedema", 0.8))
    studies = [
        TriageStudy(
            f"study_{n:04d}", scores_of(f"study_{n:04d}", table.tolist()), key_pair, tuple(pictures[n % 2 :: 2])
        )
        for n in range(1000)
    ]
    page = page_of(tmp_path / "triage.html", studies)
    size = (tmp_path / "triage.html").stat().st_size
    assert size < 20e6
    assert len(cases_of(page)) == 1000
    assert f"one file of {size / 1e6:.1f} MB" in page


@pytest.mark.parametrize("shape", [(256, 256), (400, 100), (1, 300), (96, 96), (500, 2)])
def test_thumbnail_is_small_and_keeps_its_proportions(shape: tuple[int, int]) -> None:
    found = thumbnail(np.random.default_rng(1).standard_normal(shape) * 1e4)
    data = base64.b64decode(found.source.removeprefix("data:image/jpeg;base64,"))
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.mode == "L"
        assert picture.size == (found.width, found.height)
    assert max(found.width, found.height) == 96
    assert found.height / found.width == pytest.approx(np.clip(shape[0] / shape[1], 1 / 96, 96), rel=0.1)
    assert len(data) <= 5000


def test_picture_that_packs_badly_is_still_small() -> None:
    salt = np.random.default_rng(1).integers(0, 2, (96, 96)).astype(float)
    assert len(base64.b64decode(thumbnail(salt).source.removeprefix("data:image/jpeg;base64,"))) <= 5000


def test_thumbnail_stays_upright_and_spans_black_to_white() -> None:
    ramp = np.repeat(np.linspace(-5, 5, 50)[:, None], 60, axis=1)
    ramp[0, 0], ramp[0, 1] = np.nan, np.inf
    data = base64.b64decode(thumbnail(ramp).source.removeprefix("data:image/jpeg;base64,"))
    with Image.open(io.BytesIO(data)) as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (50, 60)
    assert pixels[0].max() < 12
    assert pixels[-1].min() > 243


@pytest.mark.parametrize("value", [0.0, 7.0, math.nan])
def test_thumbnail_of_one_value_is_black(value: float) -> None:
    data = base64.b64decode(thumbnail(np.full((8, 8), value)).source.removeprefix("data:image/jpeg;base64,"))
    with Image.open(io.BytesIO(data)) as picture:
        assert np.asarray(picture).max() == 0


@pytest.mark.parametrize("shapes", [[], [(3, 3), (3, 3)], [(3, 3, 1)], [(0, 3)]])
def test_pictures_that_do_not_fit_the_key_slices_are_refused(shapes: list[tuple[int, ...]]) -> None:
    pictures = tuple(np.zeros(shape) for shape in shapes)
    with pytest.raises(DeliveryError, match="case a: thumbnails must be 1 pictures"):
        TriageStudy("a", scores_of("a", [[0, 0.5, 0]]), (KeySlice(0, 0.0, "tumour", 0.5),), pictures)


def test_page_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeliveryError, match=r"triage\.html: must be writable"):
        page_of(tmp_path / "file" / "triage.html", some_studies())


def test_positions_have_a_true_minus_and_no_minus_zero() -> None:
    assert [in_mm(value) for value in (-12.34, 0.0, -0.04, 3.0)] == ["−12.3", "0.0", "0.0", "3.0"]
    assert in_mm(-0.4, 0) == "0"
