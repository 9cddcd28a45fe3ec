"""C66, C67: PATCH, over HTTP and as the pure rule."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_emulator.errors import ApiError
from connect_emulator.http import patch


async def patched(rig, *operations, title="login", status=200):
    response = await rig("PATCH", rig.item_path(title), json=list(operations))
    assert response.status_code == status, response.text
    return response


def op(name, path, *value):
    return {"op": name, "path": path, **({"value": value[0]} if value else {})}


async def test_c66_replace_the_whole_item(rig):
    """C66: `/` replaced is a PUT."""
    body = {**(await rig.item("login")), "tags": ["whole"]}
    await patched(rig, op("replace", "/", body))
    assert (await rig.item("login"))["tags"] == ["whole"]


@pytest.mark.parametrize(
    ("operations", "member", "expected"),
    [
        ([op("replace", "/title", "login")], "title", "login"),
        ([op("add", "/favorite", True)], "favorite", True),
        ([op("add", "/favorite", True), op("remove", "/favorite")], "favorite", None),
        ([op("add", "/tags", ["a", "b", "c"])], "tags", ["a", "b", "c"]),
        ([op("add", "/tags", ["a", "b", "c"]), op("remove", "/tags/1")], "tags", ["a", "c"]),
        ([op("add", "/tags", ["a", "b"]), op("replace", "/tags/0", "z")], "tags", ["z", "b"]),
        ([op("add", "/tags", ["a", "b"]), op("add", "/tags/1", "m"), op("add", "/tags/-", "end")], "tags", ["a", "m", "b", "end"]),
        ([op("add", "/tags", ["a"]), op("remove", "/tags")], "tags", None),
        ([op("replace", "/urls", [{"href": "https://x"}])], "urls", [{"href": "https://x"}]),
        ([op("add", "/urls", [{"href": "a"}]), op("replace", "/urls/0/href", "b")], "urls", [{"href": "b"}]),
        ([op("remove", "/favorite")], "favorite", None),
    ],
)  # fmt: skip
async def test_c66_attributes(rig, operations, member, expected):
    """C66: attributes are added, replaced and removed, entries of lists by index."""
    answered = (await patched(rig, *operations)).json()
    read = await rig.item("login")
    assert answered.get(member) == read.get(member) == expected
    assert (answered["version"], read["version"]) == (1, 2)


async def test_c66_add_a_field(rig):
    """C66: a field is appended and given an id; the lower-case type of the official example is taken."""
    section = (await rig.item("login"))["sections"][0]["id"]
    await patched(
        rig, op("add", "/fields", {"label": "New", "type": "string", "value": "x", "section": {"id": section}})
    )
    field = (await rig.item("login"))["fields"][-1]
    assert (field["label"], field["type"], field["value"], len(field["id"])) == ("New", "STRING", "x", 26)


async def test_c66_replace_and_remove_a_field(rig):
    """C66: a field is named by its id; replaced it keeps the id, removed it is gone."""
    field = (await rig.fields("login"))["api key"]["id"]
    await patched(rig, op("replace", f"/fields/{field}", {"label": "other", "value": "y"}))
    assert (await rig.fields("login"))["other"]["id"] == field
    await patched(rig, op("remove", f"/fields/{field}"))
    assert "other" not in await rig.fields("login")


async def test_c66_field_attributes(rig):
    """C66: a field's attributes are added, replaced and removed; a value that is removed can be added again."""
    field = (await rig.fields("login"))["api key"]["id"]
    await patched(
        rig, op("replace", f"/fields/{field}/label", "renamed"), op("replace", "/fields/password/value", "new")
    )
    assert (await rig.fields("login"))["password"]["value"] == "new"
    await patched(rig, op("remove", f"/fields/{field}/value"))
    assert "value" not in (await rig.fields("login"))["renamed"]
    await patched(rig, op("add", f"/fields/{field}/value", "back"))
    assert (await rig.fields("login"))["renamed"]["value"] == "back"


async def test_c66_a_removed_built_in_field_stays_without_value(rig):
    """C66: a login cannot lose its password field, only the value."""
    await patched(rig, op("remove", "/fields/password"))
    assert "value" not in (await rig.fields("login"))["password"]


async def test_c66_an_empty_array_is_a_no_op(rig):
    """C66: no operations answer 200 with the item and move no version."""
    before = await rig.item("login")
    assert (await patched(rig)).json() == before
    assert await rig.item("login") == before


async def test_c66_patch_leaves_the_rest_alone(rig):
    """C66: fields, files, sections and values that no operation names stay byte for byte."""
    before = await rig.item()
    await patched(rig, op("replace", "/title", "database"), title="database")
    after = await rig.item()
    assert after == {**before, "version": 2, "updatedAt": after["updatedAt"]}


async def test_c66_what_cannot_be_created_can_be_patched(launch):
    """C66: a document, or an item with unknown types, accepts a PATCH of another part."""
    items = [
        {"title": "doc", "category": "DOCUMENT", "files": [{"name": "a", "content": "x"}]},
        {"title": "odd", "category": "CUSTOM", "fields": [{"id": "f", "label": "x", "type": "HOLOGRAM", "value": "y"}]},
    ]
    rig = await launch(
        {"vaults": [{"name": "Production", "items": items}], "tokens": [{"name": "all", "vaults": {"*": "rw"}}]}
    )
    for title in ("doc", "odd"):
        before = await rig.item(title)
        await patched(rig, op("add", "/tags", ["t"]), title=title)
        after = await rig.item(title)
        assert after == {**before, "tags": ["t"], "version": 2, "updatedAt": after["updatedAt"]}


