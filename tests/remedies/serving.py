"""Remedies of the errors of servers and watchers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from medseg.runs.segmentation.predict import PredictSettings
from medseg.runs.segmentation.watch import WatchSettings, watch_folder
from medseg.runs.serving import ServeSettings, open_server
from medseg.runs.serving.spool import opened_spool

from tests.remedies.attempts import by_a_person, tried_elsewhere, tries
from tests.remedies.inference import model_run, write_image

Again = Iterator[Callable[[], object]]
_TESTS = "tests/runs/serving"

for _test, _word, _file, _text in (
    ("clients", "full", "desk", "send it again later"),
    ("clients", "trouble", "error_answer", "send it again later, or a smaller part of it"),
    ("clients", "too_long", "app", "send a smaller part of the scan, or send it again when fewer others wait"),
    ("clients", "slowly", "body", "send it again over a faster connection"),
    ("clients", "token", "guard", "send the header Authorization: Bearer TOKEN"),
    ("clients", "name", "guard", "call it by its address, or let whoever runs it allow the name"),
    ("answers", "described", "app", "give its name as the parameter model"),
    ("answers", "too_large", "body", "send a smaller part of the scan, or pack it"),
    ("answers", "too_large", "body", "send a file, such as with curl and its option data-binary"),
):
    tried_elsewhere(f"{_TESTS}/test_{_test}.py", _word, f"runs/serving/{_file}.py", _text)
by_a_person("only who runs the server sees its log", "runs/serving/error_answer.py", "tell who runs it")


def open_once(models: dict[str, Any], **settings: Any) -> str:
    with open_server(models, ServeSettings(**{"port": 0, "device": "cpu", **settings})) as server:
        return server.address


@tries("runs/serving/server.py", "choose another name")
def _name_with_a_slash(place: Path) -> Again:
    run = model_run(place / "run")
    yield lambda: open_once({"a/b": [run]}, folder=place / "work")
    yield lambda: open_once({"a_b": [run]}, folder=place / "work")


@tries("runs/serving/server.py", "give it one, or let it listen on 127.0.0.1")
def _no_token(place: Path) -> Again:
    yield lambda: open_once({}, host="0.0.0.0", folder=place / "work")  # noqa: S104
    yield lambda: open_once({}, host="0.0.0.0", token="0123456789abcdef", folder=place / "work")  # noqa: S104, S106
    yield lambda: open_once({}, host="127.0.0.1", folder=place / "work")


@tries("runs/serving/server.py", "make one, such as with openssl rand -hex 32")
def _short_token(place: Path) -> Again:
    yield lambda: open_once({}, token="secret", folder=place / "work")  # noqa: S106
    yield lambda: open_once({}, token="0f" * 32, folder=place / "work")


@tries("runs/serving/server.py", "choose one of its own, such as 127.0.0.1")
def _host_of_another_machine(place: Path) -> Again:
    yield lambda: open_once({}, host="192.0.2.1", token="0123456789abcdef", folder=place / "work")  # noqa: S106
    yield lambda: open_once({}, host="127.0.0.1", folder=place / "work")


@tries("runs/serving/server.py", "choose another port")
def _port_taken(place: Path) -> Again:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield lambda: open_once({}, port=taken.getsockname()[1], folder=place / "work")
        yield lambda: open_once({}, folder=place / "work")


def _open_spool(folder: Path) -> bool:
    with opened_spool(folder) as own:
        return own.is_dir()


@tries(
    "runs/serving/spool.py",
    "take its permissions away from others, or choose another with the option work-folder",
)
def _folder_of_all(place: Path) -> Again:
    (place / "work").mkdir(mode=0o755)
    (place / "work").chmod(0o755)
    yield lambda: _open_spool(place / "work")
    yield lambda: _open_spool(place / "other")
    (place / "work").chmod(0o700)
    yield lambda: _open_spool(place / "work")


def _watch(place: Path, inbox: Path, out: Path) -> object:
    run = place / "run"
    if not run.exists():
        model_run(run)
    predict = PredictSettings(out=out, device="cpu")
    return watch_folder([run], inbox, WatchSettings(predict=predict, settle_s=0, is_lasting=False))


@tries("runs/segmentation/watch/watch.py", "create it, or check the path")
def _no_inbox(place: Path) -> Again:
    yield lambda: _watch(place, place / "inbox", place / "masks")
    (place / "inbox").mkdir()
    yield lambda: _watch(place, place / "inbox", place / "masks")


@tries("runs/segmentation/watch/watch.py", "choose another folder for them")
def _masks_around_the_inbox(place: Path) -> Again:
    write_image(place / "inbox" / "a.nii.gz")
    yield lambda: _watch(place, place / "inbox", place)
    yield lambda: _watch(place, place / "inbox", place / "masks")
