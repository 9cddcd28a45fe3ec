"""What every door of the broker is built from. It is frozen: a door wires itself, and changes nothing that others share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from keyturn.base.time import Time
from keyturn.broker.grants import Grants
from keyturn.broker.identity import TokenReviewer
from keyturn.broker.limits import Limits
from keyturn.broker.namespaces import NamespaceLabels
from keyturn.broker.settings import BrokerSettings
from keyturn.control.connections.connection import Connections
from keyturn.core.audit import AuditRecord
from keyturn.observe.broker_metrics import BrokerMetrics


class AuditWriter(Protocol):
    """Takes records of what was decided; `broker.audit_log.AuditLog` is one."""

    async def write(self, record: AuditRecord) -> None:
        """Write a record, and flush it.

        Raises:
            AuditUnavailable: that cannot be done now, so nothing may be answered.
        """


@dataclass(frozen=True, slots=True)
class Services:
    """The process as its doors see it.

    Attributes:
        reviewer: says who a caller is.
        grants: the AccessGrants of the cluster.
        connections: to the vaults; `connections.known` are the Connections of the cluster, and the installation's own, if there is
            one, has the name `core.request.DEFAULT_CONNECTION`.
        connections_age: seconds since all Connections of a namespace were surely known.
        namespaces: reads the labels of a namespace, on which a Connection's consent may depend.
        audit: takes records.
        limits: how much each identity and each connection may ask.
        settings: what was chosen.
        metrics: what is counted.
        time: time and chance.
        random: gives that many random bytes that nobody can guess.
    """

    reviewer: TokenReviewer
    grants: Grants
    connections: Connections
    connections_age: Callable[[str], float]
    namespaces: NamespaceLabels
    audit: AuditWriter
    limits: Limits
    settings: BrokerSettings
    metrics: BrokerMetrics
    time: Time
    random: Callable[[int], bytes]