BAD = [
    {"op": "add", "path": "/tags", "value": ["x"]},
    "text",
    None,
    [1],
    [{}],
    [op("add", "/tags")],
    [op("test", "/title", "login")],
    [op("move", "/title", "x")],
    [op("copy", "/title", "x")],
    [op("ADD", "/tags", [])],
    [{"path": "/tags", "value": []}],
    [op("add", "tags", ["x"])],
    [op("add", "", ["x"])],
    [{"op": "add", "path": 5, "value": 1}],
    [op("add", "/nonsense", 1)],
    [op("replace", "/category", "PASSWORD")],
    [op("replace", "/id", "x")],
    [op("replace", "/version", 9)],
    [op("replace", "/vault/id", "x")],
    [op("remove", "/")],
    [op("replace", "/", [])],
    [op("replace", "/fields/unknown/value", "x")],
    [op("remove", "/fields/unknown")],
    [op("add", "/fields/password", {"value": "x"})],
    [op("replace", "/fields/password", "x")],
    [op("replace", "/fields/0/value", "x")],
    [op("replace", "/fields/password/value", 5)],
    [op("replace", "/fields/password/value/deeper", "x")],
    [op("add", "/fields", "x")],
    [op("add", "/fields", {"label": "x", "type": "TOTP"})],
    [op("add", "/fields", {"purpose": "PASSWORD", "value": "x"})],
    [op("remove", "/tags/0")],
    [op("add", "/tags/5", "x")],
    [op("add", "/tags/01", "x")],
    [op("replace", "/tags/-", "x")],
    [op("replace", "/tags", "x")],
    [op("replace", "/urls/0/href", "x")],
    [op("replace", "/title", ["x"])],
]


@pytest.mark.parametrize("body", BAD, ids=lambda body: str(body)[:60])
async def test_c67_bad_patches_change_nothing(rig, body):
    """C67: a bare object, unknown operations, paths and ids are 400, and good operations before them are not kept."""
    before = await rig.item("login")
    operations = [op("add", "/favorite", True), *body] if isinstance(body, list) else body
    response = await rig("PATCH", rig.item_path("login"), json=operations)
    assert (response.status_code, response.json()["status"]) == (400, 400)
    assert await rig.item("login") == before


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("/", []),
        ("/a", ["a"]),
        ("/a/b", ["a", "b"]),
        ("/a~1b", ["a/b"]),
        ("/m~0n", ["m~n"]),
        ("/~01", ["~1"]),
        ("/a/", ["a", ""]),
    ],
)
def test_pointers(path, segments):
    """RFC 6901: `~1` is a slash, `~0` a tilde, in this order; the slash alone is the whole item here."""
    assert patch.pointer(path) == segments


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PATHS = st.one_of(
    st.sampled_from(
        [
            "/",
            "/title",
            "/tags",
            "/tags/0",
            "/tags/-",
            "/urls/0/href",
            "/fields",
            "/fields/f",
            "/fields/f/value",
            "/fields/f/section/id",
            "/sections/0",
        ]
    ),
    st.text("/~01atgsfield-", max_size=12),
)
OPERATIONS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"op": st.sampled_from(["add", "remove", "replace"]), "path": PATHS, "value": JSON}),
        st.fixed_dictionaries({"op": st.text(max_size=5), "path": PATHS}),
        JSON,
    ),
    max_size=4,
)
DOCUMENT: dict[str, Any] = {
    "title": "t",
    "tags": ["a"],
    "urls": [{"href": "h"}],
    "sections": [{"id": "s"}],
    "fields": [{"id": "f", "value": "v"}],
}


@given(operations=OPERATIONS)
def test_any_patch_applies_or_is_refused(operations):
    """Whatever the operations, the result is a document or a 400, and the original is as it was."""
    before = copy.deepcopy(DOCUMENT)
    status = 200
    try:
        assert isinstance(patch.apply(before, operations), dict)
    except ApiError as error:
        status = error.status
    assert status in {200, 400}
    assert before == DOCUMENT


@given(attribute=st.sampled_from(sorted(patch.ATTRIBUTES - {"fields"})), value=JSON)
def test_a_replaced_attribute_reads_back(attribute, value):
    """An attribute that was added or replaced has exactly the value given; removed it is gone."""
    for name in ("add", "replace"):
        assert patch.apply(DOCUMENT, [op(name, f"/{attribute}", value)])[attribute] == value
    assert attribute not in patch.apply(DOCUMENT, [op("remove", f"/{attribute}")])


@given(field_id=st.text(min_size=1, max_size=8), value=st.text(max_size=8))
def test_any_field_id_can_be_named(field_id, value):
    """A field of any id is reached by its escaped pointer."""
    document = {"fields": [{"id": field_id, "value": "old"}]}
    escaped = field_id.replace("~", "~0").replace("/", "~1")
    result = patch.apply(document, [op("replace", f"/fields/{escaped}/value", value)])
    assert result["fields"] == [{"id": field_id, "value": value}]
