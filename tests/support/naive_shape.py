"""A second, slow reading of the language of a KeyturnSecret, written from its description alone, to compare the first with.

It knows one main item and further ones, no `include`, no limits, and filters that are easy to say in other words.
"""

import base64
import json
import urllib.parse

from keyturn.core.vault import FieldKind


class NaiveError(Exception):
    """Has the name of the error that the language must raise."""


def naive_data(spec, items, files):
    """The data that a spec makes of items by alias, and of the bytes of files by (alias, id)."""
    made = {}
    texts = {**spec.get("templates", {})}
    waiting = [*spec.get("keys", {}), *texts]
    while waiting:
        key = waiting.pop(0)
        source = texts[key] if key in texts else "{{" + spec["keys"][key] + "}}"
        holes = [part for part in cut(source) if isinstance(part, list)]
        used = [each[1:].strip() for hole in holes for each in operands(hole) if each.startswith("@")]
        if any(each not in made for each in used):
            waiting.append(key)
            continue
        pieces = [
            part.encode() if isinstance(part, str) else fill(part, spec, items, files, made) for part in cut(source)
        ]
        if key in texts:
            for piece in pieces:
                as_text(piece)
        made[key] = b"".join(pieces)
    return made


def cut(source):
    """Texts, and holes as lists of their steps, each a list of the operand or the filter's name and its arguments."""
    parts = []
    while "{{" in source:
        before, source = source.split("{{", 1)
        if before:
            parts.append(before)
        steps, token, is_string = [[]], "", False
        while is_string or not source.startswith("}}"):
            char, source = source[0], source[1:]
            if is_string and char == "\\":
                token += char + source[0]
                source = source[1:]
            elif char == '"':
                is_string = not is_string
                token += char
            elif not is_string and char in "|(,)":
                steps[-1] += [token.strip()] if token.strip() else []
                token = ""
                if char == "|":
                    steps.append([])
            else:
                token += char
        source = source[2:]
        steps[-1] += [token.strip()] if token.strip() else []
        parts.append(steps)
    if source:
        parts.append(source)
    return parts


def operands(steps):
    return steps[0] + [each for step in steps[1:] for each in step[1:]]


def as_text(value):
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise NaiveError("ValueInvalid") from None


def read(operand, spec, items, files, made):
    """The bytes of an operand, or None."""
    if operand.startswith('"'):
        return json.loads(operand).encode()
    if operand.startswith("@"):
        return made[operand[1:].strip()]
    parts = operand.split("/")
    item = items[parts.pop(0) if len(parts) > 1 and parts[0] in spec.get("items", {}) else ""]
    alias = next(alias for alias, each in items.items() if each is item)
    name = parts[-1]
    section = parts[0] if len(parts) == 2 else None
    return best(candidates(item, name, section), section, lambda file: files[alias, file.id])


def candidates(item, name, section):
    """What fits a reference, as (kind, field or URL)."""
    things = [("file" if each.kind is FieldKind.FILE else "field", each) for each in item.fields]
    if section is None:
        things += [("url", each) for each in item.ref.urls]
    else:
        wanted = section.lower()
        things = [
            (kind, each)
            for kind, each in things
            if each.section and wanted in (each.section.lower(), each.section_id.lower())
        ]
    named = [thing for thing in things if thing[1].label.lower() == name.lower()]
    exact = [thing for thing in named if thing[1].label == name]
    return exact or named or [thing for thing in things if thing[0] != "url" and thing[1].id.lower() == name.lower()]


def best(fits, section, content):
    """The value of the best fit, or None."""
    for wanted in ("field", "url", "file"):
        group = [each for kind, each in fits if kind == wanted]
        if wanted == "url":
            values = [each.href for each in [each for each in group if each.primary] or group][-1:]
        else:
            outside = [each for each in group if each.section is None]
            group = outside if section is None and outside else group
            values = [content(each) if wanted == "file" else each.value for each in group if each.size != 0]
        values = [each.encode() if isinstance(each, str) else each for each in values if each]
        if len(values) > 1:
            raise NaiveError("FieldAmbiguous")
        if values:
            return values[0]
    return None


def fill(steps, spec, items, files, made):
    value = read(steps[0][0], spec, items, files, made)
    if len(steps) > 1 and steps[1][0] == "default":
        for other in steps[1][1:]:
            if value or (value is not None and steps[0][0][0] in '"@'):
                break
            value = read(other, spec, items, files, made)
            if value is not None and other[0] in '"@':
                break
        steps = [steps[0], *steps[2:]]
    if value is None:
        raise NaiveError("FieldNotFound")
    for name, *arguments in steps[1:]:
        found = [each if each.isdigit() else read(each, spec, items, files, made) for each in arguments]
        if None in found:
            raise NaiveError("FieldNotFound")
        value = filters()[name](value, *found)
    return value


def indent(value, width):
    first, *rest = as_text(value).split("\n")
    padding = " " * int(width)
    return "\n".join([first, *(padding + line if line.strip("\r") else line for line in rest)]).encode()


def replace(value, old, new):
    if not old:
        as_text(value)
        as_text(new)
        raise NaiveError("ValueInvalid")
    return as_text(value).replace(as_text(old), as_text(new)).encode()


def filters():
    return {
        "trim": lambda value: as_text(value).strip().encode(),
        "upper": lambda value: as_text(value).upper().encode(),
        "lower": lambda value: as_text(value).lower().encode(),
        "replace": replace,
        "indent": indent,
        "urlencode": lambda value: urllib.parse.quote(value, safe="").encode(),
        "b64encode": base64.b64encode,
        "hexencode": lambda value: value.hex().encode(),
    }
