"""Whether anything answers where a cluster should be."""

from __future__ import annotations

import socket


def refuse_dead(address: str) -> None:
    """Ask the port before Ray does, which would wait for a minute.

    Raises:
        ValueError: nothing listens there.
    """
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "/" in host:
        return  # "local", "auto", ray://...
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise ValueError(
            f"no Ray cluster answers at {address} ({error.strerror or error}); "
            "start one with `ray start --head`, or leave --address out to run on this machine"
        ) from error
