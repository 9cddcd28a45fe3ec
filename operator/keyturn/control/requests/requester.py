"""A kind of object that asks for Secrets, as data: how it is addressed, how it is read, and whether it has a status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keyturn.cluster import Resource
from keyturn.core.request import SecretRequest
from keyturn.settings import Settings

ReadRequest = Callable[[Mapping[str, Any], Settings], SecretRequest]
"""Reads an object as the API server gives it."""


@dataclass(frozen=True, slots=True)
class Requester:
    """One kind.

    Attributes:
        resource: how the API server addresses it; the kind's name is `resource.kind`.
        read: makes a request of an object; None for workloads, which `workloads.py` reads together.
        has_status: whether the outcome is written to the object. Otherwise Events alone say it.
        required: whether the operator needs the API server to serve the kind. Without one that is not required it does the rest of
            its work, and begins with that kind as soon as its definition is installed.
    """

    resource: Resource
    read: ReadRequest | None = None
    has_status: bool = False
    required: bool = True
