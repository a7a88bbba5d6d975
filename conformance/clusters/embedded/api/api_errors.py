"""Error statuses of the API server."""

from __future__ import annotations

from typing import Any

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    500: "InternalError",
    501: "NotImplemented",
    503: "ServiceUnavailable",
}


class StatusError(Exception):
    """An answer with an error status; ``reason`` overrides the usual reason of the status."""

    def __init__(self, status: int, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason or _REASONS.get(status, "")

    def document(self) -> dict[str, Any]:
        """As a Status object."""
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": str(self), "reason": self.reason, "code": self.status}  # fmt: skip


def not_found(key: str, name: str) -> StatusError:
    """The error for a missing object (404)."""
    return StatusError(404, f'{key} "{name}" not found')


def not_implemented(what: str) -> StatusError:
    """The error for a feature that the embedded cluster lacks (501)."""
    return StatusError(501, f"the embedded cluster does not support {what}; a real cluster does")
