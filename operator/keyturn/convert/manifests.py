"""Reads files of YAML documents into Kubernetes objects, and keeps the text of each document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from keyturn.convert.errors import BadInput


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file.

    Attributes:
        number: from 1, as in messages.
        text: as it stands in the file.
        objects: the object, or those of a list.
        is_list: whether it was a list.
    """

    number: int
    text: str = field(repr=False)
    objects: tuple[Mapping[str, Any], ...] = field(repr=False)
    is_list: bool = False


_SEPARATOR = re.compile(r"^(?:---(?:[ \t][^\n]*)?|\.\.\.[ \t]*)\r?$\n?", re.MULTILINE)
"""Begins or ends a document wherever it stands at the beginning of a line, even in a text of several lines."""

_DEEPEST_LIST: Final = 5


class _Loader(yaml.SafeLoader):
    """Reads what Kubernetes reads: a date stays a text, and a field that stands twice is a mistake."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's
        """Build a mapping.

        Raises:
            yaml.YAMLError: a field stands twice.
        """
        written = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        if len(written) != len(set(written)):
            raise yaml.constructor.ConstructorError(problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def read_documents(raw: bytes) -> Iterator[Document | BadInput]:
    """The documents of a file, without empty ones; an error stands in the place of each that cannot be read."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        yield BadInput("this is no UTF-8 text")
        return
    for number, part in enumerate(_parts(text), 1):
        try:
            document = _read(number, part)
        except BadInput as error:
            yield error
        else:
            if document is not None:
                yield document


def _parts(text: str) -> Iterator[str]:
    """The texts between separators; the first separator of a file may be missing."""
    start = 0
    for found in _SEPARATOR.finditer(text):
        part, start = text[start : found.start()], found.end()
        inline = found.group().strip()[3:].strip()
        if inline and not inline.startswith("#"):
            # `--- {a: b}`: the document begins on the line of its separator.
            start = found.start() + 3
        if part.strip() and not _is_directive(part):
            yield part
    if text[start:].strip():
        yield text[start:]


def _is_directive(part: str) -> bool:
    """Whether a part holds nothing but comments and directives."""
    return all(not line.strip() or line.lstrip().startswith(("#", "%")) for line in part.splitlines())


def _read(number: int, text: str) -> Document | None:
    """A document; None if it holds nothing but comments.

    Raises:
        BadInput: it is no YAML, or no object. The message holds nothing of the text.
    """
    problem = ""
    found: Any = None
    try:
        found = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        problem = "this is no YAML" + (f" (line {place.line + 1} of the document)" if place is not None else "")
    except RecursionError:
        problem = "this is nested too deeply"
    except Exception:  # noqa: BLE001 - PyYAML raises whatever its code for a tag runs into, as a KeyError that quotes the value
        problem = "this is no YAML"
    if problem:
        raise BadInput(f"document {number}: {problem}")
    if found is None:
        return None
    if not isinstance(found, dict):
        raise BadInput(f"document {number}: this is no Kubernetes object")
    objects = tuple(_objects(found, number, depth=0))
    return Document(number=number, text=text, objects=objects, is_list=objects != (found,))


def _objects(found: Mapping[str, Any], number: int, *, depth: int) -> Iterator[Mapping[str, Any]]:
    """An object itself, or the members of a list."""
    kind, items = found.get("kind"), found.get("items")
    if not (isinstance(kind, str) and kind.endswith("List") and isinstance(items, list)):
        yield found
        return
    for item in items:
        if not isinstance(item, dict) or depth >= _DEEPEST_LIST:
            raise BadInput(f"document {number}: an entry of its list is no Kubernetes object")
        yield from _objects(item, number, depth=depth + 1)
