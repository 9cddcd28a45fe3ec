"""Connect behind the seam of `core.vault`."""

import asyncio

import httpx
import pytest
from connect_fakes import (
    FILE,
    ITEM,
    OTHER,
    VAULT,
    Bench,
    alive,
    answer,
    fault,
    item_json,
    page,
    summary_json,
    vault_json,
)

from keyturn.core import vault
from keyturn.core.vault import FieldKind, Scope, Url
from keyturn.providers.connect import (
    BadAddress,
    BadAnswer,
    BadCertificates,
    BadRequest,
    BadToken,
    ConfigError,
    ConnectError,
    ConnectVaults,
    ContentTooLarge,
    HostRefused,
    Interrupted,
    Misshapen,
    Missing,
    NotPermitted,
    Oversized,
    Redirected,
    Rejected,
    ServerFailed,
    SyncPending,
    Throttled,
    TimedOut,
    TokenRefused,
    Unreachable,
    UntrustedServer,
    WriteConflict,
)
from keyturn.providers.connect.translating import as_vault_error

SCOPE = Scope(VAULT, "Prod", 7, 5000)


def seam(*steps, **settings):
    bench = Bench(*steps, **settings)
    return bench, ConnectVaults(bench.client)


async def test_a_refresh_is_exactly_one_heartbeat():
    """Whether it succeeds or fails."""
    bench, vaults = seam(alive(), httpx.ConnectError("refused"))

    await vaults.refresh()
    with pytest.raises(vault.VaultUnavailable):
        await vaults.refresh()

    assert bench.script.targets == ["/heartbeat"] * 2


async def test_an_idle_poll_costs_two_requests():
    """Whatever the number of items."""
    bench, vaults = seam(alive(), answer([vault_json(createdAt="2024-01-02T03:04:05Z"), vault_json(id=OTHER)]))

    await vaults.refresh()
    first, _ = await vaults.scopes()

    assert bench.script.targets == ["/heartbeat", "/v1/vaults"]
    assert (first.id, first.title, first.version, first.size) == (VAULT, "Prod", 7, 2)
    assert first.created_at.year == 2024


async def test_a_scope_is_listed_with_one_request():
    """Without a filter; archived and deleted items, should it have any, say so."""
    gone = [summary_json(id=OTHER, state="ARCHIVED"), summary_json(id="d" * 26, state="DELETED")]
    bench, vaults = seam(answer([summary_json(tags=["a"], urls=[{"href": "https://x", "primary": True}, {}]), *gone]))

    found = await vaults.items(SCOPE, wanted=None)

    assert bench.script.targets == [f"/v1/vaults/{VAULT}/items"]
    assert [(ref.id, ref.state) for ref in found] == [(ITEM, ""), (OTHER, "archived"), ("d" * 26, "deleted")]
    assert (found[0].scope, found[0].title, found[0].revision, found[0].category) == (VAULT, "Database", "3", "LOGIN")
    assert (found[0].tags, found[0].urls) == (("a",), (Url("https://x", primary=True),))


async def test_no_wanted_items_cost_no_request():
    """No object uses an item of the scope."""
    bench, vaults = seam(answer([]))

    assert list(await vaults.items(SCOPE, wanted=[])) == []
    assert bench.sent == 0


async def test_wanted_titles_are_found_with_a_filter():
    """All matches are returned: the caller decides which of them counts."""
    bench, vaults = seam(answer([summary_json(title="db"), summary_json(id=OTHER, title="DB")]))

    found = await vaults.items(SCOPE, wanted=["DB", "DB"])

    assert [ref.id for ref in found] == [ITEM, OTHER]
    assert bench.script.targets == [f"/v1/vaults/{VAULT}/items?filter=title%20eq%20%22DB%22"]


async def test_a_wanted_title_with_accents_is_asked_for_in_both_spellings():
    """A filter compares characters, and nobody can see which of them a title has."""
    bench, vaults = seam(answer([]), answer([summary_json(title="cafe\u0301")]))

    found = await vaults.items(SCOPE, wanted=["caf\u00e9"])

    assert [ref.id for ref in found] == [ITEM]
    assert [target.partition("%22")[2] for target in bench.script.targets] == ["caf%C3%A9%22", "cafe%CC%81%22"]


