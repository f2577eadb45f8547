"""What a control request is refused with: a stable code, a line for a person, and the argument at fault."""

from __future__ import annotations

from typing import Any

__all__ = ["CODES", "ControlError", "not_found"]

CODES = {
    "invalid-argument": "An argument is missing, unknown, or of a kind or value that is not taken; `field` names it.",
    "not-found": "Nothing has that name.",
    "already-exists": "Something has that name.",
    "in-use": "Others depend on it.",
    "wrong-state": "It cannot be done now.",
    "unsupported": "This object, protocol or clock has no such thing.",
    "timeout": "What was waited for has not come.",
    "closed": "The session is gone.",
    "rejected": "The venue's rules refused; the venue's reason is in `reason`.",
    "address-in-use": "Another process listens there.",
    "unknown-request": "No request has that type.",
    "bad-frame": "Not a request; the connection is closed.",
    "too-large": "A frame is longer than 1 MiB; the connection is closed.",
    "unauthenticated": "The first request must be a hello with the token; the connection is closed.",
    "plugin-error": "Somebody else's code raised; its text is in the message.",
    "internal": "A bug of ours, logged under `incident`; the server goes on.",
}


class ControlError(Exception):
    """A refused request; `code` is one of `CODES`.

    `field` is the argument at fault.  `more` are further fields of the answer's error (`reason`, `incident`, `index`).
    """

    def __init__(self, code: str, message: str, field: str | None = None, **more: Any) -> None:
        assert code in CODES, code
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.more = more

    def to_dict(self) -> dict[str, Any]:
        """Render the error as an answer carries it."""
        shown: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.field is not None:
            shown["field"] = self.field
        return {**shown, **self.more}


def not_found(kind: str, name: str, field: str | None = None) -> ControlError:
    """Make the error for a name that nothing has."""
    return ControlError("not-found", f"there is no {kind} {name}", field or kind)
