"""Turns labels and file names into keys of a Secret, and annotations into its name, by the official operator's rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

MAX_LENGTH = 253

ALL_KEYS: Final = "*"
"""Stands in a record for every key, if there are too many to name; no key can have this name."""

MOST_RECORDED: Final = 32 * 1024
"""Characters of names in one record: all annotations of an object share 256 KiB, and its status 1.5 MiB."""
_LEGAL = re.compile(r"[-._a-zA-Z0-9]+")
_ILLEGAL_RUN = re.compile(r"[^-._a-zA-Z0-9]+")
_LEGAL_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_ILLEGAL_NAME_RUN = re.compile(r"[^-.a-z0-9]+")


def is_legal_key(key: str) -> bool:
    """Whether the API server takes a key: 1 to 253 of `[-._a-zA-Z0-9]`, not `.`, not starting with `..`.

    The rule is `IsConfigMapKey` of Kubernetes' own validation.
    """
    # fullmatch, because `$` would also accept a trailing line feed
    fits = len(key) <= MAX_LENGTH and _LEGAL.fullmatch(key) is not None
    return fits and key != "." and not key.startswith("..")


def data_key(label: str) -> str:
    """The key that a label becomes; it may be empty or illegal, so the caller must check it.

    A legal label stays as it is. Otherwise illegal characters are dropped at both ends, each other run of them
    becomes one `-`, and the rest is cut to 253 characters. Nothing is lower-cased.
    """
    if is_legal_key(label):
        return label
    replaced = _ILLEGAL_RUN.sub("\0", label).strip("\0")
    return replaced.replace("\0", "-")[:MAX_LENGTH]


def is_legal_name(name: str) -> bool:
    """Whether the API server takes a name of a Secret or a Lease: a DNS-1123 subdomain of at most 253 characters."""
    return len(name) <= MAX_LENGTH and _LEGAL_NAME.fullmatch(name) is not None


def secret_name(text: str) -> str:
    """The name that an `item-name` annotation asks for; it may be empty or illegal, so the caller must check it.

    A legal name stays as it is. Otherwise it is lower-cased, each run of illegal characters becomes one `-`, and the
    rest is cut to 253 characters and stripped of `-` and `.` at both ends.
    """
    if is_legal_name(text):
        return text
    # One code point for one, as Go lower-cases: Python's own `lower` makes two of a dotted capital I.
    lowered = "".join(char.lower()[0] for char in text)
    return _ILLEGAL_NAME_RUN.sub("-", lowered)[:MAX_LENGTH].strip("-.")


_KEYS_OF_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def keys_of_type(secret_type: str) -> tuple[str, ...]:
    """The keys without which the API server rejects a Secret of this type; none for types that it does not know."""
    return _KEYS_OF_TYPES.get(secret_type, ())


def recordable(keys: Iterable[str]) -> tuple[str, ...]:
    """Names of keys, sorted, as an annotation or a status may hold them: `ALL_KEYS` alone if they are too many to name."""
    named = tuple(sorted(set(keys)))
    return named if fits_record(named) and ALL_KEYS not in named else (ALL_KEYS,)


def fits_record(keys: Iterable[str]) -> bool:
    """Whether a record can name these keys, with what JSON puts around each of them."""
    return sum(len(key) + 3 for key in keys) <= MOST_RECORDED
