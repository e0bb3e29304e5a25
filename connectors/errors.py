"""Every way a connector can fail, by what the caller should do next.

ConnectorError
├── TransientError        wait (`retry_after` seconds when known), then try again
│   ├── RateLimitedError      too many requests at once: wait seconds
│   └── UnreachableError      no connection or no answer
├── AllowanceError        the day's API calls are spent: stop, resume later
├── CredentialsError      cannot log in: fix credentials or rights; never retried (retries lock the user out)
├── SchemaError           an object or field is missing or hidden: fix the mapping or the permissions
├── QueryTimeoutError     the query ran too long: narrow it, then try again
├── IncompleteError       the CRM gave fewer rows than it announced: nothing of this pull may be trusted as complete
├── ResumeError           the position is no longer valid: start this pull again from the watermark
├── ConfigurationError    a setting of the connector is wrong
└── ProtocolError         an answer that the API contract does not allow: a bug here or there

A refused record is not an error: it is an `UpdateResult`.
"""

from __future__ import annotations


class ConnectorError(Exception):
    """`message` is for the operator: it says what happened and what to do. No URL, token or body in it."""

    def __init__(self, message: str, *, code: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        """The CRM's own error code, where it gave one."""
        self.retry_after = retry_after


class TransientError(ConnectorError):
    pass


class RateLimitedError(TransientError):
    pass


class UnreachableError(TransientError):
    pass


class AllowanceError(ConnectorError):
    pass


class CredentialsError(ConnectorError):
    pass


class SchemaError(ConnectorError):
    pass


class QueryTimeoutError(ConnectorError):
    pass


class IncompleteError(ConnectorError):
    pass


class ResumeError(ConnectorError):
    pass


class ConfigurationError(ConnectorError):
    pass


class ProtocolError(ConnectorError):
    pass
