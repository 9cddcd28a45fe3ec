"""Which connection serves an object: the one that it names, else the default of its namespace, else the installation's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keyturn.core.connection import NAMESPACE_DEFAULT, ConnectionKey, ConnectionSpec
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import CONNECTION
from keyturn.core.request import DEFAULT_CONNECTION

KnownConnections = Mapping[ConnectionKey, ConnectionSpec]
"""All Connections that there are, also those that are suspended or being deleted."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What serves an object.

    Attributes:
        connection: name of the connection; empty if none serves it.
        refusal: why none does; the same text if the Connection is absent as if it may not be used.
        by_labels: whether the labels of the object's namespace decide that, so that they must be read before each use.
    """

    connection: str = ""
    refusal: str = ""
    by_labels: bool = False


@dataclass(frozen=True, slots=True)
class Consumer:
    """What a Connection's consent and the fall to the installation's connection depend on.

    Attributes:
        namespace: of the object.
        labels: of that namespace; None if they have not been read.
        filled_through: the Connection that its Secret was filled through; None for the installation's own, or none yet.
        may_fall: whether the spec has changed, or a sync was requested, since that Connection was lost: only then may an object
            that it served fall to the installation's.
    """

    namespace: str
    labels: Mapping[str, str] | None = None
    filled_through: ConnectionKey | None = None
    may_fall: bool = True


def serving(
    consumer: Consumer, ref: ConnectionKey | None, *, known: KnownConnections, installation: bool = True
) -> Serving:
    """The connection that serves an object, or why none does.

    | names a Connection | `default` in its namespace | its Secret was filled through | served by |
    |---|---|---|---|
    | yes, which may be used | any | any | that one |
    | yes, else | any | any | none |
    | no | there | any | that one, or none while it is suspended |
    | no | not there | a Connection that is gone | none, until the spec changes or a sync is requested; then as below |
    | no | not there | else | the installation's, or none if it has none |

    Args:
        consumer: the object.
        ref: the Connection that it names; None if it names none.
        known: Connections.
        installation: whether the installation has a connection of its own.
    """
    if ref is not None:
        return _named(consumer, ref, known)
    default = ConnectionKey(consumer.namespace, NAMESPACE_DEFAULT)
    if is_known(default, known):
        return _used(known[default])
    if not installation:
        said = f"namespace {consumer.namespace} has no Connection named {NAMESPACE_DEFAULT}, and the installation has no connection"
        return Serving(refusal=said)
    filled = consumer.filled_through
    if filled is not None and not is_known(filled, known) and not consumer.may_fall:
        return Serving(
            refusal=f"the Connection {filled}, through which the Secret was filled, is gone; "
            "change the spec or request a sync to use the installation's connection"
        )
    return Serving(DEFAULT_CONNECTION)


def is_known(key: ConnectionKey, known: KnownConnections) -> bool:
    """Whether there is a Connection, and not about to be deleted."""
    return key in known and not known[key].deleting


def filled_through(secret: ObjectMeta) -> ConnectionKey | None:
    """The Connection that a Secret of ours was filled through; None for the installation's connection.

    A text that is no name of one counts as the default of the namespace: it is safe to wait for that, and not to use another vault.
    """
    text = secret.annotations.get(CONNECTION, "")
    return (ConnectionKey.parse(text) or ConnectionKey(secret.namespace, NAMESPACE_DEFAULT)) if text else None


def _named(consumer: Consumer, ref: ConnectionKey, known: KnownConnections) -> Serving:
    refused: Final = f"the Connection {ref} does not exist, or may not be used from namespace {consumer.namespace}"
    if not is_known(ref, known):
        return Serving(refusal=refused)
    spec = known[ref]
    # Labels that were not read must not be taken for none: a selector may ask that a label be absent.
    by_labels = spec.needs_labels and not _permits_by_name(spec, consumer.namespace)
    if by_labels and consumer.labels is None:
        return Serving(refusal=refused, by_labels=True)
    if not spec.permits(consumer.namespace, consumer.labels or {}):
        return Serving(refusal=refused, by_labels=by_labels)
    used = _used(spec)
    return Serving(used.connection, used.refusal, by_labels)


def _used(spec: ConnectionSpec) -> Serving:
    """What a Connection that may be used gives."""
    if spec.suspend:
        return Serving(refusal=f"the Connection {spec.key} is suspended")
    return Serving(str(spec.key))


def _permits_by_name(spec: ConnectionSpec, namespace: str) -> bool:
    return namespace == spec.key.namespace or (
        spec.usable_from is not None and namespace in spec.usable_from.namespaces
    )
