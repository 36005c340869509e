"""Choices of a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from medseg.inference.requests import RequestLimits
from medseg.runs.machine import DeviceName


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Choices of a server.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 for any that is free.
        token: Secret that each request must bring; needed where other machines can connect.
        allowed_hosts: Names by which clients may call the server; its address and, on loopback, those of this machine
            if not given. Elsewhere any name is allowed if none is given.
        limits: Limits of each scan once it is unpacked.
        most_body_bytes: Most bytes of a request's body.
        at_once: Scans that are read, drawn or written at the same time; the network draws one at a time.
        queue: Requests beyond these that are received or wait; more are asked to come again.
        most_seconds: Longest time from the last byte of a request to its answer.
        patience_s: Longest time in which a client sends or takes nothing.
        folder: Folder of the scans and masks of running requests; one below the system's temporary folder if not given.
        weights: `last`, or `best` at any validation, which flatters that validation set.
        device: Device of the networks.
        tracking_uri: MLflow store of registered models; its own choice if not given.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    limits: RequestLimits = field(default_factory=RequestLimits)
    most_body_bytes: int = 2**31
    at_once: int = 2
    queue: int = 16
    most_seconds: float = 600.0
    patience_s: float = 30.0
    folder: Path | None = None
    weights: str = "last"
    device: DeviceName = "auto"
    tracking_uri: str | None = None
