"""What Bitwarden registers as a provider."""

from __future__ import annotations

import os
from collections.abc import Mapping

import httpx

from keyturn.base.time import Time
from keyturn.core.provider import BadProviderSettings, ConnectionForm, Provider, RequestObserver
from keyturn.core.vault import Vaults
from keyturn.providers.bitwarden.account import (
    BitwardenAccount,
    bitwarden_secret_keys,
    read_bitwarden_account,
    trust,
)
from keyturn.providers.bitwarden.bitwarden_vaults import BitwardenVaults
from keyturn.providers.bitwarden.budget import BITWARDEN_BUDGET, DEFAULT_POLL
from keyturn.providers.bitwarden.exchange import Exchange
from keyturn.providers.bitwarden.ids import is_bitwarden_id
from keyturn.providers.guarded import guarded_transport
from keyturn.providers.proxies import proxy_for

_KEEPALIVE = 5.0
"""Seconds for which an idle connection is kept: for the requests of one poll, not for the next one."""


def open_bitwarden(account: BitwardenAccount, /, *, time: Time, observer: RequestObserver) -> Vaults:
    """Make the client of an account; it sends no request yet."""
    atonce = BITWARDEN_BUDGET.requests_at_once
    transport = guarded_transport(
        allowed=account.allowed,
        verify=trust(account.ca),
        limits=httpx.Limits(max_connections=atonce, max_keepalive_connections=1, keepalive_expiry=_KEEPALIVE),
        proxy=proxy_for(account.endpoints.api, os.environ),
    )
    return BitwardenVaults(
        account, Exchange(account.server, transport=transport, time=time, observer=observer), time=time
    )


def _no_settings(_environment: Mapping[str, str]) -> BitwardenAccount:
    raise BadProviderSettings("a Bitwarden account is named by a Connection, not by variables")


BITWARDEN: Provider[BitwardenAccount] = Provider(
    name="bitwarden",
    label="Bitwarden",
    credential="the Bitwarden account",
    is_id=is_bitwarden_id,
    environment={},
    variable_prefix="BW_",
    read_settings=_no_settings,
    open=open_bitwarden,
    budget=BITWARDEN_BUDGET,
    metrics_prefix="keyturn_bitwarden",
    connection=ConnectionForm(
        secret_keys=bitwarden_secret_keys,
        read_account=read_bitwarden_account,
        default_poll=DEFAULT_POLL,
        shortest_poll=BITWARDEN_BUDGET.shortest_poll,
    ),
)
