"""The Secrets of ours as they were last seen, without their data, and the stream of their changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from keyturn.cluster import METADATA, SECRETS, ApiListWatch, ByName, Informer, namespaces_or_all
from keyturn.control.context import Context
from keyturn.core import names
from keyturn.core.metadata import ObjectMeta
from keyturn.core.request import Key

SecretListener = Callable[[tuple[str, str], ObjectMeta | None, ObjectMeta | None], None]
"""Takes the key, the metadata before, and the metadata now; None for a Secret that is not there. Must be quick."""

_LONGEST_STILL = 300.0
"""Seconds after which an informer that shows no life counts as stuck."""


class OwnSecrets:
    """An informer of metadata alone. Where there is no right to list Secrets, it gets those that are requested, one by one.

    Args:
        context: of the process.
    """

    def __init__(self, context: Context) -> None:
        self._listeners: list[SecretListener] = []
        self._requested: Callable[[], Iterable[Key]] = tuple
        self._by_name: ByName | None = None
        if context.settings.secrets_by_name:
            self._by_name = ByName(
                context.cluster,
                SECRETS,
                names=lambda: [(key.namespace, key.name) for key in self._requested()],
                label=(names.MANAGED_BY, names.PRODUCT),
                interval=context.settings.full_pass_interval,
                time=context.time,
            )
        self._informer = Informer(
            self._by_name
            or ApiListWatch(
                context.cluster,
                SECRETS,
                METADATA,
                label_selector=names.OURS,
                watches=len(context.settings.watch_namespaces),
                time=context.time,
            ),
            label=SECRETS.label,
            namespaces=namespaces_or_all(context.settings.watch_namespaces),
            on_change=self._changed,
            on_beat=context.heartbeat.expect("secrets", _LONGEST_STILL),
            reachability=context.cluster.reachability,
            time=context.time,
        )

    @property
    def objects(self) -> Mapping[tuple[str, str], ObjectMeta]:
        """Metadata by key, as a view that changes with the cluster."""
        return self._informer.objects

    def subscribe(self, listener: SecretListener) -> None:
        """Have a listener called with each change."""
        self._listeners.append(listener)

    def requested_by(self, requested: Callable[[], Iterable[Key]]) -> None:
        """Say which Secrets are requested; asked again at each look, if there is no right to list them."""
        self._requested = requested

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        await self._informer.run()

    async def listed(self) -> None:
        """Wait until it is known which Secrets of ours there are, if that can be known before requests are."""
        if self._by_name is None:
            await self._informer.synced.wait()

    async def requests_are_known(self) -> None:
        """From now on the requested Secrets can be got one by one; waits until they are."""
        if self._by_name is not None:
            self._by_name.start()
            await self._informer.synced.wait()

    def not_ready(self) -> str | None:
        """Why the picture is not fresh, for the readiness endpoint; or None."""
        if not self._informer.synced.is_set():
            return self._informer.error or "the Secrets have not been listed yet"
        return self._informer.error

    def failing(self) -> Counter[tuple[str, str]]:
        """How many watches do not work now, by kind and reason."""
        return self._informer.failing

    def _changed(self, key: tuple[str, str], old: ObjectMeta | None, new: ObjectMeta | None) -> None:
        for listener in self._listeners:
            listener(key, old, new)
