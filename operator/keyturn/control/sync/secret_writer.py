"""Writes one Secret by the plan that `core` makes, and never onto a state that was not looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from keyturn.base.text import listed
from keyturn.cluster import SECRETS, AlreadyExists, Cluster, Conflict, Invalid, NotFound, TooLarge
from keyturn.control.sync.owners import is_there
from keyturn.core.desired import Desired
from keyturn.core.keys import keys_of_type
from keyturn.core.managed_fields import taken_over
from keyturn.core.metadata import ObjectMeta
from keyturn.core.names import MANAGED_BY, PREVIOUS, PRODUCT, SECRET_MANAGER
from keyturn.core.ownership import reference_to
from keyturn.core.pending import PendingChanges, pending_of
from keyturn.core.request import Key, SecretRequest
from keyturn.core.restarts import revision_of
from keyturn.core.secret import Apply, Create, Hold, Keep, data_of, plan_frozen, plan_secret
from keyturn.core.status import Failure, Reason

_ATTEMPTS = 3
"""How often to look again at once if a Secret changes under our hands, before the queue's backoff takes over."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a Secret.

    Attributes:
        created: there was none before.
        applied: it was there and was written.
        adopted: it was somebody else's before.
        changed: names of the keys that were given other bytes, were added or were removed.
        added: those of them that were added.
        removed: those of them that were removed.
        repaired: what was changed had been edited by somebody else.
        ended: names of the keys that returned from previous bytes to the current value.
        previous: until when which keys hold previous bytes, as the Secret records it.
        revision: of the Secret.
        pending: changes for which restarts are pending now; None if there are none.
    """

    created: bool = False
    applied: bool = False
    adopted: bool = False
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    repaired: bool = False
    ended: frozenset[str] = frozenset()
    previous: str = ""
    revision: int = 0
    pending: PendingChanges | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A Secret that was not written.

    Attributes:
        failure: why.
        version: of the Secret that stands in the way; None if another attempt may end otherwise.
    """

    failure: Failure
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Present:
    """A Secret as it was when it was read.

    Attributes:
        secret: the whole Secret; None if there is none.
    """

    secret: dict[str, Any] | None = field(repr=False)

    @property
    def data(self) -> dict[str, bytes]:
        """What it holds."""
        return data_of(self.secret or {})


