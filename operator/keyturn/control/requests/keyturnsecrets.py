"""KeyturnSecrets as requesters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from keyturn.cluster import KEYTURN_SECRETS
from keyturn.control.requests.requester import Requester
from keyturn.core.keyturnsecret import request_from_keyturn_secret
from keyturn.core.request import SecretRequest
from keyturn.settings import Settings


def _read(manifest: Mapping[str, Any], settings: Settings) -> SecretRequest:
    return request_from_keyturn_secret(manifest, mapping=settings.mapping, copy_annotations=settings.enable_annotations)


SHAPED: Final = Requester(KEYTURN_SECRETS, read=_read, has_status=True, required=False)