async def test_wanted_ids_are_read_one_by_one():
    """An id needs no filter, and the reference holds no value."""
    bench, vaults = seam(answer(item_json()))

    found = await vaults.items(SCOPE, wanted=[ITEM])

    assert bench.script.targets == [f"/v1/vaults/{VAULT}/items/{ITEM}"]
    assert [ref.id for ref in found] == [ITEM]
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    "reply",
    [fault(404, "item not found"), fault(400, "Invalid Item UUID"), answer(item_json(state="ARCHIVED"))],
    ids=["404", "400", "archived"],
)
async def test_a_title_that_looks_like_an_id_is_found(reply):
    """A title may have the form of an id: the filter follows the failed look-up."""
    bench, vaults = seam(reply, answer([summary_json(id=OTHER, title=ITEM)]))

    found = await vaults.items(SCOPE, wanted=[ITEM])

    assert [ref.id for ref in found if not ref.state] == [OTHER]
    assert bench.script.targets[1].endswith(f"?filter=title%20eq%20%22{ITEM}%22")


async def test_a_failed_look_up_by_id_is_not_repeated_as_a_title():
    """Only 400 and 404 mean that no item has this id."""
    bench, vaults = seam(fault(403, "token does not have access"))

    with pytest.raises(vault.AccessDenied):
        await vaults.items(SCOPE, wanted=[ITEM])
    assert all(target.endswith(ITEM) for target in bench.script.targets)


async def test_a_title_with_quotes_is_found_in_the_list():
    """A filter cannot hold it; then one list serves all wanted items."""
    bench, vaults = seam(answer([summary_json(title='a "b"')]))

    found = await vaults.items(SCOPE, wanted=['a "b"', "other"])

    assert bench.script.targets == [f"/v1/vaults/{VAULT}/items"]
    assert len(found) == 1


async def test_a_filter_that_the_server_refuses_is_followed_by_a_list():
    """Old servers answer 400 to some texts; the list always works."""
    bench, vaults = seam(fault(400, "invalid filter"), answer([summary_json(title="'")]))

    found = await vaults.items(SCOPE, wanted=["'"])

    assert [ref.title for ref in found] == ["'"]
    assert bench.sent == 2


async def test_few_single_requests_are_under_way_at_once():
    """Other callers need the server too."""
    under_way, most = 0, 0

    async def slow(_request):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(3):
            await asyncio.sleep(0)
        under_way -= 1
        return answer([])

    _, vaults = seam(slow)
    await vaults.items(SCOPE, wanted=[f"title {n}" for n in range(40)])

    assert most == 4


async def test_an_item_comes_with_its_fields_in_order_and_its_files_after_them():
    """Labels and sections as people see them; files with name and size, without bytes."""
    body = item_json(
        sections=[{"id": "s1", "label": "Admin"}, {"id": "s2"}, {}],
        fields=[
            {"id": "username", "label": "username", "value": "u", "type": "STRING"},
            {"id": "x", "label": "", "type": "CONCEALED", "value": "canary", "section": {"id": "s1"}},
            {"id": "y", "label": "y", "section": {"id": "s2", "label": ""}},
            {"id": "z", "label": "z", "section": {}, "value": ""},
            {"id": "r", "label": "related", "type": "REFERENCE", "value": OTHER},
            {"id": "f", "label": "cert", "type": "FILE", "value": "x"},
        ],
        files=[
            {"id": FILE, "name": "tls.crt", "size": 3, "content_path": "https://evil/", "section": {"id": "s1"}},
            {"id": "g" * 26, "name": "tls.crt"},
        ],
    )
    _, vaults = seam(answer(body))

    item = await vaults.item(VAULT, ITEM)

    assert [(f.id, f.label, f.kind, f.value, f.section, f.size) for f in item.fields] == [
        ("username", "username", FieldKind.TEXT, "u", None, None),
        ("x", "", FieldKind.TEXT, "canary", "Admin", None),
        ("y", "y", FieldKind.TEXT, None, None, None),
        ("z", "z", FieldKind.TEXT, "", None, None),
        ("r", "related", FieldKind.REFERENCE, OTHER, None, None),
        ("f", "cert", FieldKind.REFERENCE, "x", None, None),
        (FILE, "tls.crt", FieldKind.FILE, None, "Admin", 3),
        ("g" * 26, "tls.crt", FieldKind.FILE, None, None, None),
    ]
    assert item.ref.revision == "3"
    assert "canary" not in f"{item!r} {item.fields!r}"


