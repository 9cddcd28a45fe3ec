"""Turns labels and file names into legal keys of a Secret, by the official operator's rules."""

from __future__ import annotations

import re

MAX_LENGTH = 253
_LEGAL = re.compile(r"[-._a-zA-Z0-9]+")
_ILLEGAL_RUN = re.compile(r"[^-._a-zA-Z0-9]+")


def is_legal_key(key: str) -> bool:
    """Whether the API server takes a key: 1 to 253 of `[-._a-zA-Z0-9]`, not `.`, not starting with `..`.

    The rule is `IsConfigMapKey` of Kubernetes' own validation.
    """
    # fullmatch, because `$` would also accept a trailing line feed
    fits = len(key) <= MAX_LENGTH and _LEGAL.fullmatch(key) is not None
    return fits and key != "." and not key.startswith("..")


def data_key(label: str) -> str:
    """The key that a label becomes; it may be empty or illegal, which the caller must check.

    A legal label stays as it is. Otherwise illegal characters are dropped at both ends, each other run of them
    becomes one `-`, and the rest is cut to 253 characters. Nothing is lower-cased.
    """
    if is_legal_key(label):
        return label
    replaced = _ILLEGAL_RUN.sub("\0", label).strip("\0")
    return replaced.replace("\0", "-")[:MAX_LENGTH]
