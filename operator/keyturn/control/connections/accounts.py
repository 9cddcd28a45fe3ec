"""Opens the account that a Connection describes: reads its credential, and makes the provider's client. Nothing is sent to a vault."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from keyturn.control.connections.chosen_vaults import ChosenVaults
from keyturn.control.connections.credentials import CredentialReader, Versions
from keyturn.control.context import ConnectionContext
from keyturn.core.connection import ConnectionSpec
from keyturn.core.provider import Provider
from keyturn.core.vault import VaultError, Vaults


@dataclass(frozen=True, slots=True)
class Account:
    """What came of an attempt to open one.

    Attributes:
        versions: of the Secrets that hold the credential.
        vaults: opened; None if there is an error.
        error: why it cannot be opened; another version of these Secrets may end that.
    """

    versions: Versions = ()
    vaults: Vaults | None = None
    error: VaultError | None = None


class AccountOpener:
    """Opens accounts.

    Args:
        context: of the process.

    Attributes:
        credentials: reads Secrets.
    """

    def __init__(self, context: ConnectionContext) -> None:
        self._context = context
        self._providers = {each.name: each for each in context.settings.providers if each.connection is not None}
        self.credentials = CredentialReader(context.cluster)

    def provider_of(self, spec: ConnectionSpec) -> Provider[Any] | None:
        """The provider that a Connection names; None if this operator has none of that name."""
        return self._providers.get(spec.provider)

    async def open(self, spec: ConnectionSpec, provider: Provider[Any]) -> Account:
        """Open the account of a Connection.

        Args:
            spec: the Connection.
            provider: that it names.

        Raises:
            ClusterError: the API server cannot be asked for the credential now.
        """
        form = provider.connection
        assert form is not None  # noqa: S101 - `provider_of` gives no other
        keys = form.secret_keys(spec.account)
        credential = await self.credentials.read(spec.key.namespace, keys)
        if credential.error is not None:
            return Account(credential.versions, error=credential.error)
        try:
            account = form.read_account(spec.account, credential.texts, allowed=self._context.settings.allowed_hosts)
        except VaultError as error:
            return Account(credential.versions, error=error.without_traceback())
        observe = self._context.metrics.vault_request
        observer = partial(observe, provider.metrics_prefix, connection=str(spec.key))
        vaults: Vaults = provider.open(account, time=self._context.time, observer=observer)
        if spec.vaults:
            vaults = ChosenVaults(vaults, spec.vaults, provider)
        return Account(credential.versions, vaults)
