"""What 1Password service accounts register as a provider."""

from __future__ import annotations

from keyturn.base.time import Time
from keyturn.core.provider import Budget, ConnectionForm, Provider, RequestObserver
from keyturn.core.vault import Vaults
from keyturn.providers.connect.ids import is_connect_id
from keyturn.providers.onepassword.account import (
    ONEPASSWORD_VARIABLES,
    OnepasswordAccount,
    onepassword_secret_keys,
    read_onepassword_account,
    read_onepassword_settings,
)
from keyturn.providers.onepassword.onepassword_vaults import OnepasswordVaults
from keyturn.providers.onepassword.sdk import log_in
from keyturn.providers.onepassword.session import Session

_AT_ONCE = 4

_READS_AN_HOUR = 1000
"""What the smallest plan permits a service account."""

_SHORTEST_POLL = 600.0
"""144 polls a day: small accounts have 1,000 requests a day for everything."""


def open_onepassword(account: OnepasswordAccount, /, *, time: Time, observer: RequestObserver) -> Vaults:
    """Make the vaults of a service account; nothing is sent, and the SDK is not even imported yet."""
    session = Session(account.tokens, log_in=log_in, at_once=_AT_ONCE, time=time, observer=observer)
    return OnepasswordVaults(session, time=time)


ONEPASSWORD_FORM: ConnectionForm[OnepasswordAccount] = ConnectionForm(
    secret_keys=onepassword_secret_keys,
    read_account=read_onepassword_account,
    default_poll=_SHORTEST_POLL,
    shortest_poll=_SHORTEST_POLL,
)

ONEPASSWORD: Provider[OnepasswordAccount] = Provider(
    name="onepassword",
    label="1Password",
    credential="the service account token",
    is_id=is_connect_id,
    environment=ONEPASSWORD_VARIABLES,
    variable_prefix="OP_SERVICE_ACCOUNT_",
    read_settings=read_onepassword_settings,
    open=open_onepassword,
    budget=Budget(requests_at_once=_AT_ONCE, shortest_poll=1.0, reads_an_hour=_READS_AN_HOUR),
    metrics_prefix="keyturn_onepassword",
    connection=ONEPASSWORD_FORM,
    needed=(tuple(ONEPASSWORD_VARIABLES),),
)
