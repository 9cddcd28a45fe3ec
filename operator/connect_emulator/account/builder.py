"""Items from descriptions, as a person with a 1Password app would make them: nothing is refused."""

from dataclasses import replace
from pathlib import Path

from connect_emulator.account.categories import built_in
from connect_emulator.account.description import FieldSpec, FileSpec, ItemSpec
from connect_emulator.account.ids import Ids
from connect_emulator.account.model import Content, Field, File, Section, Url
from connect_emulator.account.values import date_of_app


def content_of(spec: ItemSpec, *, ids: Ids, scope: tuple[str, ...], base: Path | None) -> Content:
    """The content that `spec` describes.

    Args:
        spec: the description.
        ids: makes ids for the parts that have none.
        scope: names the item, so that its ids depend on nothing else.
        base: where relative paths of files start; without it, files from paths are empty.
    """
    sections = [
        Section(
            id=section.id or (ids.named(*scope, "section", section.label) if section.label else ""), label=section.label
        )
        for section in spec.sections
    ]
    fields = with_fields(spec.category, (), spec.fields, ids=ids, scope=scope, sections=sections)
    files = tuple(file_of(file, ids=ids, scope=scope, sections=sections, base=base) for file in spec.files)
    return Content(
        title=spec.title,
        category=spec.category,
        favorite=spec.favorite,
        state=spec.state,
        tags=tuple(spec.tags),
        urls=tuple(Url(href=url.href, label=url.label, primary=url.primary) for url in spec.urls),
        sections=tuple(sections),
        fields=fields,
        files=files,
    )


def with_fields(
    category: str,
    present: tuple[Field, ...],
    specs: list[FieldSpec],
    *,
    ids: Ids,
    scope: tuple[str, ...],
    sections: list[Section],
) -> tuple[Field, ...]:
    """`present` (or the category's built-in fields) with `specs` folded in; sections that are missing are appended.

    A spec without section means the built-in field of its id, purpose or label; any other spec makes a new field.
    """
    fields = list(present or built_in(category))
    free = {field.id for field in built_in(category)}
    for spec in specs:
        place = _place(fields, spec, free) if not spec.section else None
        if place is not None:
            known = fields[place]
            free.discard(known.id)
            fields[place] = replace(
                known,
                label=spec.label or known.label,
                type=spec.type or known.type,
                value=_value(spec.type or known.type, spec.value),
                history=tuple(spec.history),
            )
            continue
        kind = spec.type or "STRING"
        fields.append(
            Field(
                id=spec.id or ids.named(*scope, "field", spec.section, spec.label),
                type=kind,
                purpose=spec.purpose,
                label=spec.label,
                value=_value(kind, spec.value),
                section=section_id(spec.section, sections, ids=ids, scope=scope),
                history=tuple(spec.history),
            )
        )
    return tuple(fields)


def file_of(spec: FileSpec, *, ids: Ids, scope: tuple[str, ...], sections: list[Section], base: Path | None) -> File:
    """The file that `spec` describes, in its section if it names one."""
    return File(
        id=spec.id or ids.named(*scope, "file", spec.name),
        name=spec.name,
        content=spec.read(base=base),
        section=section_id(spec.section, sections, ids=ids, scope=scope),
    )


def section_id(name: str, sections: list[Section], *, ids: Ids, scope: tuple[str, ...]) -> str:
    """The id of the section with this id or label; one that is missing is appended to `sections`."""
    if not name:
        return ""
    for section in sections:
        if name in {section.id, section.label}:
            return section.id
    made = Section(id=ids.named(*scope, "section", name), label=name)
    sections.append(made)
    return made.id


def _place(fields: list[Field], spec: FieldSpec, free: set[str]) -> int | None:
    """The place of the built-in field that `spec` means, if that field is still free."""
    for place, field in enumerate(fields):
        if field.id in free and (
            spec.id == field.id
            or (spec.purpose and spec.purpose == field.purpose)
            or (not spec.id and not spec.purpose and spec.label in {field.id, field.label})
        ):
            return place
    return None


def _value(kind: str, value: str) -> str:
    return date_of_app(value) if kind == "DATE" else value
