"""Which kinds of workloads are restarted beside those of Kubernetes itself, as the settings name them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(
    r"(?P<group>[a-z0-9]([-a-z0-9.]*[a-z0-9])?)/(?P<version>v[a-z0-9]+)/(?P<kind>[A-Z][A-Za-z0-9]*)"
    r"(=(?P<template>[a-zA-Z]\w*(\.[a-zA-Z]\w*)*))?"
)

_TEMPLATE = "spec.template"

_BUILT_IN = frozenset({("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet")})

_RUN_ONCE = frozenset({"Job", "CronJob"})

_KEEP_THEIR_PODS = frozenset({("apps", "ReplicaSet")})


class BadKind(ValueError):
    """The text names no kind that can be restarted; the message quotes the text and says why."""


@dataclass(frozen=True, slots=True)
class KindReference:
    """A kind whose controller replaces its pods when their template changes.

    Attributes:
        group: of the API.
        version: of the API.
        kind: its name in CamelCase.
        template: the path to its pod template.
    """

    group: str
    version: str
    kind: str
    template: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.group}/{self.version}/{self.kind}"


def parse_kinds(text: str) -> tuple[KindReference, ...]:
    """Read kinds separated by commas, as `argoproj.io/v1alpha1/Rollout`; `=spec.pod.template` is the path to the template.

    Raises:
        BadKind: one of them has another form, cannot be restarted, or need not be named.
    """
    return tuple(dict.fromkeys(_parse(part.strip()) for part in text.split(",") if part.strip()))


def _parse(text: str) -> KindReference:
    match = _FORM.fullmatch(text)
    if match is None:
        raise BadKind(f"{text!r} is not of the form group/version/Kind, or group/version/Kind=path.to.template")
    group, kind = match["group"], match["kind"]
    if kind in _RUN_ONCE:
        raise BadKind(f"{text!r} cannot be restarted: a {kind} never runs because a Secret changed")
    if (group, kind) in _BUILT_IN:
        raise BadKind(f"{text!r} need not be named: every {kind} is restarted")
    if (group, kind) in _KEEP_THEIR_PODS:
        raise BadKind(f"{text!r} cannot be restarted: a {kind} keeps its pods when their template changes")
    template = tuple((match["template"] or _TEMPLATE).split("."))
    if template[0] == "metadata":
        raise BadKind(f"{text!r} has no pod template in its metadata")
    return KindReference(group, match["version"], kind, template)
