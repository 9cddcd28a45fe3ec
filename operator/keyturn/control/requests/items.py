"""OnePasswordItems as requesters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from keyturn.cluster import ONEPASSWORD_ITEMS
from keyturn.control.requests.requester import Requester
from keyturn.core.request import SecretRequest, request_from_item
from keyturn.settings import Settings


def _read(manifest: Mapping[str, Any], settings: Settings) -> SecretRequest:
    return request_from_item(manifest, mapping=settings.mapping, copy_annotations=settings.enable_annotations)


ITEMS: Final = Requester(ONEPASSWORD_ITEMS, read=_read, has_status=True)
