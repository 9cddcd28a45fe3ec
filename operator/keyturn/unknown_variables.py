"""Finds variables of the environment that look like settings and are none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from keyturn.core.hints import closest

# Kubernetes puts variables of these forms into every pod, for each Service of its namespace.
_SERVICE_LINK = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?)")


class UnknownVariable(NamedTuple):
    """A variable that is not read.

    Attributes:
        name: of the variable.
        hint: which one may have been meant; empty if none is similar.
        refused: whether it can only be a mistake, and not a variable for another tool.
    """

    name: str
    hint: str
    refused: bool


def is_service_link(name: str) -> bool:
    """Whether Kubernetes may have put a variable of this name into the pod, for a Service of its namespace."""
    return _SERVICE_LINK.fullmatch(name) is not None


def unknown_variables(
    environment: Mapping[str, str], *, known: Sequence[str], plain: Sequence[str], shared: tuple[str, ...]
) -> list[UnknownVariable]:
    """The variables that look like settings and are none.

    Args:
        environment: the variables.
        known: names of all settings.
        plain: those of them that have no prefix of ours. What differs little from one is refused: not read, it would leave a
            default in force that may mean much more than was wanted, such as all namespaces.
        shared: prefixes of the providers; other tools may read the same environment.
    """
    found = []
    for name in sorted(environment):
        if name in known or is_service_link(name):
            continue
        similar = closest(name, known)
        hint = f"did you mean {similar}?" if similar else ""
        misspelt = bool(environment[name].strip()) and closest(name, plain) is not None
        refused = name.startswith("KEYTURN_") or misspelt
        if refused or name.startswith(shared):
            found.append(UnknownVariable(name, hint, refused))
    return found
