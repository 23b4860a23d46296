"""Refuses every connection but those within this machine, and takes down what was tried."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

_connect, _connect_ex, _getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo


def is_within(host: object) -> bool:
    """Whether a host is this machine's loopback (or nothing that needs a name server)."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(str(name))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def forbid(tell: Callable[[str], None]) -> None:
    """Make this process refuse what would leave the machine.

    Args:
        tell: Is given what was tried.
    """

    def checked(what: str, host: object) -> None:
        if not is_within(host):
            tell(f"{what} {host}")
            message = f"{what} {host}: these tests open no connection"
            raise OSError(message)

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            checked("connect", address[0])
        _connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            checked("connect", address[0])
        return _connect_ex(self, address)

    def getaddrinfo(host: Any, *rest: Any, **more: Any) -> Any:
        checked("getaddrinfo", host)
        return _getaddrinfo(host, *rest, **more)

    socket.socket.connect, socket.socket.connect_ex = connect, connect_ex  # type: ignore[method-assign]
    socket.getaddrinfo = getaddrinfo


def allow() -> None:
    """Undo ``forbid``."""
    socket.socket.connect, socket.socket.connect_ex = _connect, _connect_ex  # type: ignore[method-assign]
    socket.getaddrinfo = _getaddrinfo


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """No test opens a connection to another machine; one whose error was swallowed fails the run at its end."""
    tried: list[str] = []
    forbid(tried.append)
    yield
    allow()
    assert tried == []
