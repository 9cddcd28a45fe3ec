"""Where the bearer token comes from: a text given once, or a file that may be replaced at any time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from keyturn.base.time import Time
from keyturn.providers.connect.errors import BadToken, ConfigError

LOOK_EVERY = 1.0
"""Seconds between two looks at a token file's stamp."""

MAX_BYTES = 64 * 1024
"""A Connect token has about one thousand characters; a file beyond this is some other file."""


class TokenSource(Protocol):
    """Gives the token for the next request, and looks again when the server refuses it."""

    def current(self) -> str:
        """The token to send now.

        Raises:
            BadToken: there is none that could be sent.
        """

    def renew(self) -> bool:
        """Look again at once, because the server refused the token; True if it is another one now.

        Raises:
            BadToken: what is there now cannot be sent.
        """


def clean_token(text: str, *, origin: str) -> str:
    """Strip outer whitespace and refuse whatever would damage the header.

    Tokens copied from a terminal break at line ends; a server then speaks of illegal base64, or the header splits.

    Args:
        text: the token as given.
        origin: where it comes from, for the message.

    Raises:
        BadToken: empty, or with inner whitespace, control or non-ASCII characters. Never repeats the token.
    """
    token = text.strip()
    if not token:
        raise BadToken(f"the Connect token in {origin} is empty")
    if any(char.isspace() for char in token):
        raise BadToken(
            f"the Connect token in {origin} has whitespace inside: was it copied with a line break, or with 'Bearer'?"
        )
    if not token.isascii() or not token.isprintable():
        raise BadToken(f"the Connect token in {origin} has characters that no token has: was it cut or encoded?")
    return token


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A token given once, as through the environment variable `OP_CONNECT_TOKEN`.

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
        """There is never another one."""
        return False


@dataclass(slots=True)
class TokenFile:
    """A token in a file, as a mounted Secret: read again when the file's stamp changes, and whenever it is refused.

    A file that vanishes or breaks while a good token is known changes nothing until the server refuses that token:
    a kubelet swaps mounted Secrets in several steps.
    """

    path: Path
    time: Time = field(repr=False, kw_only=True)
    _token: str = field(default="", init=False, repr=False)
    _stamp: tuple[int, ...] = field(default=(), init=False, repr=False)
    _look_at: float = field(default=float("-inf"), init=False, repr=False)

    def current(self) -> str:
        """The token, at most a second old.

        Raises:
            BadToken: no good token was ever read, and the file holds none now.
        """
        now = self.time.monotonic()
        if now >= self._look_at or not self._token:
            self._look_at = now + LOOK_EVERY
            stamp = self._take_stamp()
            if stamp != self._stamp or not self._token:
                self._read_if_good(stamp)
        return self._token

    def renew(self) -> bool:
        """Read the file whatever its stamp says: a replacement within one tick of its clock has the same one.

        Raises:
            BadToken: the known token is refused, and the file holds nothing usable.
        """
        stamp = self._take_stamp()
        token = self._read()
        changed = token != self._token
        self._token, self._stamp = token, stamp
        return changed

    def _read_if_good(self, stamp: tuple[int, ...]) -> None:
        try:
            token = self._read()
        except BadToken:
            if not self._token:
                raise
            return
        self._token, self._stamp = token, stamp

    def _take_stamp(self) -> tuple[int, ...]:
        try:
            status = self.path.stat()
        except OSError:
            return ()
        return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)

    def _read(self) -> str:
        problem = ""
        content = b""
        try:
            with self.path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            problem = f"cannot be read ({error.strerror or type(error).__name__})"
        if len(content) > MAX_BYTES:
            problem = "is far too large to be one"
        if problem:
            raise BadToken(f"the Connect token file {self.path} {problem}")
        # Undecodable bytes become characters that `clean_token` refuses, without an exception that carries them.
        return clean_token(content.decode("utf-8", errors="replace"), origin=f"file {self.path}")


class NoToken:
    """What is left of a token source when the client that used it is closed."""

    def current(self) -> str:
        """Always raises `ConfigError`."""
        raise ConfigError("the Connect client is closed")

    def renew(self) -> bool:
        """Always raises `ConfigError`."""
        raise ConfigError("the Connect client is closed")
