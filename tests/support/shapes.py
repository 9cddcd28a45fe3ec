"""Items and shapes for tests of the language of a KeyturnSecret."""

from keyturn.core.content import DEFAULT_MAPPING
from keyturn.core.shape import Shape, plan_shape
from keyturn.core.vault import Field, FieldKind, Item, ItemRef


def an_item(*fields, urls=()):
    return Item(ItemRef(id="i" * 26, scope="v" * 26, title="db", revision="1", urls=tuple(urls)), tuple(fields))


def text(label, value, *, section=None, field_id="", section_id=""):
    return Field(id=field_id or f"id-{label}", label=label, value=value, section=section, section_id=section_id)


def a_file(label, *, size=1, section=None, file_id=""):
    return Field(id=file_id or f"id-{label}", label=label, kind=FieldKind.FILE, size=size, section=section)


WEB = an_item(text("username", "app"), text("password", "p@ss wörd"), text("server", "db.example"), text("port", ""))


def rendered(spec, items=WEB, *, files=None, options=DEFAULT_MAPPING, old=None):
    """What a spec makes of an item, or of items by alias; `files` has bytes by label, of whatever item."""
    found = items if isinstance(items, dict) else {"": items}
    plan = plan_shape(Shape.read(spec))
    needed = plan.files(found, options)
    contents = {(alias, file.id): (files or {})[file.label] for alias, file in needed}
    return plan.render(found, contents, options, old or {})


def data_of(spec, items=WEB, **more):
    return dict(rendered(spec, items, **more).data)
