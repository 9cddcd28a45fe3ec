"""What a provider of vaults registers: its name, its words, the grammar of its ids, its settings and its budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from keyturn.base.time import Time
from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.vault import Vaults

_Settings = TypeVar("_Settings")
_Settings_co = TypeVar("_Settings_co", covariant=True)
_Settings_contra = TypeVar("_Settings_contra", contravariant=True)


class BadProviderSettings(Exception):
    """A variable of a provider is missing or unusable; the message is one line for a terminal, without any credential."""


class RequestObserver(Protocol):
    """Observes each request to a vault as it ends. It is called in the event loop, so it must be quick."""

    def __call__(self, route: str, outcome: str, seconds: float, /) -> None:
        """One request ended.

        Args:
            route: its method and the template of its path: a bounded set, fit for a metric's label.
            outcome: the HTTP status, or a lower-case word for the failure.
            seconds: from sending the request to the last byte of the answer.
        """


class OpenVaults(Protocol[_Settings_contra]):
    """Makes the `Vaults` for settings that were read. It sends no request."""

    def __call__(self, settings: _Settings_contra, /, *, time: Time, observer: RequestObserver) -> Vaults:
        """Open the vaults; the caller closes them."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one connection may ask of its server.

    Attributes:
        requests_at_once: requests under way at the same time.
        shortest_poll: seconds; polling more often is refused.
        reads_an_hour: quota of the account; None if it has none.
    """

    requests_at_once: int
    shortest_poll: float
    reads_an_hour: int | None = None


class SecretKey(NamedTuple):
    """Names one key of a Secret, in the namespace of the Connection that refers to it."""

    secret: str
    key: str


class ReadAccount(Protocol[_Settings_co]):
    """Makes what a provider's `open` takes of a Connection and its credential. It sends no request."""

    def __call__(
        self, section: Mapping[str, Any], credential: Mapping[str, str], /, *, allowed: AllowedHosts
    ) -> _Settings_co:
        """Read the account.

        Args:
            section: the provider's part of the `spec`, as the API server gives it.
            credential: texts by the names that `ConnectionForm.secret_keys` gives.
            allowed: the servers that may be asked; checked again whenever a connection is made.

        Raises:
            CredentialInvalid: the credential is malformed; names the key, never a value.
            HostNotAllowed: the server may not be asked.
        """


@dataclass(frozen=True, slots=True)
class ConnectionForm(Generic[_Settings]):
    """How a Connection names an account of a provider.

    Attributes:
        secret_keys: the keys of Secrets that make up the credential, by names of the provider's own, such as `token`. Absent optional
            ones are left out. What the definition would refuse may be read as anything.
        read_account: makes what `open` takes.
        default_poll: seconds between two polls if the Connection does not say.
        shortest_poll: seconds; the least that it may say.
    """

    secret_keys: Callable[[Mapping[str, Any]], Mapping[str, SecretKey]]
    read_account: ReadAccount[_Settings]
    default_poll: float
    shortest_poll: float


@dataclass(frozen=True, slots=True)
class Provider(Generic[_Settings]):
    """A product that holds vaults. To add one: a folder in `providers/`, and a line in `providers/registry.py`.

    Attributes:
        name: in lower case, for the readiness endpoint and for objects that name a provider.
        label: its name in messages, as the subject of a sentence.
        credential: what it authenticates with, in messages.
        is_id: whether a text has the form of its ids.
        environment: the variables that it reads, and what each means. Empty if only a Connection can name an account of it.
        variable_prefix: variables that begin with it belong to the provider: an unknown one is worth a warning.
        read_settings: reads the variables; raises `BadProviderSettings`.
        open: makes its `Vaults`.
        budget: how much one connection may ask of its server.
        metrics_prefix: how the names of its metrics begin.
        connection: how a Connection names an account of it; None if none can.
        needed: the installation's own connection is of this provider if one variable of each of these groups is set. If there is
            none, the first variable of `environment` decides.
    """

    name: str
    label: str
    credential: str
    is_id: Callable[[str], bool]
    environment: Mapping[str, str]
    variable_prefix: str
    read_settings: Callable[[Mapping[str, str]], _Settings]
    open: OpenVaults[_Settings]
    budget: Budget
    metrics_prefix: str
    connection: ConnectionForm[_Settings] | None = None
    needed: tuple[tuple[str, ...], ...] = ()
