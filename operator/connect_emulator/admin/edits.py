"""The admin API's edits of vaults, items and files."""

from collections.abc import Sequence
from typing import Annotated

from aiohttp import web
from pydantic import Field

from connect_emulator.account.description import FieldSpec, FileSpec, ItemSpec, SectionSpec, UrlSpec, VaultSpec
from connect_emulator.account.model import Item, State, Vault
from connect_emulator.admin.target import Body, Json, answer, body, target


class VaultEdit(Body):
    """Body of `PATCH /vaults/{vault}`."""

    name: str | None = None
    description: str | None = None


class ItemEdit(Body):
    """Body of `PATCH /vaults/{vault}/items/{item}`."""

    title: str | None = None
    tags: list[str] | None = None
    urls: list[UrlSpec] | None = None
    favorite: bool | None = None
    state: State | None = None
    fields: list[FieldSpec] = Field(default_factory=list)
    remove_fields: list[str] = Field(default_factory=list)
    sections: list[SectionSpec] = Field(default_factory=list)


class Rotate(Body):
    """Body of `.../rotate`."""

    label: str = "password"
    value: str | None = Field(default=None, repr=False)


class BulkCreate(Body):
    """Body of `.../bulk-create`; `{n}` in the title is the number from 0."""

    count: Annotated[int, Field(ge=1, le=100_000)]
    title: str = "item-{n:05d}"
    item: Json = Field(default_factory=dict)


class BulkRotate(Body):
    """Body of `.../bulk-rotate`."""

    titles: list[str] | None = None
    label: str = "password"


async def _create_vault(request: web.Request) -> web.Response:
    emulator = target(request)
    spec = await body(request, VaultSpec)
    for item in spec.items:
        _refuse_paths(item.files)
    return answer(vault_form(emulator.cloud.load_vault(spec, now=emulator.clock.now(), base=None)), status=201)


async def _edit_vault(request: web.Request) -> web.Response:
    edit = await body(request, VaultEdit)
    vault = target(request).cloud.rename_vault(_vault(request), name=edit.name, description=edit.description)
    return answer(vault_form(vault))


async def _remove_vault(request: web.Request) -> web.Response:
    target(request).cloud.remove_vault(_vault(request))
    return answer({})


async def _create_item(request: web.Request) -> web.Response:
    spec = await body(request, ItemSpec)
    _refuse_paths(spec.files)
    return answer(item_form(target(request).cloud.create(_vault(request), spec)), status=201)


async def _bulk_create(request: web.Request) -> web.Response:
    bulk = await body(request, BulkCreate)
    cloud, vault = target(request).cloud, _vault(request)
    template = ItemSpec.model_validate({**bulk.item, "title": bulk.title, "id": None})
    _refuse_paths(template.files)
    try:
        titles = [bulk.title.format(n=number) for number in range(bulk.count)]
    except (LookupError, AttributeError, ValueError):
        raise web.HTTPBadRequest(reason="the only placeholder of the title is {n}") from None
    made = [cloud.create(vault, template.model_copy(update={"title": title})) for title in titles]
    return answer({"created": len(made), "ids": [item.id for item in made]}, status=201)


async def _bulk_rotate(request: web.Request) -> web.Response:
    bulk = await body(request, BulkRotate)
    rotated = target(request).cloud.rotate_many(_vault(request), bulk.titles, label=bulk.label)
    return answer({"rotated": len(rotated)})


async def _edit_item(request: web.Request) -> web.Response:
    edit = await body(request, ItemEdit)
    item = target(request).cloud.edit(
        _vault(request),
        _item(request),
        new_title=edit.title,
        tags=edit.tags,
        urls=edit.urls,
        favorite=edit.favorite,
        state=edit.state,
        fields=edit.fields,
        remove_fields=edit.remove_fields,
        sections=edit.sections,
    )
    return answer(item_form(item))


async def _delete_item(request: web.Request) -> web.Response:
    target(request).cloud.delete(_vault(request), _item(request))
    return answer({})


async def _rotate(request: web.Request) -> web.Response:
    asked = await body(request, Rotate)
    item = target(request).cloud.rotate(_vault(request), _item(request), label=asked.label, value=asked.value)
    return answer(item_form(item))


async def _touch(request: web.Request) -> web.Response:
    return answer(item_form(target(request).cloud.touch(_vault(request), _item(request))))


async def _value(request: web.Request) -> web.Response:
    label = request.query.get("label", "password")
    return answer({"value": target(request).cloud.value(_vault(request), _item(request), label)})


async def _attach(request: web.Request) -> web.Response:
    spec = await body(request, FileSpec)
    _refuse_paths([spec])
    return answer(item_form(target(request).cloud.attach(_vault(request), _item(request), spec)), status=201)


async def _detach(request: web.Request) -> web.Response:
    name = request.match_info["file"]
    return answer(item_form(target(request).cloud.detach(_vault(request), _item(request), name)))


def _refuse_paths(files: Sequence[FileSpec]) -> None:
    if any(file.path is not None for file in files):
        raise web.HTTPBadRequest(reason="a file cannot come from a path here")


def vault_form(vault: Vault) -> Json:
    """A vault for people: metadata only."""
    return {
        "id": vault.id,
        "name": vault.name,
        "attribute_version": vault.attribute_version,
        "content_version": vault.content_version,
        "items": vault.items,
    }


def item_form(item: Item) -> Json:
    """An item for people: no value."""
    content = item.content
    return {
        "id": item.id,
        "vault": item.vault_id,
        "title": content.title,
        "category": content.category,
        "version": item.version,
        "state": content.state,
        "tags": list(content.tags),
        "fields": [{"id": field.id, "label": field.label, "type": field.type} for field in content.fields],
        "files": [{"id": file.id, "name": file.name, "size": len(file.content)} for file in content.files],
    }


def _vault(request: web.Request) -> str:
    return request.match_info["vault"]


def _item(request: web.Request) -> str:
    return request.match_info["item"]


_ITEM = "/vaults/{vault}/items/{item}"
EDIT_ROUTES = (
    web.post("/vaults", _create_vault),
    web.patch("/vaults/{vault}", _edit_vault),
    web.delete("/vaults/{vault}", _remove_vault),
    web.post("/vaults/{vault}/items", _create_item),
    web.post("/vaults/{vault}/bulk-create", _bulk_create),
    web.post("/vaults/{vault}/bulk-rotate", _bulk_rotate),
    web.patch(_ITEM, _edit_item),
    web.delete(_ITEM, _delete_item),
    web.post(_ITEM + "/rotate", _rotate),
    web.post(_ITEM + "/touch", _touch),
    web.get(_ITEM + "/value", _value),
    web.post(_ITEM + "/files", _attach),
    web.delete(_ITEM + "/files/{file}", _detach),
)
