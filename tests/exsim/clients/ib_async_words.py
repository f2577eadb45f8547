"""What the scripts with ib_async share: what it logs, and waiting for something."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

LOGGED: list[str] = []


class Listener(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        LOGGED.append(f"{record.name} {record.levelname} {record.getMessage()}")


async def until(condition: Any, seconds: float = 8.0) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError("what was waited for did not come")
        await asyncio.sleep(0.02)
