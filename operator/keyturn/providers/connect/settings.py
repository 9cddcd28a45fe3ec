"""How to reach one Connect server, and how patient to be with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .address import base_url
from .errors import ConfigError
from .token import TokenSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectSettings:
    """Everything a `ConnectClient` needs to know; checked when made.

    All times are in seconds. The defaults follow from measured facts: the first request after a restart of Connect may
    take 10 s before it is answered with 408, so nothing below 15 s may give up on reading.

    Attributes:
        host: address of the server, normalised: no slash at its end, a path prefix kept.
        token: where the bearer token comes from; sent with each request, never kept on a connection.
        ca_file: PEM bundle of the authorities to trust instead of the usual ones; read again when it changes.
        proxy: address of an HTTP proxy that asks for no password. The environment (`HTTP_PROXY`, `SSL_CERT_FILE`, ...)
            is never looked at.
        connect_timeout: for one TCP and TLS connection.
        read_timeout: for the next bytes of an answer.
        write_timeout: for the next bytes of a request.
        pool_timeout: for a free connection.
        deadline: for one call as a whole, with its retries and pauses.
        file_deadline: the same for the content of a file.
        connections: how many requests may be under way at once.
        json_limit: decoded bytes that an answer other than a file may have.

    Raises:
        BadAddress: `host` or `proxy` cannot be used.
        ConfigError: a number is not positive.
    """

    host: str
    token: TokenSource
    ca_file: Path | None = None
    proxy: str | None = None
    connect_timeout: float = 5.0
    read_timeout: float = 15.0
    write_timeout: float = 10.0
    pool_timeout: float = 10.0
    deadline: float = 30.0
    file_deadline: float = 120.0
    connections: int = 10
    json_limit: int = 16 * 1024 * 1024

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", base_url(self.host))
        if self.proxy is not None:
            object.__setattr__(self, "proxy", base_url(self.proxy, of="proxy"))
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise ConfigError(f"the Connect setting {name} must be greater than zero")


_POSITIVE = (
    "connect_timeout",
    "read_timeout",
    "write_timeout",
    "pool_timeout",
    "deadline",
    "file_deadline",
    "connections",
    "json_limit",
)
