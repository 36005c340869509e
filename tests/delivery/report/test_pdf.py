from __future__ import annotations

import re
import sys
import zlib
from pathlib import Path

import pytest
from medseg.delivery.report import Report, Row, Section, Table, Text, check_pdf, render_report, save_pdf
from medseg.delivery.report.pdf import _fetcher
from medseg.errors import DeliveryError


def content_of(path: Path) -> bytes:
    """A PDF with its streams unpacked."""
    data = path.read_bytes()
    found = [data]
    for packed in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            found.append(zlib.decompressobj().decompress(packed))
        except zlib.error:
            continue
    return b"\n".join(found)


def page_of(paragraphs: int) -> str:
    texts = [Text("liver " * 60) for _ in range(paragraphs)]
    return render_report(Report("Report of run", "of livers", {}, [Section("Part", texts)], "made by a test"))


def test_page_is_a_pdf_with_text_on_numbered_a4_pages(tmp_path: Path) -> None:
    save_pdf(page_of(60), tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")
    content = content_of(tmp_path / "report.pdf")
    pages = len(re.findall(rb"/Type\s*/Page\b", content))
    assert pages > 1
    assert content.count(b"BT\n") >= pages  # blocks of text, not pictures of it
    assert b"/Title (Part)" in content
    width, height = (float(size) for size in re.findall(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", content)[0])
    assert (round(width / 72 * 25.4), round(height / 72 * 25.4)) == (210, 297)
    assert [path.name for path in tmp_path.iterdir()] == ["report.pdf"]


@pytest.mark.parametrize("address", ["file:///etc/hostname", "http://localhost:1/a.png", "https://localhost:1/a.png"])
def test_nothing_outside_of_the_page_is_loaded(address: str) -> None:
    with pytest.raises(ValueError, match="protocol"):
        _fetcher(check_pdf()).fetch(address)


def test_missing_package_is_said_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(DeliveryError, match="weasyprint must be installed") as raised:
        check_pdf()
    assert "pip install weasyprint" in raised.value.remedy


def test_missing_library_is_said_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_pango(name: str) -> object:
        raise OSError("cannot load library 'libpango-1.0-0'\nand more")

    monkeypatch.setattr("medseg.delivery.report.pdf.importlib.import_module", without_pango)
    with pytest.raises(DeliveryError, match=r"Pango must be installed, .* 'libpango-1.0-0'; install") as raised:
        check_pdf()
    assert "apt-get install" in raised.value.remedy


def test_banner_of_weasyprint_is_not_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def with_banner(name: str) -> object:
        sys.stdout.write("WeasyPrint could not import some external libraries.\n")
        sys.stderr.write("more\n")
        raise OSError("cannot load library 'libpango-1.0-0'")

    monkeypatch.setattr("medseg.delivery.report.pdf.importlib.import_module", with_banner)
    with pytest.raises(DeliveryError, match="Pango must be installed"):
        check_pdf()
    assert capsys.readouterr() == ("", "")


def test_long_label_stays_on_the_paper(tmp_path: Path) -> None:
    weasyprint = check_pdf()
    label = "left_upper_lobe_of_the_lung_" * 6
    table = Table("Structures", (label, "Dice"), [Row((label, "0.9"))])
    page = render_report(Report("run", "of livers", {label: label}, [Section(label, [Text(label), table])], "a test"))
    width = 210 / 25.4 * 96
    boxes = [box for one in weasyprint.HTML(string=page).render().pages for box in one._page_box.descendants()]
    assert max(box.position_x + box.width for box in boxes if isinstance(getattr(box, "text", None), str)) <= width


def test_readers_of_pictures_refuse_truncated_ones_after_a_pdf_was_made(tmp_path: Path) -> None:
    import sys

    from PIL import ImageFile

    for name in [name for name in sys.modules if name.partition(".")[0] == "weasyprint"]:
        del sys.modules[name]  # as in a process that has not loaded it yet
    save_pdf("<html><body>text</body></html>", tmp_path / "a.pdf")
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
