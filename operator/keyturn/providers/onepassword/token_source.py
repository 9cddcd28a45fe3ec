"""Where the token of a service account comes from: a fixed text, or a file that may be replaced at any time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from keyturn.base.errors import translated
from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.vault import CredentialInvalid, VaultError, VaultUnavailable
from keyturn.providers.file_stamp import file_stamp
from keyturn.providers.onepassword.service_token import ServiceToken, parse_service_token

_MAX_BYTES = 64 * 1024
"""A token has about one thousand characters; a larger file is some other file."""


class ServiceTokens(Protocol):
    """Returns the token for the next request."""

    def current(self) -> ServiceToken:
        """The token to use now.

        Raises:
            CredentialInvalid: there is none that can be sent.
            HostNotAllowed: it names a server that may not be asked.
        """

    def stamp(self) -> tuple[int, ...] | None:
        """Differs from before if the token may be another one now; None if it never changes."""


@dataclass(frozen=True, slots=True)
class FixedServiceToken:
    """A token that never changes."""

    token: ServiceToken

    def current(self) -> ServiceToken:
        """The token."""
        return self.token

    def stamp(self) -> None:
        """It never changes."""


@dataclass(slots=True)
class ServiceTokenFile:
    """A token in a file, as in a mounted Secret, read at each use: there are few uses, and many reasons for a new token.

    A file that vanishes or becomes unreadable changes nothing: a kubelet swaps mounted Secrets in several steps.
    """

    path: Path
    allowed: AllowedHosts
    _known: ServiceToken | None = field(default=None, init=False, repr=False)

    def current(self) -> ServiceToken:
        """The token that the file has now, else the last good one."""
        try:
            self._known = parse_service_token(self._read(), origin=f"file {self.path}", allowed=self.allowed)
        except VaultError:
            if self._known is None:
                raise
        return self._known

    def stamp(self) -> tuple[int, ...]:
        """That of the file; empty if there is none."""
        return file_stamp(self.path)

    def _read(self) -> str:
        with translated(self._unreadable), self.path.open("rb") as file:
            # Undecodable bytes become characters that no token has.
            return file.read(_MAX_BYTES).decode("utf-8", errors="replace")

    def _unreadable(self, error: Exception) -> CredentialInvalid | None:
        if not isinstance(error, OSError):
            return None
        why = error.strerror or type(error).__name__
        return CredentialInvalid(f"the service account token file {self.path} cannot be read ({why})")


class NoServiceToken:
    """Takes the place of the token when the connection is closed."""

    def current(self) -> ServiceToken:
        """Always raises `VaultUnavailable`."""
        raise VaultUnavailable("the connection is closed")

    def stamp(self) -> None:
        """There is nothing to change."""
