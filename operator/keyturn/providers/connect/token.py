"""Where the bearer token comes from: a fixed text, or a file that may be replaced at any time."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from keyturn.base.errors import translated
from keyturn.base.time import Time
from keyturn.providers.connect.connect_errors import BadToken, ConfigError
from keyturn.providers.file_stamp import file_stamp

_LOOK_EVERY = 1.0
"""Seconds between two looks at the stamp of a token file."""

_QUOTES = "\"'`"
_ENCODED_TOKEN = "ZXlK"  # noqa: S105 - how every token begins in base64, not a token
"""A Connect token is a JWT and begins with `eyJ`; so this is how one begins after `base64`."""

_LONGEST_ID = 256

_MAX_BYTES = 64 * 1024
"""A Connect token has about one thousand characters; a larger file is some other file."""


class TokenSource(Protocol):
    """Returns the token for the next request, and looks again when the server refuses it."""

    def current(self) -> str:
        """The token to send now.

        Raises:
            BadToken: there is none that can be sent.
        """

    def renew(self) -> bool:
        """Look again at once, because the server refused the token. Returns whether it is another one now.

        Raises:
            BadToken: the token of now cannot be sent.
        """

    def stamp(self) -> tuple[int, ...] | None:
        """Differs from before if the token may be another one now; None if it never changes."""


def clean_token(text: str, *, origin: str) -> str:
    """Strip outer whitespace and refuse what would damage the header.

    A token that is copied from a terminal may contain line ends; the server then reports illegal base64, or the header splits.

    Args:
        text: the token as given.
        origin: where it comes from, for the message.

    Raises:
        BadToken: empty, of a form that is known to be something else, or with inner whitespace, control or non-ASCII characters.
            The message never repeats the token.
    """
    token = text.strip()
    if not token:
        raise BadToken(f"the Connect token in {origin} is empty")
    if (form := _foreign_form(token)) is not None:
        raise BadToken(f"the Connect token in {origin} {form}")
    if any(char.isspace() for char in token):
        raise BadToken(
            f"the Connect token in {origin} has whitespace inside: was it copied with a line break, or with 'Bearer'?"
        )
    if not token.isascii() or not token.isprintable():
        raise BadToken(f"the Connect token in {origin} has characters that no token has: was it cut or encoded?")
    return token


def token_id(token: str) -> str:
    """The id of a token, `jti`, by which Connect's activity names it; empty if it has none that can be read.

    Nothing is checked, and nothing may be decided by it but what an entry of that activity is called.
    """
    payload = token.split(".")[1:2]
    try:
        read = json.loads(base64.urlsafe_b64decode(payload[0] + "==")) if payload else None
    except (ValueError, RecursionError):
        return ""
    found = read.get("jti") if isinstance(read, dict) else None
    return found[:_LONGEST_ID] if isinstance(found, str) else ""


def _foreign_form(token: str) -> str | None:
    """What a text is instead of a Connect token, as the end of a sentence; None if it has none of these well-known forms."""
    if token[0] in _QUOTES or token[-1] in _QUOTES:
        return "begins or ends with a quotation mark: write it without quotes"
    if token.startswith("op://"):
        return "is a secret reference (op://...) that nobody resolved: put the token itself there"
    if token.startswith("ops_"):
        return "is the token of a 1Password service account (ops_...), which needs no Connect server: see docs/service-accounts.md"
    if token.startswith(_ENCODED_TOKEN):
        return "is encoded in base64 once more than a Secret needs: decode it once"
    return None


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A fixed token, as in the environment variable `OP_CONNECT_TOKEN`.

    Attributes:
        text: the token; outer whitespace is stripped, anything else that no token has raises `BadToken`.
        origin: where it comes from, for messages.
    """

    text: str = field(repr=False)
    origin: str = "OP_CONNECT_TOKEN"

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean_token(self.text, origin=self.origin))

    def current(self) -> str:
        """The token."""
        return self.text

    def renew(self) -> bool:
        """It never changes."""
        return False

    def stamp(self) -> None:
        """It never changes."""


@dataclass(slots=True)
class TokenFile:
    """A token in a file, as in a mounted Secret: read again when the file's stamp changes, and when the token is refused.

    A file that vanishes or becomes unreadable changes nothing until the server refuses the known token: a kubelet swaps
    mounted Secrets in several steps.
    """

    path: Path
    time: Time = field(repr=False, kw_only=True)
    _token: str = field(default="", init=False, repr=False)
    _stamp: tuple[int, ...] = field(default=(), init=False, repr=False)
    _look_at: float = field(default=float("-inf"), init=False, repr=False)

    def current(self) -> str:
        """The token, at most a second old.

        Raises:
            BadToken: no good token was ever read, and the file has none now.
        """
        now = self.time.monotonic()
        if now >= self._look_at or not self._token:
            self._look_at = now + _LOOK_EVERY
            stamp = self.stamp()
            if stamp != self._stamp or not self._token:
                self._read_if_good(stamp)
        return self._token

    def renew(self) -> bool:
        """Read the file whatever its stamp is: a replacement within one tick of the clock has the same stamp.

        Raises:
            BadToken: the known token is refused, and the file has no usable one.
        """
        stamp = self.stamp()
        token = self._read()
        changed = token != self._token
        self._token, self._stamp = token, stamp
        return changed

    def stamp(self) -> tuple[int, ...]:
        """That of the file; empty if there is none."""
        return file_stamp(self.path)

    def _read_if_good(self, stamp: tuple[int, ...]) -> None:
        try:
            token = self._read()
        except BadToken:
            if not self._token:
                raise
            return
        self._token, self._stamp = token, stamp

    def _read(self) -> str:
        with translated(self._unreadable), self.path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise BadToken(f"the Connect token file {self.path} is far too large to be one")
        # Undecodable bytes become characters that `clean_token` refuses, without an exception that carries them.
        return clean_token(content.decode("utf-8", errors="replace"), origin=f"file {self.path}")

    def _unreadable(self, error: Exception) -> BadToken | None:
        if not isinstance(error, OSError):
            return None
        return BadToken(f"the Connect token file {self.path} cannot be read ({error.strerror or type(error).__name__})")


class NoToken:
    """Takes the place of the token source when the client is closed."""

    def current(self) -> str:
        """Always raises `ConfigError`."""
        raise ConfigError("the Connect client is closed")

    def renew(self) -> bool:
        """Always raises `ConfigError`."""
        raise ConfigError("the Connect client is closed")

    def stamp(self) -> None:
        """There is nothing to change."""