class SecretWriter:
    """Brings a Secret to what it should be.

    Args:
        cluster: the API server.
        secrets: metadata of our own Secrets; may lag behind.
        deleted: metadata of Secrets of ours that were deleted, as last seen, until others are made in their place.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        secrets: Mapping[tuple[str, str], ObjectMeta],
        deleted: Mapping[Key, ObjectMeta],
    ) -> None:
        self._cluster = cluster
        self._secrets = secrets
        self._deleted = deleted

    def last_seen(self, key: Key) -> ObjectMeta | None:
        """Metadata of a Secret of ours as it was last seen, or None; may lag behind."""
        return self._secrets.get(key)

    async def version(self, key: Key) -> str | None:
        """Tells one state of a Secret, ours or not, from all others; None if there is none.

        Raises:
            ClusterError: the API server could not be reached, or did not allow it.
        """
        try:
            return _version(await self._cluster.get_metadata(SECRETS, key.namespace, key.name))
        except NotFound:
            return None

    async def read(self, key: Key) -> Present:
        """The Secret as it is, ours or not.

        Raises:
            ClusterError: the API server could not be reached, or did not allow it.
        """
        return Present(await self._present(key))

    async def write(self, desired: Desired, *, read: Present | None = None) -> Written | Hold | Refused | None:
        """Create the Secret, change it, or leave it, whichever is right; None if the object that decides is gone.

        Args:
            desired: what it must be.
            read: the Secret, if it was just read.

        Raises:
            ClusterError: the API server could not be reached, or did not allow it.
        """
        request = desired.request
        expected = request.key in self._secrets or bool(request.status.conditions)
        if read is None:
            read = await self.read(request.key) if expected else Present(None)
        present = read.secret
        for attempt in range(_ATTEMPTS):
            plan = plan_secret(present, desired, deleted=self._deleted.get(request.key))
            if isinstance(plan, Hold):
                return plan
            if isinstance(plan, Failure):
                return Refused(plan, version=_version(present) if present else None)
            if isinstance(plan, Create) and request.status.is_observed and not await self._decider_is_there(request):
                # A watch can lose a deletion. To make the Secret again would fight the garbage collector.
                return None
            try:
                return await self._carry_out(plan, present, request)
            except (AlreadyExists, Conflict, NotFound):
                if attempt == _ATTEMPTS - 1:
                    raise
                present = await self._present(request.key)
            except Invalid as error:
                return Refused(Failure(Reason.SECRET_INVALID, _why_invalid(desired, error)))
            except TooLarge:
                return Refused(Failure(Reason.SECRET_TOO_LARGE, "the API server rejects the Secret as too large"))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def freeze(self, desired: Desired) -> Written | Failure | None:
        """Leave the data of a Secret as it is and record which version of the item that leaves out; None without a Secret.

        Raises:
            ClusterError: the API server could not be reached, or did not allow it.
        """
        key = desired.request.key
        try:
            answer = await self._cluster.get_metadata(SECRETS, key.namespace, key.name)
            patch = plan_frozen(ObjectMeta.of(answer), desired)
            if isinstance(patch, Failure):
                return patch
            # What is suspended is not even annotated: the end of that is a new generation, which needs no other trace.
            if not isinstance(patch, Keep) and not desired.request.suspend:
                await self._cluster.merge_patch(SECRETS, key.namespace, key.name, patch, field_manager=SECRET_MANAGER)
        except NotFound:
            return None
        return Written()

    async def _carry_out(
        self, plan: Create | Apply | Keep, present: dict[str, Any] | None, request: SecretRequest
    ) -> Written:
        if isinstance(plan, Create):
            return _with_pending(Written(created=True), await self._create(plan, request))
        if present is None:
            return Written()
        if isinstance(plan, Keep):
            return _with_pending(Written(), present)
        manifest = dict(plan.manifest)
        if plan.take_over and present is not None:
            version = await self._take_over(present, request.key, wrong=plan.wrong)
            manifest["metadata"] = {**manifest["metadata"], "resourceVersion": version}
        answer = await self._cluster.apply(
            SECRETS, request.key.namespace, request.key.name, manifest, field_manager=SECRET_MANAGER
        )
        before, after = present.get("data") or {}, plan.manifest["data"]
        written = Written(
            applied=True,
            adopted=ObjectMeta.of(present).labels.get(MANAGED_BY) != PRODUCT,
            changed=plan.changed,
            added=tuple(key for key in plan.changed if key not in before),
            removed=tuple(key for key in plan.changed if key not in after),
            repaired=plan.repairs,
            ended=plan.ended,
        )
        return _with_pending(written, answer)

    async def _create(self, plan: Create, request: SecretRequest) -> dict[str, Any]:
        """Create by POST, which refuses where an apply would overwrite a Secret that appeared meanwhile."""
        key, manifest = request.key, dict(plan.manifest)
        return await self._cluster.create(SECRETS, key.namespace, key.name, manifest, field_manager=SECRET_MANAGER)

    async def _take_over(self, present: dict[str, Any], key: Key, *, wrong: frozenset[str]) -> str:
        """Gather the ownership of the data in our hand, so that the apply after this one can remove stale keys.

        Of what is wrong nothing is claimed: should that apply fail, the drift must still be there to be seen.
        """
        metadata = ObjectMeta.of(present)
        operations: list[dict[str, Any]] = [
            # Replaced by itself: the API server answers 409 if the Secret has moved on.
            {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata.resource_version},
            {
                "op": "replace",
                "path": "/metadata/managedFields",
                "value": taken_over(metadata.managed_fields, (present.get("data") or {}).keys() - wrong),
            },
        ]
        answer = await self._cluster.json_patch(
            SECRETS, key.namespace, key.name, operations, field_manager=SECRET_MANAGER
        )
        return str(answer["metadata"]["resourceVersion"])

    async def _decider_is_there(self, request: SecretRequest) -> bool:
        return await is_there(self._cluster, request.key.namespace, reference_to(request.owners[0]))

    async def _present(self, key: Key) -> dict[str, Any] | None:
        try:
            return await self._cluster.get(SECRETS, key.namespace, key.name)
        except NotFound:
            return None


def _why_invalid(desired: Desired, error: Invalid) -> str:
    """Why the API server rejects a Secret, in words about the item if its type needs keys that the item lacks."""
    needed = keys_of_type(desired.request.secret_type)
    if missing := [key for key in needed if key not in desired.data]:
        return (
            f"the API server rejects the Secret: its type {desired.request.secret_type} needs "
            f"{listed('key', needed)}; the item lacks {', '.join(missing)}"
        )
    return f"the API server rejects the Secret: {error.message.removeprefix('the API server refuses the object: ')}"


def _version(secret: Mapping[str, Any]) -> str:
    return f"{secret['metadata']['uid']} {secret['metadata']['resourceVersion']}"


def _with_pending(written: Written, secret: Mapping[str, Any]) -> Written:
    """The same with what the Secret says of itself: its revision, until when previous bytes stay, and for which changes restarts are pending."""
    metadata = ObjectMeta.of(secret)
    return replace(
        written,
        previous=metadata.annotations.get(PREVIOUS, ""),
        revision=revision_of(metadata.annotations),
        pending=pending_of(metadata),
    )
