"""Files are fetched from where the server says, if that is a place that may be asked, and opened whole or not at all."""

import pytest

from keyturn.core.vault import FileTooLarge, ItemUnreadable, NotInVault, RateLimited, VaultUnavailable
from support.bitwarden_server import Answer
from support.bitwarden_server.bench import Bench

CONTENT = bytes(range(256)) * 5


@pytest.fixture
def bench():
    return Bench()


async def with_file(bench, content=CONTENT, **options):
    item = bench.account.add("db")
    bench.account.attach(item, "file", content, **options)
    found = await bench.item(item)
    bench.server.seen.clear()
    return found.ref, found.fields[-1]


@pytest.mark.parametrize("content", [CONTENT, b"", b"x"], ids=len)
@pytest.mark.parametrize("own_key", [True, False])
async def test_a_file_is_fetched_and_opened(bench, content, own_key):
    """Also one of old clients, which gave it no key of its own; two requests, and no token to where the bytes are."""
    ref, field = await with_file(bench, content, own_key=own_key)

    assert await bench.vaults.file(ref, field, limit=2000) == content
    described, fetched = bench.server.seen
    assert described.path == f"/api/ciphers/{ref.id}/attachment/{field.id}"
    assert fetched.path.startswith(f"/attachments/{ref.id}/{field.id}?token=")
    assert "authorization" in described.headers
    assert "authorization" not in fetched.headers


async def test_a_size_is_never_more_than_the_content_has(bench):
    """The server knows only that of the sealed file; nothing may be refused or skipped because of the difference."""
    for length in (0, 1, 15, 16, 100):
        _, field = await with_file(bench, bytes(length))
        assert 1 <= field.size <= max(1, length)


@pytest.mark.parametrize("size", [None, "many", "-1", "1" * 30, [], "²"])
async def test_a_size_that_is_none_is_no_size(bench, size):
    """It is fetched all the same."""
    item = bench.account.add("db", files={"file": b"x"})
    [file] = bench.account.items[item]["attachments"]
    bench.account.change(item, attachments=[{**file, "size": size}])
    found = await bench.item(item)

    assert found.fields[-1].size is None
    assert await bench.vaults.file(found.ref, found.fields[-1], limit=10) == b"x"


@pytest.mark.parametrize("limit", [len(CONTENT) - 1, 1000, 10, 0])
async def test_a_file_beyond_the_limit_is_too_large(bench, limit):
    """No more is downloaded than can be used, and nothing if the server says beforehand how much it is."""
    ref, field = await with_file(bench)

    with pytest.raises(FileTooLarge):
        await bench.vaults.file(ref, field, limit=limit)


async def test_a_file_of_just_the_limit_is_not_too_large(bench):
    """The padding does not count."""
    ref, field = await with_file(bench)

    assert await bench.vaults.file(ref, field, limit=len(CONTENT)) == CONTENT


@pytest.mark.parametrize(
    "change", [lambda body: body[:-16], lambda body: body[:-1], lambda _: b"", lambda _: b"canary"]
)
async def test_a_changed_file_is_unreadable(bench, change):
    """The item is to blame, not the connection."""
    ref, field = await with_file(bench)
    bench.server.fail("/attachments", lambda answer: Answer(body=change(answer.body)))

    with pytest.raises(ItemUnreadable, match=f"file {field.id} of item {ref.id}") as error:
        await bench.vaults.file(ref, field, limit=2000)

    assert "canary" not in str(error.value)


async def test_a_file_that_the_item_does_not_have_is_not_asked_for(bench):
    """Ids in an address are those of the item."""
    ref, field = await with_file(bench)
    other = type(field)(id="../../x", label="file")

    with pytest.raises(NotInVault, match="does not exist"):
        await bench.vaults.file(ref, other, limit=2000)
    assert bench.server.lines == []


@pytest.mark.parametrize(
    ("url", "listed", "reached"),
    [
        ("https://vault.test/attachments/{item}/{file}", "", True),
        ("https://store.example.com/attachments/{item}/{file}", "", False),
        ("https://store.example.com/attachments/{item}/{file}", "store.example.com", True),
        ("http://store.example.com/attachments/{item}/{file}", "store.example.com", True),
        ("https://vault.test:8443/attachments/{item}/{file}", "", False),
        ("http://vault.test/attachments/{item}/{file}", "", False),
        ("https://vault.test.evil.example/attachments/{item}/{file}", "", False),
        ("https://vault.test@evil.example/attachments/{item}/{file}", "", False),
        ("https://x.blob.core.windows.net/attachments/{item}/{file}", "", False),
        ("file:///attachments/{file}", "", False),
        ("/attachments/{item}/{file}", "", False),
        ("https://[::/attachments", "", False),
        ("https://vault.test:99999/attachments/{item}/{file}", "", False),
    ],
)
async def test_only_addresses_of_the_server_itself_and_listed_ones_are_asked(url, listed, reached):
    """The server could otherwise make us ask any other."""
    bench = Bench(listed=listed)
    ref, field = await with_file(bench)
    bench.server.file_url = url.format(item=ref.id, file=field.id)

    if reached:
        assert await bench.vaults.file(ref, field, limit=2000) == CONTENT
        return
    with pytest.raises(ItemUnreadable, match="KEYTURN_ALLOWED_HOSTS"):
        await bench.vaults.file(ref, field, limit=2000)
    assert len(bench.server.seen) == 1


@pytest.mark.parametrize(
    ("route", "answer", "error"),
    [
        ("/api/ciphers", Answer(404), NotInVault),
        ("/api/ciphers", Answer(500), VaultUnavailable),
        ("/api/ciphers", Answer(429, headers={"retry-after": "7"}), RateLimited),
        ("/api/ciphers", Answer(body=b"{}"), VaultUnavailable),
        ("/attachments", Answer(401), VaultUnavailable),
        ("/attachments", Answer(403), VaultUnavailable),
        ("/attachments", Answer(404), NotInVault),
        ("/attachments", Answer(302, headers={"location": "https://169.254.169.254/"}), VaultUnavailable),
        ("/attachments", Answer(429), RateLimited),
        ("/attachments", Answer(body=bytes(100), cut=50), VaultUnavailable),
    ],
)
async def test_a_failure_of_a_file_says_what_it_means(bench, route, answer, error):
    """A refusal by the place where the bytes are says nothing about the credential."""
    ref, field = await with_file(bench)
    bench.server.fail(route, answer)

    with pytest.raises(error) as raised:
        await bench.vaults.file(ref, field, limit=2000)

    assert type(raised.value) is error
    assert raised.value.__context__ is None
    assert not any("169.254" in seen.path for seen in bench.server.seen)
