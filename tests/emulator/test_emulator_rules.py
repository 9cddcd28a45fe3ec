"""The pure parts as tables and properties: filters, one-time passwords, routes, tokens, versions."""

import base64
import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from connect_emulator.account import otp, passwords
from connect_emulator.account.ids import Ids
from connect_emulator.account.model import Content, Vault
from connect_emulator.account.replica import Replica
from connect_emulator.account.store import Store
from connect_emulator.account.tokens import Authority
from connect_emulator.account.values import encodable
from connect_emulator.clock import Clock
from connect_emulator.errors import ApiError
from connect_emulator.http import filters, routes
from connect_emulator.http.filters import Filter
from connect_emulator.http.wire import Wire
from connect_emulator.knobs import Knobs, Live

ATTRIBUTES = frozenset({"title", "tag", "name"})


@given(attribute=st.sampled_from(sorted(ATTRIBUTES)), operator=st.sampled_from(["eq", "co"]), value=st.text())
def test_filters_round_trip(attribute, operator, value):
    """A filter written out reads back the same, whatever its value."""
    wanted = Filter(attribute, operator, value)
    assert filters.parse(filters.render(wanted), attributes=ATTRIBUTES) == wanted


@given(text=st.text())
def test_any_filter_is_read_or_refused(text):
    """Whatever the text, it is a filter or a 400."""
    status = 200
    try:
        filters.parse(text, attributes=ATTRIBUTES)
    except ApiError as error:
        status = error.status
    assert status in {200, 400}


@given(value=st.text(), part=st.text())
def test_filters_without_case(value, part):
    """Without case, a text matches itself in any case, and contains its parts."""
    assert Filter("title", "eq", value).accepts(value, case=True)
    assert Filter("title", "eq", value.upper().lower()).accepts(value.upper().lower().casefold(), case=False)
    assert Filter("title", "co", part).accepts(value + part + value, case=True)


RFC = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
]


@pytest.mark.parametrize(("at", "code"), RFC)
def test_codes_of_rfc_6238(at, code):
    """The codes are those of the standard's own table."""
    secret = base64.b32encode(b"12345678901234567890").decode()
    assert otp.code(f"otpauth://totp/x?secret={secret}&digits=8", at) == code
    assert otp.code(f"otpauth://totp/x?secret={secret}", at) == code[2:]
    assert otp.code(f" {secret[:16].lower()}-{secret[16:]} ", at) == code[2:]


@pytest.mark.parametrize(
    "address",
    ["", "otpauth://totp/x", "otpauth://totp/x?secret=0189", "otpauth://totp/x?secret=MFRGG&digits=x", "otpauth://totp/x?secret=MFRGG&period=0",
     "otpauth://totp/x?secret=MFRGG&algorithm=MD5", "not a secret!"],
)  # fmt: skip
def test_no_code_without_a_secret(address):
    """An address that makes no sense has no code, and is no error."""
    assert otp.code(address, 59) == ""


@pytest.mark.parametrize(
    ("value", "bits", "word"),
    [("", 0, "TERRIBLE"), ("a", 5.7, "TERRIBLE"), ("a1!" * 20, 380, "FANTASTIC"), ("ä", 6.6, "TERRIBLE")],
)
def test_strength_is_plausible(value, bits, word):
    """Longer passwords of more kinds of characters are stronger."""
    assert passwords.entropy(value) == pytest.approx(bits, rel=0.05)
    assert passwords.strength(passwords.entropy(value)) == word


@pytest.mark.parametrize(
    ("path", "template", "ids"),
    [
        ("/v1/vaults", "/v1/vaults", ("", "", "")),
        ("/v1/vaults/", "/v1/vaults", ("", "", "")),
        ("/v1/vaults/a%20b", "/v1/vaults/{vault}", ("a b", "", "")),
        (
            "/v1/vaults/v/items/i/files/f/content/",
            "/v1/vaults/{vault}/items/{item}/files/{file}/content",
            ("v", "i", "f"),
        ),
        ("/v1/vaults/a%2Fb/items", "/v1/vaults/{vault}/items", ("a/b", "", "")),
        ("/v1/vaults/{vault}", "/v1/vaults/{vault}", ("{vault}", "", "")),
        ("/v1/vaults//", "unknown", ("", "", "")),
        ("//v1/vaults", "unknown", ("", "", "")),
        ("/health/", "/health", ("", "", "")),
        ("", "unknown", ("", "", "")),
        ("*", "unknown", ("", "", "")),
    ],
)
def test_routes(path, template, ids):
    """A path means one route, with its ids decoded once."""
    found = routes.find(path)
    assert (found.template, (found.vault, found.item, found.file)) == (template, ids)


@given(path=st.text("/v1aultsiem%20{}.", max_size=40))
def test_any_path_is_some_route(path):
    """Whatever the path, it is a route or unknown."""
    assert routes.find("/" + path).template in {*routes.METHODS, routes.UNKNOWN}


