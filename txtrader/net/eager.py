"""Writing straight into a free socket, for the half of Twisted's speed that registering a writer costs."""

from __future__ import annotations

from typing import Any

from twisted.internet.tcp import Connection

__all__ = ["is_plain_socket", "write_eagerly"]


def is_plain_socket(transport: Any) -> bool:
    """Tell whether bytes may go straight into the socket: plain TCP of Twisted, no TLS on it."""
    return isinstance(transport, Connection) and not getattr(transport, "TLS", False)


def _is_idle(transport: Connection) -> bool:
    """Tell whether the transport would send the next byte at once.

    Reads attributes of Twisted that are half private; `tests/net/test_net_outbound.py` notices a change of them.
    """
    return bool(
        transport.connected
        and not transport.disconnecting
        and not transport._writeDisconnected
        and not transport._tempDataLen
        and len(transport.dataBuffer) == transport.offset
    )


def write_eagerly(transport: Any, data: bytes) -> None:
    """Write to a transport that others write to as well: at once if nothing waits, else behind what waits."""
    if is_plain_socket(transport) and _is_idle(transport):
        sent = transport.writeSomeData(data)
        if isinstance(sent, int):
            if sent == len(data):
                return
            data = data[sent:]
        # Else the connection is lost: the write below lets the reactor find out in its own way.
    transport.write(data)
