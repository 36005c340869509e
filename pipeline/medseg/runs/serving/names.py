"""Names by which clients call a server: a page of another site that a browser shows must not reach it by any."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def known_names(host: str, allowed: Sequence[str]) -> frozenset[str] | None:
    """Names that the Host header of a request may hold, in lower case; None for any.

    Args:
        host: Address that the server listens on.
        allowed: Names that whoever starts it allows.
    """
    if not is_loopback(host):
        return frozenset(map(str.lower, allowed)) if allowed else None
    return frozenset(map(str.lower, (*_THIS_MACHINE, host, *allowed)))


def name_in(header: str) -> str:
    """The name in a Host header, without its port, in lower case; "" where there is none, or more than that."""
    if any(sign in header for sign in "@/?#"):
        return ""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def is_of_another_site(*, origin: str | None, fetch_site: str | None, host: str) -> bool:
    """Whether a browser says that a page of another site sends a request.

    Args:
        origin: Origin header; None without one.
        fetch_site: Sec-Fetch-Site header; None without one.
        host: Host header.
    """
    if fetch_site not in (None, "same-origin", "none"):
        return True
    return origin is not None and origin.partition("://")[2].lower() != host.lower()
