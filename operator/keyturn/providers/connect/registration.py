"""What 1Password Connect registers as a provider."""

from __future__ import annotations

from keyturn.base.time import Time
from keyturn.core.provider import Provider, RequestObserver
from keyturn.core.vault import Vaults
from keyturn.providers.connect.client import ConnectClient
from keyturn.providers.connect.connect_settings import BUDGET, VARIABLES, ConnectAccount, read_connect_settings
from keyturn.providers.connect.connect_vaults import ConnectVaults
from keyturn.providers.connect.connection_form import CONNECT_FORM
from keyturn.providers.connect.ids import is_connect_id
from keyturn.providers.connect.token import StaticToken, TokenFile


def open_connect(account: ConnectAccount, /, *, time: Time, observer: RequestObserver) -> Vaults:
    """Make the client of a Connect server; it sends no request yet."""
    token = account.token if isinstance(account.token, StaticToken) else TokenFile(account.token, time=time)
    return ConnectVaults(ConnectClient(account.server, token=token, time=time, observer=observer))


CONNECT: Provider[ConnectAccount] = Provider(
    name="connect",
    label="Connect",
    credential="the Connect token",
    is_id=is_connect_id,
    environment=VARIABLES,
    variable_prefix="OP_CONNECT_",
    read_settings=read_connect_settings,
    open=open_connect,
    budget=BUDGET,
    metrics_prefix="keyturn_connect",
    needed=(("OP_CONNECT_HOST",), ("OP_CONNECT_TOKEN", "OP_CONNECT_TOKEN_FILE")),
    connection=CONNECT_FORM,
)
