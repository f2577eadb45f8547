"""The tape: everything that the venue received, decided and told, in order, with the clock's time.

It is the evidence in tests, and what two runs of one seed are compared by.  The newest records are kept, a digest
runs over all of them.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

__all__ = ["Tape"]

_BATCH = 512


class Tape:
    """Records of (number, time, kind, fields...), as tuples of plain values.

    `keep` bounds how many stay readable.  `on_bytes` gets the encoded records, one JSON array a line, in batches;
    `flush` hands over what is left.
    """

    def __init__(
        self, now_ns: Callable[[], int], *, keep: int = 100_000, on_bytes: Callable[[bytes], None] | None = None
    ) -> None:
        self._now_ns = now_ns
        self._records: deque[tuple[Any, ...]] = deque(maxlen=keep)
        self._fresh: list[tuple[Any, ...]] = []
        self._hash = hashlib.sha256()
        self._encode = msgspec.json.Encoder(decimal_format="string").encode
        self._on_bytes = on_bytes
        self.count = 0

    def write(self, kind: str, *fields: Any) -> None:
        """Add a record; fields are text, integers, Decimals, None, or tuples of these."""
        self.count += 1
        record = (self.count, self._now_ns(), kind, *fields)
        self._records.append(record)
        fresh = self._fresh
        fresh.append(record)
        if len(fresh) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Take the records since the last time into the digest, and hand them over."""
        if not self._fresh:
            return
        encode = self._encode
        data = b"".join(encode(record) + b"\n" for record in self._fresh)
        self._fresh.clear()
        self._hash.update(data)
        if self._on_bytes is not None:
            self._on_bytes(data)

    def digest(self) -> str:
        """Return the SHA-256 over the bytes of all records so far, in hex."""
        self.flush()
        return self._hash.hexdigest()

    def lines(self) -> Iterator[bytes]:
        """Walk the kept records as bytes, one JSON array a line."""
        for record in tuple(self._records):
            yield self._encode(record) + b"\n"

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(tuple(self._records))

    def since(self, number: int, limit: int = 1000) -> list[tuple[Any, ...]]:
        """Return records with a number above `number`, oldest first; numbers are dense, so that a gap shows."""
        return [record for record in self._records if record[0] > number][:limit]

    def of_kind(self, kind: str) -> list[tuple[Any, ...]]:
        """Return the kept records of one kind."""
        return [record for record in self._records if record[2] == kind]
