"""Addresses behind which no cluster answers."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from medseg.cohort.cluster import opened_cluster
from medseg.errors import ClusterError


@pytest.mark.parametrize("address", ["nonsense", "ray://head:10001", "head:port"])
def test_address_of_another_form_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="must be host:port, auto or local"):
        opened_cluster(address, out=tmp_path).__enter__()


def test_closed_port_is_an_error_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ClusterError, match=rf"cluster {address} must answer within 30 s, got: Connection refused"):
            opened_cluster(address, out=tmp_path).__enter__()
