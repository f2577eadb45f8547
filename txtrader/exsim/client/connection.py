"""One blocking connection to a simulator's control: a request, its answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from txtrader.exsim.client.errors import ExsimError, ExsimTimeout, error_of

__all__ = ["Connection"]

_PATIENCE = 30.0  # seconds beyond what a request itself waits: the server answers at once


def _plain(value: Any) -> Any:
    """Return what JSON has no word for as text."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (bytes, bytearray)):
        raise TypeError("bytes go as base64")
    raise TypeError(f"{type(value).__name__} cannot be sent")


class Connection:
    """Speaks to the control at `host`:`port`; the first thing it says is the token.

    With `detach` the server may outlive it.  `hello` is what the server told of itself.
    """

    def __init__(self, host: str, port: int, token: str, *, detach: bool = False) -> None:
        self._socket = socket.create_connection((host, port), timeout=_PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._count = 0
        self.is_open = True
        try:
            self.hello = self.request("hello", token=token, version=1, detach=detach)
        except BaseException:
            self.close()
            raise

    def request(self, type: str, /, **arguments: Any) -> dict[str, Any]:
        """Send a request and return its answer without `id` and `result`; raises ExsimError.

        Prices and quantities may be Decimal, int or text; never float.
        """
        if not self.is_open:
            raise ExsimError("closed", "the connection to the simulator is closed")
        self._count += 1
        for name, value in arguments.items():
            if isinstance(value, float) and name not in ("wait", "seconds"):
                raise ExsimError("invalid-argument", f"{name}: a float is not exact; give a Decimal or text", name)
        given = {"id": self._count, "type": type, **arguments}
        frame = json.dumps(given, default=_plain, separators=(",", ":")).encode() + b"\n"
        wait = arguments.get("wait")
        self._socket.settimeout(_PATIENCE + (float(wait) if isinstance(wait, (int, float)) else 0.0))
        try:
            self._socket.sendall(frame)
            line = self._file.readline()
        except TimeoutError:
            self.close()
            raise ExsimTimeout("timeout", f"the simulator did not answer {type}") from None
        except OSError as error:
            self.close()
            raise ExsimError("closed", f"the simulator is gone: {error}") from None
        if not line:
            self.close()
            raise ExsimError("closed", "the simulator is gone")
        return self._read(json.loads(line), self._count)

    def _read(self, answer: Mapping[str, Any], number: int) -> dict[str, Any]:
        if not answer["result"]:
            raise error_of(answer["error"])
        if answer["id"] != number:
            self.close()
            raise ExsimError("internal", f"the answer to {answer['id']} came to {number}")
        return {key: value for key, value in answer.items() if key not in ("id", "result")}

    def close(self) -> None:
        """Close; twice is harmless."""
        self.is_open = False
        self._file.close()
        self._socket.close()
