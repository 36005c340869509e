"""The UI is refused before anything starts if it could not be opened."""

from __future__ import annotations

import socket

import pytest
from medseg.errors import TrackingError
from medseg.tracking import check_ui

from tests.conftest import Medseg


def test_port_in_use_is_named(medseg: Medseg) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = medseg("ui", "--port", str(port), "--tracking-uri", "sqlite:///never.db")
    assert ended.code == 1
    assert ended.out == ""
    assert f"port {port} of 127.0.0.1: must be free" in ended.err
    assert "choose another port" in ended.err
    check_ui("sqlite:///never.db", host="127.0.0.1", port=port)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_server_has_its_own_ui(scheme: str) -> None:
    with pytest.raises(TrackingError, match=rf"has its own UI; open {scheme}://mlflow.example:5000$"):
        check_ui(f"{scheme}://me:secret@mlflow.example:5000", host="127.0.0.1", port=1)
