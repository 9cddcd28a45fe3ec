"""The register of all kinds that ask for Secrets, the one that decides first if several ask for the same Secret."""

from __future__ import annotations

from typing import Final

from keyturn.cluster import WORKLOADS
from keyturn.control.requests.items import ITEMS
from keyturn.control.requests.keyturnsecrets import SHAPED
from keyturn.control.requests.requester import Requester

REQUESTERS: Final = (SHAPED, ITEMS, *map(Requester, WORKLOADS))

BY_KIND: Final = {requester.resource.kind: requester for requester in REQUESTERS}
