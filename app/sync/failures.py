"""From what a connector says to what the caller of a run should do."""

from __future__ import annotations

from app.errors import AppError, ConfigError, UnreachableCrmError
from connectors.errors import (
    AllowanceError,
    ConfigurationError,
    ConnectorError,
    CredentialsError,
    SchemaError,
    TransientError,
)


def as_app_error(error: ConnectorError) -> AppError:
    """The error of the application, and with it the exit code, that a connector's error leads to."""
    if isinstance(error, CredentialsError):
        return UnreachableCrmError(error.message, code=error.code, hint="check the login with: advocacy doctor --live")
    if isinstance(error, TransientError):
        return UnreachableCrmError(error.message, code=error.code, hint="run it again later; nothing is lost")
    if isinstance(error, SchemaError | ConfigurationError):
        return ConfigError(error.message, code=error.code, hint="check the mapping with: advocacy doctor --live")
    if isinstance(error, AllowanceError):
        return AppError(error.message, code=error.code, hint="run it again when the CRM's daily calls are back")
    return AppError(error.message, code=error.code, hint="run it again; if it stays, please report it")
