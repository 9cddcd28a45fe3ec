"""Edits by name, as people make them in a 1Password app: the side of the account that Connect only follows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from connect_emulator.account.builder import content_of, file_of, section_id, with_fields
from connect_emulator.account.description import FieldSpec, FileSpec, ItemSpec, SectionSpec, UrlSpec, VaultSpec
from connect_emulator.account.ids import Ids
from connect_emulator.account.model import Content, Field, File, Item, Section, State, Url, Vault, VaultType
from connect_emulator.account.store import Store
from connect_emulator.account.values import date_of_app
from connect_emulator.knobs import Live


class Missing(LookupError):
    """There is no vault, item, field or file of that name."""


class Ambiguous(LookupError):
    """Several items have that title; name one by its id."""


class Taken(ValueError):
    """That id is in use."""


class Cloud:
    """The account. Vaults are named by name or id, items by title or id; everything takes effect here at once.

    `store` holds the raw state.
    """

    def __init__(self, store: Store, *, ids: Ids, live: Live) -> None:
        self.store = store
        self._ids = ids
        self._live = live

    def vault(self, name: str) -> Vault:
        """The vault with this id or, failing that, exact name (the first of several).

        Raises:
            Missing: no such vault.
        """
        if found := self.store.vaults.get(name):
            return found
        for vault in self.store.vaults.values():
            if vault.name == name:
                return vault
        raise Missing(f"no vault {name!r}")

    def item(self, vault: str, title: str) -> Item:
        """The item with this id or, failing that, exact title.

        Raises:
            Missing: no such vault or item.
            Ambiguous: several items with this title.
        """
        items = self.store.items[self.vault(vault).id]
        if found := items.get(title):
            return found
        matches = [item for item in items.values() if item.content.title == title]
        if not matches:
            raise Missing(f"no item {title!r} in vault {vault!r}")
        if len(matches) > 1:
            raise Ambiguous(f"{len(matches)} items are titled {title!r}: {', '.join(item.id for item in matches)}")
        return matches[0]

    def value(self, vault: str, title: str, label: str) -> str:
        """The present value of a field, by id or label.

        Raises:
            Missing: no such vault, item or field.
        """
        content = self.item(vault, title).content
        return content.fields[_field_place(content, label)].value

    def create_vault(
        self, name: str, *, description: str = "", kind: VaultType = "USER_CREATED", vault_id: str | None = None
    ) -> Vault:
        """A new, empty vault."""
        made = Vault(id=vault_id or self._ids.fresh(), name=name, description=description, type=kind)
        return self.store.add_vault(made)

    def load_vault(self, spec: VaultSpec, *, now: float, base: Path | None) -> Vault:
        """A vault of the description file. Items without times are one second apart, the first the oldest."""
        vault_id = spec.id or self._ids.named("vault", spec.name)
        if vault_id in self.store.vaults:
            raise Taken(f"there is a vault with the id {vault_id!r}")
        age = now - len(spec.items) - 1
        vault = self.store.add_vault(
            Vault(
                id=vault_id,
                name=spec.name,
                description=spec.description,
                type=spec.type,
                attribute_version=spec.attribute_version,
                created_at=age,
                updated_at=age,
            )
        )
        contents = []
        for place, item in enumerate(spec.items, start=1):
            scope = ("item", vault_id, item.title)
            item_id = item.id or self._ids.named(*scope)
            content = content_of(item, ids=self._ids, scope=(*scope, item_id), base=base)
            created = age + place if item.created_at is None else item.created_at
            updated = created if item.updated_at is None else item.updated_at
            contents.append((item_id, content, item.version, created, updated))
        self.store.load(vault.id, contents, version=spec.content_version or 1 + len(contents))
        return self.store.vaults[vault_id]

    def rename_vault(self, vault: str, *, name: str | None = None, description: str | None = None) -> Vault:
        """Change a vault's name or description."""
        return self.store.edit_vault(self.vault(vault).id, name=name, description=description)

    def remove_vault(self, vault: str) -> None:
        """Remove a vault with all its items."""
        self.store.remove_vault(self.vault(vault).id)

    def create(self, vault: str, spec: ItemSpec) -> Item:
        """A new item."""
        vault_id = self.vault(vault).id
        item_id = spec.id or self._ids.fresh()
        if item_id in self.store.items[vault_id]:
            raise Taken(f"there is an item with the id {item_id!r}")
        content = content_of(spec, ids=self._ids, scope=("item", vault_id, item_id), base=None)
        return self.store.add_item(
            vault_id,
            item_id,
            content,
            version=spec.version,
            created_at=spec.created_at,
            updated_at=spec.updated_at,
        )

    def edit(
        self,
        vault: str,
        title: str,
        *,
        new_title: str | None = None,
        tags: Sequence[str] | None = None,
        urls: Sequence[UrlSpec] | None = None,
        favorite: bool | None = None,
        state: State | None = None,
        fields: Sequence[FieldSpec] = (),
        remove_fields: Sequence[str] = (),
        sections: Sequence[SectionSpec] = (),
    ) -> Item:
        """Change the named parts of an item in one saved edit.

        A field spec changes the field of its id or, within its section if it names one, its label; otherwise it adds one.
        """
        item = self.item(vault, title)
        content = item.content
        made_sections = list(content.sections)
        for spec in sections:
            section_id(spec.label or spec.id, made_sections, ids=self._ids, scope=("section", item.id))
        for label in remove_fields:
            place = _field_place(content, label)
            content = replace(content, fields=content.fields[:place] + content.fields[place + 1 :])
        for field in fields:
            content = self._with_field(content, field, item_id=item.id, sections=made_sections)
        content = replace(
            content,
            title=content.title if new_title is None else new_title,
            tags=content.tags if tags is None else tuple(tags),
            urls=content.urls
            if urls is None
            else tuple(Url(href=url.href, label=url.label, primary=url.primary) for url in urls),
            favorite=content.favorite if favorite is None else favorite,
            state=content.state if state is None else state,
            sections=tuple(made_sections),
        )
        return self.store.edit_item(item, content)

    def rotate(self, vault: str, title: str, *, label: str = "password", value: str | None = None) -> Item:
        """Give one field (by id or label) a new value, a random one if none is given."""
        item = self.item(vault, title)
        return self.store.edit_item(item, self._rotated(item.content, label, value))

    def rotate_many(self, vault: str, titles: Sequence[str] | None = None, *, label: str = "password") -> list[Item]:
        """Rotate that field of many items (all of the vault's if none are named) to random values."""
        vault_id = self.vault(vault).id
        items = list(self.store.items[vault_id].values())
        if titles is not None:
            places = Counter(item.content.title for item in items)
            known = {item.content.title: item for item in items} | {item.id: item for item in items}
            # The slow way raises the error that fits the title.
            items = [known[title] if places[title] == 1 else self.item(vault_id, title) for title in titles]
        contents = [self._rotated(item.content, label, None) for item in items]
        once = self._live.knobs.bulk_bumps_once
        return [
            self.store.edit_item(item, content, bump=not once or place == 0)
            for place, (item, content) in enumerate(zip(items, contents, strict=True))
        ]

    def touch(self, vault: str, title: str) -> Item:
        """Save an item without changing it: the version moves, nothing else does."""
        item = self.item(vault, title)
        return self.store.edit_item(item, item.content)

    def archive(self, vault: str, title: str) -> Item:
        """Archive an item."""
        return self.edit(vault, title, state="ARCHIVED")

    def delete(self, vault: str, title: str) -> None:
        """Delete an item for good."""
        self.store.remove_item(self.item(vault, title))

    def attach(self, vault: str, title: str, spec: FileSpec) -> Item:
        """Attach a file in place of the first one of the same name, if any; it gets a new id, as uploads do."""
        item = self.item(vault, title)
        sections = list(item.content.sections)
        scope = ("item", item.vault_id, item.id, str(item.version))
        made = file_of(spec, ids=self._ids, scope=scope, sections=sections, base=None)
        files = list(item.content.files)
        place = next((n for n, file in enumerate(files) if spec.name == file.name), len(files))
        files[place : place + 1] = [made]
        return self.store.edit_item(item, replace(item.content, files=tuple(files), sections=tuple(sections)))

    def detach(self, vault: str, title: str, name: str) -> Item:
        """Remove the first file with this id or name.

        Raises:
            Missing: no such file.
        """
        item = self.item(vault, title)
        files = list(item.content.files)
        file = _file(item, name)
        files.remove(file)
        return self.store.edit_item(item, replace(item.content, files=tuple(files)))

    def _rotated(self, content: Content, label: str, value: str | None) -> Content:
        place = _field_place(content, label)
        made = _revalued(content.fields[place], self._ids.secret() if value is None else value)
        return replace(content, fields=(*content.fields[:place], made, *content.fields[place + 1 :]))

    def _with_field(self, content: Content, spec: FieldSpec, *, item_id: str, sections: list[Section]) -> Content:
        scope = ("item", item_id)
        wanted = section_id(spec.section, sections, ids=self._ids, scope=scope) if spec.section else None
        fields = content.fields
        for place, field in enumerate(fields):
            if spec.id == field.id if spec.id else _named(field, spec.label, wanted):
                given = spec.model_fields_set
                value = date_of_app(spec.value) if (spec.type or field.type) == "DATE" else spec.value
                made = _revalued(field, value) if "value" in given else field
                made = replace(
                    made,
                    type=spec.type or field.type,
                    label=spec.label if spec.id and "label" in given else field.label,
                    section=field.section if wanted is None else wanted,
                )
                return replace(content, fields=(*fields[:place], made, *fields[place + 1 :]))
        more = with_fields(content.category, fields, [spec], ids=self._ids, scope=scope, sections=sections)
        return replace(content, fields=more)


def _named(field: Field, label: str, section: str | None) -> bool:
    return label in {field.label, field.id} and (section is None or section == field.section)


def _field_place(content: Content, name: str) -> int:
    for wanted in ("id", "label"):
        for place, field in enumerate(content.fields):
            if getattr(field, wanted) == name:
                return place
    raise Missing(f"no field {name!r} in item {content.title!r}")


def _file(item: Item, name: str) -> File:
    for wanted in ("id", "name"):
        for file in item.content.files:
            if getattr(file, wanted) == name:
                return file
    raise Missing(f"no file {name!r} in item {item.content.title!r}")


def _revalued(field: Field, value: str) -> Field:
    history = field.history
    if field.purpose == "PASSWORD" and field.value and field.value != value:
        history = (field.value, *history)
    return replace(field, value=value, history=history, generated=False)
