"""Where CQG sends a client on to: the address in `redirect_url`, taken only where the link stays as safe as it was."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["redirected"]

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_PORTS = {"wss": 443, "ws": 80}


def redirected(url: str, *, is_tls: bool) -> tuple[str, int] | None:
    """Return host and port of a redirect, None for one that is not followed.

    From an encrypted link it goes on only to an encrypted one, from an open one only to this machine.  A bare
    `host:port` keeps the kind of link that there is.
    """
    word = "wss" if is_tls else "ws"
    try:
        parts = urlsplit(url if "://" in url else f"{word}://{url}")
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname
    if parts.scheme != word or not host or parts.username is not None:
        return None
    if not is_tls and host not in _LOOPBACK:
        return None
    return host, port or _PORTS[word]