async def test_a_file_is_read_by_ids_under_the_limit():
    """The server's own path for the content is not followed."""
    body = item_json(files=[{"id": FILE, "name": "a", "size": 3, "content_path": "https://evil/"}])
    bench, vaults = seam(answer(body), httpx.Response(200, content=b"abc"))
    item = await vaults.item(VAULT, ITEM)

    assert await vaults.file(item.ref, item.fields[-1], limit=3) == b"abc"
    assert bench.script.targets[-1] == f"/v1/vaults/{VAULT}/items/{ITEM}/files/{FILE}/content"
    with pytest.raises(vault.FileTooLarge, match=f"file {FILE} of item {ITEM}"):
        await vaults.file(item.ref, item.fields[-1], limit=2)


@pytest.mark.parametrize("state", ["ARCHIVED", "DELETED", "NEW_STATE"])
async def test_an_item_that_is_not_active_is_not_found(state):
    """An absent state means active."""
    _, vaults = seam(answer(item_json(state=state)))

    with pytest.raises(vault.NotInVault, match=state.lower()):
        await vaults.item(VAULT, ITEM)


async def test_revisions_without_a_version():
    """The time of the last change takes its place; without that, no two revisions are equal."""
    dated = summary_json(version=None, updatedAt="2024-01-02T03:04:05.5Z")
    bare = summary_json(version=None, id=OTHER)
    _, vaults = seam(answer([dated, bare]))

    first, second = [await vaults.items(SCOPE, wanted=None) for _ in range(2)]

    assert first[0].revision == second[0].revision == "2024-01-02T03:04:05.500000+00:00"
    assert first[1].revision != second[1].revision


def status(kind, code, server_message=""):
    return kind("x", status=code, server_message=server_message)


TRANSLATIONS = [
    (status(TokenRefused, 401), vault.CredentialRefused),
    (BadToken("x"), vault.CredentialInvalid),
    (HostRefused("x"), vault.HostNotAllowed),
    (status(NotPermitted, 403), vault.AccessDenied),
    (status(Missing, 404), vault.NotInVault),
    (status(BadRequest, 400, "Invalid Item UUID"), vault.NotInVault),
    (ContentTooLarge("x"), vault.FileTooLarge),
    (Throttled("x", retry_after=3.0), vault.RateLimited),
    (status(BadRequest, 400), vault.VaultUnavailable),
    (status(Redirected, 302), vault.VaultUnavailable),
    (status(SyncPending, 408), vault.VaultUnavailable),
    (status(WriteConflict, 409), vault.VaultUnavailable),
    (status(Rejected, 451), vault.VaultUnavailable),
    (status(ServerFailed, 500), vault.VaultUnavailable),
    (Unreachable("x"), vault.VaultUnavailable),
    (UntrustedServer("x"), vault.VaultUnavailable),
    (TimedOut("x", phase="read"), vault.VaultUnavailable),
    (Interrupted("x"), vault.VaultUnavailable),
    (BadAnswer("x"), vault.VaultUnavailable),
    (Misshapen("x"), vault.VaultUnavailable),
    (Oversized("x"), vault.VaultUnavailable),
    (ConfigError("x"), vault.VaultUnavailable),
    (BadAddress("x"), vault.VaultUnavailable),
    (BadCertificates("x"), vault.VaultUnavailable),
]


@pytest.mark.parametrize(
    ("error", "kind"), TRANSLATIONS, ids=lambda value: getattr(value, "__name__", None) or type(value).__name__
)
def test_every_error_has_its_class_at_the_seam(error, kind):
    """Only an answer about the thing itself says something about the thing; any other is VaultUnavailable."""
    found = as_vault_error(error, "item i", server="Connect at http://c:8080")

    assert type(found) is kind
    # What may be the server's fault says where the server is.
    about_server = kind in {
        vault.CredentialRefused,
        vault.CredentialInvalid,
        vault.HostNotAllowed,
        vault.RateLimited,
        vault.VaultUnavailable,
    }
    assert str(found) == ("Connect at http://c:8080: item i: x" if about_server else "item i: x")


async def test_a_token_that_may_not_list_vaults_is_a_failure_of_the_whole_server():
    """It concerns no item, so the reader must know which server and token are meant."""
    bench = Bench(fault(403), host="http://connect.test:8080")

    with pytest.raises(vault.AccessDenied, match=r"^Connect at http://connect\.test:8080: the vaults: "):
        await ConnectVaults(bench.client).scopes()


