"""The one exception of the sandbox: an answer that Salesforce would give instead of the wanted one."""

from __future__ import annotations


class ApiError(Exception):
    """Rendered as `[{"message", "errorCode", "fields"}]`, or as a row's `errors` in collections and bulk results."""

    def __init__(self, code: str, message: str, *, status: int = 400, fields: tuple[str, ...] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields


def not_found(message: str = "The requested resource does not exist") -> ApiError:
    return ApiError("NOT_FOUND", message, status=404)
