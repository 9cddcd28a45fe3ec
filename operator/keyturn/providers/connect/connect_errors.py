"""What may go wrong with Connect: one tree, whose texts are always safe to publish.

```
ConnectError
├── ConfigError         wrong until a human changes the settings
│   ├── BadAddress          the server's address cannot be used
│   ├── BadToken            the bearer token is missing, empty or damaged
│   ├── BadCertificates     the CA bundle cannot be read
│   └── HostRefused         the server, or one of its addresses, may not be asked
├── ExchangeFailed      no complete answer came
│   ├── Unreachable         no connection: refused, no route, name unknown; nothing was sent
│   ├── UntrustedServer     the TLS handshake failed; permanent until certificates change
│   ├── TimedOut            too slow, in the named `phase`
│   └── Interrupted         the connection broke, the body was cut short, or it was not HTTP
├── BadStatus           an answer, with a status other than success
│   ├── Redirected          3xx: never followed, the address is wrong
│   ├── BadRequest          400: also Connect's answer to a malformed id
│   ├── TokenRefused        401
│   ├── NotPermitted        403
│   ├── Missing             404 in Connect's own form
│   ├── SyncPending         408: Connect still waits for its first sync
│   ├── WriteConflict       409
│   ├── Throttled           429, with `retry_after` seconds if the answer names them
│   ├── Rejected            any other 4xx
│   └── ServerFailed        5xx
├── BadAnswer           success by its status, but not what the API describes
│   ├── Misshapen           a complete answer, such as valid JSON, that is not the requested thing
│   └── Oversized           more bytes or members than any honest answer has
└── ContentTooLarge     a file beyond the caller's limit
```

A message names the method, the route's template and the status; never an id from the path, a title, a body or a value.
No chain (`__cause__`, `__context__`) leads to an exception of a library: those of pydantic carry the input, those of h11
carry headers.
"""

from __future__ import annotations

from typing import ClassVar


class ConnectError(Exception):
    """The root of everything that this package raises on purpose.

    Attributes:
        label: the word for the error in metrics, unless it has a status.
        method: the HTTP method; empty if the error is about no request.
        route: the template of the path, as `/v1/vaults/{vault}`.
        may_have_been_applied: whether the server may have carried out a write all the same.
    """

    label: ClassVar[str] = "connecterror"
    may_have_been_applied = False

    def __init_subclass__(cls, label: str = "") -> None:
        cls.label = label or cls.__name__.lower()

    def __init__(self, message: str, *, method: str = "", route: str = "") -> None:
        super().__init__(f"{method} {route}: {message}" if route else message)
        self.method = method
        self.route = route


class ConfigError(ConnectError):
    """The settings are wrong: only a change of them helps."""


class BadAddress(ConfigError):
    """The address of the server cannot be used."""


class BadToken(ConfigError):
    """The bearer token is missing, empty or damaged."""


class BadCertificates(ConfigError):
    """The CA bundle cannot be read."""


class HostRefused(ConfigError):
    """A tenant named the server, and the server or one of its addresses is not among those that tenants may name."""


class ExchangeFailed(ConnectError):
    """No complete answer came."""

    may_have_been_applied = True


class Unreachable(ExchangeFailed):
    """No connection could be made."""

    may_have_been_applied = False


class UntrustedServer(ExchangeFailed):
    """The TLS handshake failed: unknown authority, expired, wrong name, or not TLS at all."""

    may_have_been_applied = False


class TimedOut(ExchangeFailed):
    """Something took too long.

    Attributes:
        phase: `connect`, `read`, `write`, `pool` (waiting for a free connection) or `deadline` (the call as a whole).
    """

    def __init__(self, message: str, *, phase: str, method: str = "", route: str = "") -> None:
        super().__init__(message, method=method, route=route)
        self.phase = phase
        self.may_have_been_applied = phase not in {"connect", "pool"}


class Interrupted(ExchangeFailed):
    """The connection broke, the body was cut short, or the other side does not speak HTTP.

    Attributes:
        on_kept_connection: whether it was a connection of an earlier request, which broke before an answer began.
    """

    def __init__(self, message: str, *, on_kept_connection: bool = False, method: str = "", route: str = "") -> None:
        super().__init__(message, method=method, route=route)
        self.on_kept_connection = on_kept_connection


class BadStatus(ConnectError):
    """An answer with a status other than success.

    Attributes:
        status: the HTTP status.
        server_message: the server's own message, shortened and scrubbed; empty if there was none.
    """

    def __init__(
        self, message: str, *, status: int, server_message: str = "", method: str = "", route: str = ""
    ) -> None:
        super().__init__(message, method=method, route=route)
        self.status = status
        self.server_message = server_message


class Redirected(BadStatus):
    """3xx. To follow it could hand the token to another server."""


class BadRequest(BadStatus):
    """400."""

    @property
    def malformed_id(self) -> bool:
        """Whether Connect refuses the form of an id, as it does instead of answering 404."""
        message = self.server_message.casefold()
        return "invalid" in message and "uuid" in message


class TokenRefused(BadStatus):
    """401."""


class NotPermitted(BadStatus):
    """403."""


class Missing(BadStatus):
    """404 in Connect's own form. Any other 404 is a `BadAnswer`."""


class SyncPending(BadStatus):
    """408: Connect's first sync is not complete."""


class WriteConflict(BadStatus):
    """409: another client wrote at the same time."""


class Throttled(BadStatus):
    """429.

    Attributes:
        retry_after: seconds to wait, capped; None if the answer names no usable number.
        whole: whether the server as a whole asks for that, and not only what was asked for.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 429,
        server_message: str = "",
        retry_after: float | None = None,
        method: str = "",
        route: str = "",
    ) -> None:
        super().__init__(message, status=status, server_message=server_message, method=method, route=route)
        self.retry_after = retry_after
        self.whole = True


class Rejected(BadStatus):
    """Any other 4xx, or a status that makes no sense here: permanent."""


class ServerFailed(BadStatus):
    """5xx, of Connect or of a proxy in front of it."""

    may_have_been_applied = True


class BadAnswer(ConnectError):
    """Success by its status, but not what the API describes: a proxy's page, half a body, another shape."""

    may_have_been_applied = True


class Misshapen(BadAnswer):
    """A complete answer that is not the requested thing: JSON of another shape, another item, a file of another length."""


class Oversized(BadAnswer):
    """More decoded bytes or members than any honest answer has."""


class ContentTooLarge(ConnectError, label="filetoolarge"):
    """A file has more bytes than the caller can use."""


BY_STATUS: dict[int, type[BadStatus]] = {
    400: BadRequest,
    401: TokenRefused,
    403: NotPermitted,
    404: Missing,
    408: SyncPending,
    409: WriteConflict,
}


def class_for(status: int) -> type[BadStatus]:
    """The class for a status other than success and 429, which needs its number of seconds as well."""
    if status in BY_STATUS:
        return BY_STATUS[status]
    if 300 <= status < 400:
        return Redirected
    return ServerFailed if status >= 500 else Rejected