async def test_a_failure_names_the_server_and_no_path_of_it():
    """Which server is meant is the first question, and a path of its address may be nobody's business."""
    bench = Bench(fault(401), host="https://connect.test:8443/hidden")

    with pytest.raises(vault.CredentialRefused) as caught:
        await ConnectVaults(bench.client).scopes()

    assert str(caught.value).startswith("Connect at https://connect.test:8443: the vaults: GET /v1/vaults: status 401")


async def test_a_failure_behind_a_proxy_names_the_proxy():
    """A proxy that was meant for other servers is seldom thought of."""
    bench = Bench(httpx.ConnectError("no"), host="http://connect.test:8080", proxy="http://proxy.test:3128")

    with pytest.raises(vault.VaultUnavailable) as caught:
        await ConnectVaults(bench.client).refresh()

    assert str(caught.value) == (
        "Connect at http://connect.test:8080 through the proxy http://proxy.test:3128: "
        "GET /heartbeat: no connection to the proxy: refused or broken off"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectTimeout("no"), "no connection to the proxy in time"),
        (httpx.ProxyError("502 Bad canary"), r"the proxy refuses the connection \(status 502\)$"),
        (httpx.ProxyError("canary"), "the proxy refuses the connection$"),
    ],
)
async def test_what_a_proxy_does_is_called_the_proxys(error, words):
    """And its own words are left out."""
    bench = Bench(error, proxy="http://proxy.test:3128")

    with pytest.raises(vault.VaultUnavailable, match=words) as caught:
        await ConnectVaults(bench.client).refresh()
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Misshapen("x"), vault.ItemUnreadable),
        (Oversized("x"), vault.ItemUnreadable),
        (BadAnswer("x"), vault.VaultUnavailable),
        (status(ServerFailed, 500), vault.VaultUnavailable),
        (ContentTooLarge("x"), vault.FileTooLarge),
    ],
    ids=lambda value: getattr(value, "__name__", None) or type(value).__name__,
)
def test_an_answer_that_is_no_item_is_the_items_own_trouble(error, kind):
    """Connect is well, so nobody must be sent there; a page of a proxy says nothing of the item."""
    assert type(as_vault_error(error, "item i", server="Connect at http://c", of_one_item=True)) is kind


async def test_an_item_with_a_number_for_a_value_is_unreadable():
    """Whatever wrote it, only a change of this item ends that; a list of vaults of another shape is Connect's."""
    _, vaults = seam(answer(item_json(fields=[{"id": "f", "label": "port", "value": 5432}])), answer({"vaults": []}))

    with pytest.raises(vault.ItemUnreadable, match=r"fields\.0\.value has the wrong shape") as caught:
        await vaults.item(VAULT, ITEM)
    assert "5432" not in str(caught.value)
    with pytest.raises(vault.VaultUnavailable):
        await vaults.scopes()


def test_no_error_class_is_forgotten():
    """The table above contains every class that is ever raised: the leaves of the tree."""

    def leaves(kind):
        children = kind.__subclasses__()
        return {kind} if not children else set().union(*map(leaves, children))

    assert leaves(ConnectError) <= {type(error) for error, _ in TRANSLATIONS}


async def test_a_rate_limit_comes_with_its_seconds():
    """The caller waits as long as the server asked."""
    _, vaults = seam(fault(429, **{"retry-after": "50"}))

    with pytest.raises(vault.RateLimited) as caught:
        await vaults.scopes()

    assert caught.value.retry_after == 50


@pytest.mark.parametrize("reply", [fault(404, "not found"), fault(400, "Invalid Vault UUID"), page(404)])
async def test_a_route_that_always_exists_cannot_be_missing(reply):
    """404 for the list of vaults or the heartbeat means that the address leads elsewhere."""
    for ask in ("scopes", "refresh"):
        _, vaults = seam(reply)
        with pytest.raises(vault.VaultUnavailable):
            await getattr(vaults, ask)()


async def test_errors_at_the_seam_stand_alone():
    """They have no chain: nothing behind them can leak."""
    _, vaults = seam(fault(403, "no"))
    for wanted in (None, ["a", "b"]):
        with pytest.raises(vault.AccessDenied) as caught:
            await vaults.items(SCOPE, wanted=wanted)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None


async def test_closing_ends_the_client():
    """A later call fails with an error that says so."""
    _, vaults = seam(alive())
    await vaults.close()

    with pytest.raises(vault.VaultUnavailable, match="closed"):
        await vaults.refresh()


def test_the_provider_is_a_vaults():
    """The type checker compares the signatures."""
    vaults: vault.Vaults = ConnectVaults(Bench(alive()).client)

    assert callable(vaults.refresh)
