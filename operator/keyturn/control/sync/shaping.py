"""Shapes the items that one request names into the data of its Secret: as they are, or by the plan of the shape that it asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from keyturn.control.sync.fetching import FetchedItem, Shaped
from keyturn.control.sync.situations import Situations
from keyturn.core.content import MAX_SECRET_BYTES
from keyturn.core.request import SecretRequest
from keyturn.core.shape import ShapePlan, plan_shape
from keyturn.core.vault import FileTooLarge, Item

_MOST_DOWNLOADED: Final = 16 * MAX_SECRET_BYTES
"""Bytes of files that one Secret is made of at most: a filter may make little of much."""

_THREADS: Final = 1
"""Slow renderings at once: each keeps a core busy, and the event loop needs one of the two that an operator usually has."""

FetchedItems = Mapping[str, FetchedItem]
"""The items of a request with their values, by alias; the main item's alias is empty."""


def plan_of(request: SecretRequest) -> ShapePlan | None:
    """The plan by which a request's Secret is made; None if it gets all fields of one item, each by its label.

    Raises:
        InvalidTemplate: the shape is wrong whatever the vault holds.
    """
    return None if request.shape is None or request.shape.is_plain else plan_shape(request.shape)


class Shaper:
    """Shapes for all requests.

    Args:
        situations: say what an error means.
    """

    def __init__(self, situations: Situations) -> None:
        self._situations = situations
        self._threads = asyncio.Semaphore(_THREADS)

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
        room = _MOST_DOWNLOADED
        for alias, file in plan.files(_values(fetched), request.mapping):
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
        """
        items = _values(fetched)
        if plan.uses_random:
            async with self._threads:
                rendered = await asyncio.to_thread(plan.render, items, files, request.mapping, old)
        else:
            rendered = plan.render(items, files, request.mapping, old)
        return Shaped(dict(rendered.data), rendered.skipped, rendered.shared, plan.origins, plan.random_keys)


def _values(fetched: FetchedItems) -> dict[str, Item]:
    return {alias: each.item for alias, each in fetched.items()}