def test_token_claims():
    """A token looks like 1Password's: ES256, a key id, the claims that were seen."""
    clock = Clock.manual(1000)
    authority = Authority(ids=Ids(0), clock=clock)
    token = authority.issue("t", {"v" * 26: "rw"}, expires_at=2000)
    header = jwt.get_unverified_header(token.text)
    claims = jwt.decode(token.text, options={"verify_signature": False})
    assert (header["alg"], header["typ"]) == ("ES256", "JWT")
    assert header["kid"]
    assert (claims["aud"], claims["sub"], claims["jti"]) == (["com.1password.connect"], authority.server_id, token.jti)
    assert (claims["iat"], claims["exp"]) == (1000, 2000)
    assert (claims["1password.com/fts"], claims["1password.com/vts"]) == (["vaultaccess"], [{"u": "v" * 26, "a": 3}])
    assert token.text not in repr(token)


@pytest.mark.parametrize(
    ("grants", "server", "verbs"),
    [({"a": "r"}, None, "r"), ({"*": "rw"}, None, "rw"), ({"*": "r", "a": "w"}, None, "w"), ({"b": "rw"}, None, ""), ({}, None, ""),
     ({"a": "rw"}, {"a": "r"}, "r"), ({"a": "rw"}, {"b": "rw"}, ""), ({"a": "w"}, {"*": "r"}, "")],
)  # fmt: skip
def test_effective_verbs(grants, server, verbs):
    """A vault's own grant beats the wild card, and the server's grants bound both."""
    authority = Authority(ids=Ids(0), clock=Clock.manual(), server_grants=server)
    assert authority.verbs(authority.issue("t", grants), "a") == verbs


def test_a_token_without_its_claims_is_refused():
    """A token that this key signed but for another audience or server, or without id, is refused."""
    authority = Authority(ids=Ids(0), clock=Clock.manual())
    good = jwt.decode(authority.issue("t", {}).text, options={"verify_signature": False})
    for change in ({"aud": ["other"]}, {"sub": "OTHER"}, {"jti": None}, {"jti": "unknown"}):
        claims = {key: value for key, value in {**good, **change}.items() if value is not None}
        text = jwt.encode(claims, authority._key, algorithm="ES256")
        with pytest.raises(ApiError) as refused:
            authority.check(f"Bearer {text}", missing="")
        assert (refused.value.status, refused.value.message) == (401, "Invalid bearer token")


@given(text=st.text(st.characters(exclude_categories=())))
def test_any_json_text_becomes_encodable(text):
    """Texts with lone surrogates become UTF-8; all others stay."""
    clean = encodable(text)
    assert clean.encode("utf-8").decode("utf-8") == clean
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert clean == text


@given(
    data=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
        max_leaves=10,
    )
)
def test_encoding_round_trips(data):
    """Escaped or not, what is encoded decodes to the same."""
    for escape in (True, False):
        encoded = Wire(Live(Knobs(escape_html=escape))).encode(data)
        assert json.loads(encoded) == data
        assert not escape or not set(b"<>&") & set(encoded)


class Versions(RuleBasedStateMachine):
    """Whatever is done to a vault, versions and counters stay right, and a replica ends equal to the account."""

    def __init__(self):
        super().__init__()
        self.clock = Clock.manual()
        self.store = Store(clock=self.clock, seed=0)
        self.live = Live(Knobs(lag_s=3, item_row_lag_s=1, lag_jitter_s=2))
        self.store.add_vault(Vault(id="v", name="v"))
        self.replica = Replica(self.store, number=0, clock=self.clock, live=self.live)
        self.replica.unlock()
        assert self.replica.phase.value == "READY"
        self.ids = Ids(0)
        self.edits = 0
        self.renames = 0
        self.expected = {}

    def pick(self, number):
        items = list(self.store.items["v"].values())
        return items[number % len(items)]

    @rule(archived=st.booleans())
    def add(self, archived):
        item = self.store.add_item("v", self.ids.fresh(), Content(state="ARCHIVED" if archived else ""))
        self.expected[item.id] = 1
        self.edits += 1

    @precondition(lambda self: self.expected)
    @rule(number=st.integers(0, 100), state=st.sampled_from(["", "ARCHIVED"]))
    def edit(self, number, state):
        item = self.pick(number)
        self.store.edit_item(item, Content(title="x", state=state))
        self.expected[item.id] += 1
        self.edits += 1

    @precondition(lambda self: self.expected)
    @rule(number=st.integers(0, 100))
    def remove(self, number):
        item = self.pick(number)
        self.store.remove_item(item)
        del self.expected[item.id]
        self.edits += 1

    @rule()
    def rename(self):
        self.store.edit_vault("v", name=f"v{self.renames}")
        self.renames += 1

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds):
        self.clock.advance(seconds)
        self.replica.items("v")
        self.store.trim(self.replica.position)

    @invariant()
    def versions_are_right(self):
        vault, items = self.store.vaults["v"], self.store.items["v"]
        assert {item.id: item.version for item in items.values()} == self.expected
        assert (vault.content_version, vault.attribute_version) == (1 + self.edits, 1 + self.renames)
        assert vault.items == sum(item.active for item in items.values())

    @invariant()
    def the_replica_never_leads(self):
        for item_id, item in self.replica.items("v").items():
            assert item.version <= self.expected.get(item_id, item.version)
        assert self.replica.vaults()["v"].content_version <= 1 + self.edits

    def teardown(self):
        self.clock.advance(6)
        assert self.replica.items("v") == self.store.items["v"]
        assert self.replica.vaults() == self.store.vaults
        assert list(self.replica.items("v")) == list(self.store.items["v"])


TestVersions = Versions.TestCase
