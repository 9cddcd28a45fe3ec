"""Shapes the items that one request names into the data of its Secret: as they are, or by the plan of the shape that it asks for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeVar

from keyturn.base.time import Time
from keyturn.control.sync.fetching import FetchedItem, Shaped
from keyturn.control.sync.situations import Situations
from keyturn.core.content import MAX_SECRET_BYTES
from keyturn.core.outcomes import SET_APART, Ended
from keyturn.core.request import Key, SecretRequest
from keyturn.core.shape import ShapePlan, plan_shape
from keyturn.core.shape_errors import TemplateTooExpensive
from keyturn.core.vault import FieldKind, FileTooLarge, Item

_T = TypeVar("_T")

_MOST_DOWNLOADED: Final = 16 * MAX_SECRET_BYTES
"""Bytes of files that one Secret is made of at most: a filter may make little of much."""

_QUICK_PIECES: Final = 200
_QUICK_BYTES: Final = 256 * 1024
"""What is planned and rendered without a thread: holes and filters of a shape, and bytes that go through them. Each takes
about two milliseconds."""

_THREADS: Final = 1
"""Slow renderings at once: each keeps a core busy, and the event loop needs one of the two that an operator usually has."""

_REST: Final = 3
"""How many times as long as it worked a thread rests: it takes the interpreter from the event loop again and again."""

FetchedItems = Mapping[str, FetchedItem]
"""The items of a request with their values, by alias; the main item's alias is empty."""


class Shaper:
    """Shapes for all requests. What takes long is done in a thread, and only once the request is set apart from others.

    Args:
        situations: say what an error means.
        slow: takes the key of each request whose shape takes long; those that are in it already are set apart.
        time: that a thread takes.
    """

    def __init__(self, situations: Situations, *, slow: set[Key], time: Time) -> None:
        self._situations = situations
        self._slow = slow
        self._time = time
        self._threads = asyncio.Semaphore(_THREADS)
        self._rested_at = 0.0

    async def plan(self, request: SecretRequest) -> ShapePlan | None:
        """The plan by which a request's Secret is made; None if it gets all fields of one item, each by its label.

        Raises:
            InvalidTemplate: the shape is wrong whatever the vault holds.
            Ended: the request is to be set apart first.
        """
        shape = request.shape
        if shape is None or shape.is_plain:
            return None
        if shape.pieces > _QUICK_PIECES:
            return await self._in_thread(request, partial(plan_shape, shape))
        plan = plan_shape(shape)
        if plan.uses_random:
            # Before anything is fetched for it.
            self._set_apart(request)
        return plan

    async def download(
        self, request: SecretRequest, plan: ShapePlan, fetched: FetchedItems
    ) -> dict[tuple[str, str], bytes]:
        """The bytes of the files that a plan needs, by alias and id, each downloaded once for all requests.

        Raises:
            ShapeError: the Secret cannot be made, whatever the files hold.
            FileTooLarge: together they are too large.
            Ended: a file of a further item could not be fetched.
            VaultError: a file of the main item could not be fetched.
        """
        files: dict[tuple[str, str], bytes] = {}
        items = _values(fetched)
        if not any(each.kind is FieldKind.FILE for item in items.values() for each in item.fields):
            # As with most items. What else is wrong is found when the keys are rendered.
            return files
        room = _MOST_DOWNLOADED
        for alias, file in plan.files(items, request.mapping):
            with self._situations.of_item(request, alias):
                files[alias, file.id] = await fetched[alias].file(file, limit=min(room, MAX_SECRET_BYTES))
            room -= len(files[alias, file.id])
            if room < 0:
                raise FileTooLarge(f"the files that the Secret is made of hold more than {_MOST_DOWNLOADED} bytes")
        return files

    async def render(
        self,
        request: SecretRequest,
        plan: ShapePlan,
        fetched: FetchedItems,
        files: Mapping[tuple[str, str], bytes],
        old: Mapping[str, bytes],
    ) -> Shaped:
        """What the Secret must hold.

        Args:
            request: for the Secret.
            plan: of its shape.
            fetched: its items.
            files: from `download`.
            old: data of the present Secret, of which bytes made at random stay if they are still right.

        Raises:
            ShapeError: why some key cannot be made.
            Ended: the request is to be set apart first.
        """
        items = _values(fetched)
        rendered = None
        if not plan.uses_random and request.key not in self._slow:
            # Hardly any Secret needs more.
            with contextlib.suppress(TemplateTooExpensive):
                rendered = plan.render(items, files, request.mapping, old, most=_QUICK_BYTES)
        if rendered is None:
            rendered = await self._in_thread(request, partial(plan.render, items, files, request.mapping, old))
        return Shaped(dict(rendered.data), rendered.skipped, rendered.shared, plan.origins, plan.random_keys)

    async def _in_thread(self, request: SecretRequest, work: Callable[[], _T]) -> _T:
        """Do what takes long, for one request at a time.

        Raises:
            Ended: the request is to be set apart first.
        """
        self._set_apart(request)
        async with self._threads:
            if (rest := self._rested_at - self._time.monotonic()) > 0:
                await self._time.sleep(rest)
            began = self._time.monotonic()
            try:
                return await asyncio.to_thread(work)
            finally:
                ended = self._time.monotonic()
                self._rested_at = ended + _REST * (ended - began)

    def _set_apart(self, request: SecretRequest) -> None:
        """End the pass of a request that is not set apart yet; the next one is."""
        if request.key not in self._slow:
            self._slow.add(request.key)
            raise Ended(SET_APART)


def _values(fetched: FetchedItems) -> dict[str, Item]:
    return {alias: each.item for alias, each in fetched.items()}
