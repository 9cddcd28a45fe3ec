"""The `filter` of Connect's lists: `title eq "database"`, after SCIM, as far as its clients use it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from keyturn.broker.errors import UnreadableRequest
from keyturn.core.paths import normalized, same_but_for_case

_FORM: Final = re.compile(r'\s*([A-Za-z]+)\s+([A-Za-z]+)\s+(?:"((?:[^"\\]|\\.)*)"|([^\s"\'()]+))\s*', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def _contains(text: str, wanted: str) -> bool:
    return normalized(wanted).casefold() in normalized(text).casefold()


_OPERATORS: Final[dict[str, Callable[[str, str], bool]]] = {"eq": same_but_for_case, "co": _contains}


@dataclass(frozen=True, slots=True)
class ListFilter:
    """One comparison.

    Attributes:
        attribute: in lower case.
        value: that it is compared with.
    """

    attribute: str
    operator: str
    value: str

    def accepts(self, text: str) -> bool:
        """Whether a text passes, whatever its case, as Connect compares."""
        return _OPERATORS[self.operator](text, self.value)


def parse_filter(text: str, attributes: Collection[str]) -> ListFilter:
    """Read a filter over some attributes.

    Raises:
        UnreadableRequest: it is none.
    """
    matched = _FORM.fullmatch(text)
    if matched is None:
        raise UnreadableRequest('Invalid filter: it must be of the form title eq "name"')
    attribute, operator = matched[1].lower(), matched[2].lower()
    if attribute not in attributes or operator not in _OPERATORS:
        known = " or ".join(sorted(attributes))
        raise UnreadableRequest(f"Invalid filter: it can compare {known} by eq or co")
    quoted, bare = matched[3], matched[4]
    return ListFilter(attribute, operator, _ESCAPED.sub(r"\1", quoted) if quoted is not None else bare)
