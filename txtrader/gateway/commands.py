"""From a caller's words to a command: every argument parsed strictly, by the one table of operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from txtrader.model.operations import OPERATIONS, Argument, Operation

__all__ = ["OPERATIONS", "Argument", "Command", "Operation"]


class Command(msgspec.Struct, frozen=True):
    """An operation with its parsed arguments, ready for `Gateway.execute`."""

    operation: Operation
    arguments: Mapping[str, Any]
