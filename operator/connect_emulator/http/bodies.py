"""Items from request bodies: tolerant of what official clients send, and as strict as real servers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from connect_emulator.account import passwords
from connect_emulator.account.categories import CREATABLE, FIELD_TYPES, built_in, takes
from connect_emulator.account.ids import Ids
from connect_emulator.account.model import Content, Field, File, Item, Section, Url
from connect_emulator.account.values import date_of_api, encodable, month_year
from connect_emulator.errors import VALIDATOR, ApiError, invalid_item
from connect_emulator.knobs import Knobs

_DOUBLED = (
    'Logic: (Unable to parse Item), Validation: (too many "{0}" fields in Apply()), You can only use one "{0}" field.'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """One body on its way to content; `previous` is the item it replaces."""

    ids: Ids
    knobs: Knobs
    previous: Item | None


def content_of_body(body: object, *, vault_id: str, previous: Item | None, ids: Ids, knobs: Knobs) -> Content:
    """The content a POST (no `previous`) or PUT body asks for.

    Raises:
        ApiError: what real servers answer to it.
    """
    if not isinstance(body, Mapping):
        raise ApiError(400, "Invalid request body: expected an item")
    reader = _Reader(ids=ids, knobs=knobs, previous=previous)
    _check_identity(body, vault_id=vault_id, previous=previous)
    category = _category(body, previous)
    sections = _sections(reader, body)
    fields = _fields(reader, body, category=category, sections=sections)
    if category == "PASSWORD" and not any(field.id == "password" and field.value for field in fields):
        raise ApiError(400, "The item doesn't have a password field.")
    loose = {field.id for field in fields if not field.section} - {field.id for field in built_in(category)}
    if previous is None and loose and not sections and knobs.placeholder_section:
        sections = (Section(),)
    return Content(
        title=_text(body, "title"),
        category=category,
        favorite=bool(body.get("favorite")),
        state=previous.content.state if previous else "",
        tags=tuple(_strings(body, "tags")),
        urls=tuple(
            Url(href=_text(url, "href"), label=_text(url, "label"), primary=bool(url.get("primary")))
            for url in _objects(body, "urls")
        ),
        sections=sections,
        fields=fields,
        files=_files(reader, body),
    )


def _check_identity(body: Mapping[str, Any], *, vault_id: str, previous: Item | None) -> None:
    vault = body.get("vault")
    if not isinstance(vault, Mapping) or vault.get("id") != vault_id:
        raise ApiError(400, "Invalid request body: the item's vault does not match the path")
    if previous and body.get("id") not in {None, "", previous.id}:
        raise ApiError(400, "Invalid request body: the item's id does not match the path")


def _category(body: Mapping[str, Any], previous: Item | None) -> str:
    category = _text(body, "category")
    if not category:
        raise ApiError(400, f'{VALIDATOR}"Required field "item.templateUuid" not found"')
    if previous:
        if category != previous.content.category:
            raise ApiError(400, "Invalid item category")
    elif category not in CREATABLE:
        raise ApiError(400, "Invalid item category")
    return category


def _sections(reader: _Reader, body: Mapping[str, Any]) -> tuple[Section, ...]:
    sections: list[Section] = []
    for place, form in enumerate(_objects(body, "sections")):
        label = _text(form, "label")
        made = Section(id=_text(form, "id") or (reader.ids.fresh() if label else ""), label=label)
        if any(made.id == section.id for section in sections):
            raise invalid_item(f"details.sections[{place}] has non-unique name")
        sections.append(made)
    return tuple(sections)


def _fields(
    reader: _Reader, body: Mapping[str, Any], *, category: str, sections: tuple[Section, ...]
) -> tuple[Field, ...]:
    fixed = {field.id: field for field in built_in(category)}
    filled: set[str] = set()
    customs: list[Field] = []
    for place, form in enumerate(_objects(body, "fields")):
        field = _field(reader, form, category=category, sections=sections, place=place)
        if field.id in fixed and not field.section:
            if field.id in filled:
                raise ApiError(reader.knobs.double_password_status, _DOUBLED.format(field.label))
            filled.add(field.id)
            fixed[field.id] = field
        elif any(field.id == other.id for other in customs):
            raise invalid_item(f"details.sections[0].fields[{place}] has non-unique name")
        else:
            customs.append(field)
    return (*fixed.values(), *customs)


def _field(
    reader: _Reader, form: Mapping[str, Any], *, category: str, sections: tuple[Section, ...], place: int
) -> Field:
    purpose = _text(form, "purpose").upper()
    template = _template(reader, form, category=category, purpose=purpose)
    field_id = template.id if template else _text(form, "id") or reader.ids.fresh()
    before = _before(reader, field_id)
    section = _section_id(form, sections, place=place)
    kind = template.type if template else _type(form, before, section=section, sections=sections, place=place)
    value = _value(reader, form, kind)
    generated = bool(form.get("generate")) and not value
    if generated:
        value = passwords.generate(form.get("recipe"), reader.ids.random)
    history: tuple[str, ...] = ()
    if before and before.purpose == "PASSWORD":
        history = before.history
        if before.value and before.value != value:
            history = (before.value, *history)
        elif not generated:
            generated = before.generated
    if template:
        # A private key that comes in through the API degrades to text (seen).
        kind = "STRING" if kind == "SSHKEY" and not (before and before.value == value) else kind
        return replace(template, type=kind, value=value, section=section, generated=generated, history=history)
    label = _text(form, "label")
    return Field(
        id=field_id, type=kind, purpose=purpose, label=label, value=value, section=section,
        generated=generated, history=history,
    )  # fmt: skip


def _template(reader: _Reader, form: Mapping[str, Any], *, category: str, purpose: str) -> Field | None:
    """The built-in field that `form` means, by purpose or id."""
    if purpose:
        if purpose not in {"USERNAME", "PASSWORD", "NOTES"}:
            raise ApiError(400, "Invalid field purpose")
        if not takes(category, purpose):
            raise ApiError(reader.knobs.misplaced_purpose_status, f"The item doesn't have a {purpose.lower()} field.")
        return next((field for field in built_in(category) if field.purpose == purpose), None)
    wanted = _text(form, "id")
    return next((field for field in built_in(category) if field.id == wanted), None)


def _type(
    form: Mapping[str, Any], before: Field | None, *, section: str, sections: tuple[Section, ...], place: int
) -> str:
    raw = _text(form, "type")
    kind = raw.upper() or ("CONCEALED" if form.get("generate") else "STRING")
    if before and before.type == raw:
        return raw
    if kind not in FIELD_TYPES:
        at = next((n for n, known in enumerate(sections) if known.id == section), 0) if section else 0
        raise invalid_item(f"details.sections[{at}].fields[{place}] has unsupported field type: {raw.lower()}")
    return "STRING" if kind == "SSHKEY" else kind


def _value(reader: _Reader, form: Mapping[str, Any], kind: str) -> str:
    value = _text(form, "value")
    if kind == "DATE":
        return date_of_api(value, utc_offset_h=reader.knobs.server_utc_offset_h)
    return month_year(value) if kind == "MONTH_YEAR" else value


def _section_id(form: Mapping[str, Any], sections: tuple[Section, ...], *, place: int) -> str:
    section = form.get("section")
    if section is None:
        return ""
    if not isinstance(section, Mapping):
        raise ApiError(400, "Invalid request body: section must be an object")
    wanted = _text(section, "id")
    if wanted and all(wanted != known.id for known in sections):
        raise invalid_item(f"details.sections[0].fields[{place}] refers to an unknown section")
    return wanted


def _files(reader: _Reader, body: Mapping[str, Any]) -> tuple[File, ...]:
    """Files cannot be uploaded, only kept: those that are named, or all if none are."""
    if reader.previous is None:
        return ()
    present = reader.previous.content.files
    named = _objects(body, "files")
    if not named:
        return present if reader.knobs.put_keeps_files else ()
    wanted = {form.get("id") for form in named}
    return tuple(file for file in present if file.id in wanted)


def _before(reader: _Reader, field_id: str) -> Field | None:
    fields = reader.previous.content.fields if reader.previous else ()
    return next((field for field in fields if field.id == field_id), None)


def _text(form: Mapping[str, Any], key: str) -> str:
    value = form.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ApiError(400, f"Invalid request body: {key} must be a string")
    return encodable(value)


def _strings(form: Mapping[str, Any], key: str) -> list[str]:
    value = form.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ApiError(400, f"Invalid request body: {key} must be a list of strings")
    return [encodable(entry) for entry in value]


def _objects(form: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = form.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise ApiError(400, f"Invalid request body: {key} must be a list of objects")
    return value
