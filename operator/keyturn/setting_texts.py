"""Reads the text of one setting, or says what is wrong with it. Each reader takes the name of the setting, for the message, and the text."""

from __future__ import annotations

import re
from collections.abc import Callable

from keyturn.base.text import shorten
from keyturn.core.allowed_hosts import AllowedHosts, BadHost, parse_allowed_hosts
from keyturn.core.keys import is_legal_name
from keyturn.core.restart_kinds import BadKind, KindReference, parse_kinds
from keyturn.core.restarts import parse_switch
from keyturn.observe import Bind, parse_bind

_LONGEST = 10**9
"""Seconds, some thirty years: a longer interval is a mistake."""

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

_INSTALLATION = re.compile(r"[A-Za-z0-9._/-]{1,130}")


class SettingsError(Exception):
    """A setting is unknown, missing or unreadable; the message is one line for a terminal."""


def read_seconds(name: str, text: str) -> float:
    """Whole seconds, at least one."""
    # Compared as a float: Python refuses to make an int of thousands of digits.
    if not (text.isascii() and text.isdecimal()) or not 1 <= float(text) <= _LONGEST:
        raise SettingsError(f"{name}={shorten(text)!r} must be a whole number of seconds from 1 to {_LONGEST}")
    return float(text)


def read_number(least: int, most: int) -> Callable[[str, str], int]:
    """Makes a reader of whole numbers from `least` to `most`."""

    def read(name: str, text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not least <= float(text) <= most:
            raise SettingsError(f"{name}={shorten(text)!r} must be a whole number from {least} to {most}")
        return int(text)

    return read


def read_switch(name: str, text: str) -> bool:
    """`true` or `false`."""
    value = parse_switch(text)
    if value is None:
        raise SettingsError(f"{name}={text!r} must be true or false")
    return value


def read_namespaces(name: str, text: str) -> tuple[str, ...]:
    """Names of namespaces, separated by commas, each once."""
    found = [read_namespace(name, part.strip()) for part in text.split(",") if part.strip()]
    return tuple(dict.fromkeys(found))


def read_kinds(name: str, text: str) -> tuple[KindReference, ...]:
    """Kinds to restart."""
    try:
        return parse_kinds(text)
    except BadKind as error:
        raise SettingsError(f"{name}: {error}") from None


def read_hosts(name: str, text: str) -> AllowedHosts:
    """Hosts that Connections may name."""
    try:
        return parse_allowed_hosts(text)
    except BadHost as error:
        raise SettingsError(f"{name}: {error}") from None


def read_installation(name: str, text: str) -> str:
    """The name of an installation, which goes with each request to a vault."""
    if not _INSTALLATION.fullmatch(text):
        raise SettingsError(
            f"{name}={shorten(text)!r} must have 1 to 130 letters, digits, dots, dashes, underscores and slashes"
        )
    return text


def read_namespace(name: str, text: str) -> str:
    """The name of a namespace; an empty text stays empty."""
    if text and not _NAMESPACE.fullmatch(text):
        raise SettingsError(f"{name} names {text!r}, which cannot be a namespace")
    return text


def read_name(name: str, text: str) -> str:
    """The name of an object."""
    if not is_legal_name(text):
        raise SettingsError(f"{name}={text!r} cannot be the name of an object")
    return text


def read_address(flag: str, text: str) -> Bind | None:
    """An address to listen at; None for nowhere."""
    try:
        return parse_bind(text)
    except ValueError as error:
        raise SettingsError(f"{flag}: {error}") from None
