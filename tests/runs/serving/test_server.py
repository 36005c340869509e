"""A server begins with what it needs, and ends without a trace."""

from __future__ import annotations

import gzip
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest
from medseg.atomic import temporary_name
from medseg.errors import ConfigError
from medseg.runs.serving import ServeSettings, open_server
from medseg.runs.serving.spool import opened_spool

from tests.conftest import Medseg
from tests.remedies.inference import model_run, write_image
from tests.runs.serving.running import Answer, Client

SERVE = "from medseg.workflows.cli import main; import sys; sys.argv = ['medseg', 'serve', *sys.argv[1:]]; main()"


def test_folders_of_servers_that_were_killed_are_removed_and_those_of_others_stay(tmp_path: Path) -> None:
    base = tmp_path / "work"
    with opened_spool(base) as other:
        killed = base / temporary_name()
        killed.mkdir()
        for path in (base / "mine.txt", other / "scan", killed / "scan"):
            path.write_text("keep me")
        with opened_spool(base) as own:
            assert {path.name for path in base.iterdir()} == {own.name, other.name, "mine.txt"}
            assert own.stat().st_mode & 0o077 == 0
        assert (other / "scan").exists()
    assert [path.name for path in base.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("kind", ["open", "link"])
def test_folder_that_others_can_enter_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "work").mkdir(mode=0o700)
    if kind == "open":
        (tmp_path / "work").chmod(0o755)
    (tmp_path / "link").symlink_to(tmp_path / "work")
    with (
        pytest.raises(ConfigError, match="must be a folder that its owner alone can enter"),
        opened_spool(tmp_path / ("link" if kind == "link" else "work")),
    ):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "scanner.example"])  # noqa: S104
def test_server_for_other_machines_needs_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match="must have a token"), open_server({}, ServeSettings(host=host, port=0)):
        pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_host_that_is_not_this_machine_is_told(host: str) -> None:
    settings = ServeSettings(host=host, port=0, token="0123456789abcdef")  # noqa: S106
    with pytest.raises(ConfigError, match="must be an address or name of this machine"), open_server({}, settings):
        pass


def test_server_that_ends_while_another_starts_is_no_leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = tmp_path / "work" / temporary_name()
    ended.mkdir(parents=True)
    (tmp_path / "work").chmod(0o700)
    os_open = os.open

    def open_late(path: Path, *details: int) -> int:
        if path == ended:
            ended.rmdir()
        return os_open(path, *details)

    monkeypatch.setattr(os, "open", open_late)
    with opened_spool(tmp_path / "work") as own:
        assert list((tmp_path / "work").iterdir()) == [own]


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_token_that_cannot_be_read_is_told(medseg: Medseg, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path
    if content is not None:
        file = tmp_path / "token"
        file.write_bytes(content)
    outcome = medseg("serve", tmp_path, "--token-file", file)
    assert outcome.code == 2
    assert "must be a text file that can be read" in outcome.err


def test_port_that_is_taken_is_told_before_models_are_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1: must be free to listen on"),
            open_server({"a": [tmp_path / "no_model"]}, ServeSettings(port=port, folder=tmp_path / "work")),
        ):
            pass
    assert not (tmp_path / "work").exists()


def test_stopped_server_ends_what_it_has_begun_and_logs_no_name(tmp_path: Path) -> None:
    scan = bytearray(gzip.decompress(write_image(tmp_path / "a.nii.gz").read_bytes()))
    scan[252:254] = b"\x01\x73"  # a code of the qform that does not exist, of which readers print a warning
    arguments = [model_run(tmp_path / "run"), "--port", 0, "--work-folder", tmp_path / "work", "--device", "cpu"]
    environment = {**os.environ, "MEDSEG_TOKEN": "0123456789abcdef"}
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    lines = [server.stdout.readline(), server.stdout.readline()]
    assert lines[0] == "model: MR -> background, liver\n"
    client = Client(("127.0.0.1", int(lines[1].split(",")[0].rsplit(":", 1)[1])), tmp_path / "work")
    answers: list[Answer] = []
    headers = {"Authorization": "Bearer 0123456789abcdef"}
    asking = Thread(
        target=lambda: answers.append(client.ask("POST", "/predict?name=Meier_Anna.nii", bytes(scan), headers))
    )
    asking.start()
    while not list(client.folder.glob("*/*")) and asking.is_alive():
        time.sleep(0.005)
    server.send_signal(signal.SIGTERM)
    _, log = server.communicate(timeout=60)
    asking.join()
    assert ([one.status for one in answers], server.returncode) == ([200], 0), log
    assert "POST /predict 200" in log
    assert "Meier" not in log
    assert "qform" not in log
    assert list((tmp_path / "work").iterdir()) == []
