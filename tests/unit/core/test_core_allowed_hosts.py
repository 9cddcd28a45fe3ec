"""Which servers a tenant may name."""

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.allowed_hosts import AllowedHosts, BadHost, parse_allowed_hosts

NOTHING = AllowedHosts()

PRIVATE_4 = [
    "0.0.0.0",  # noqa: S104 - this machine, for many programs
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.8.8.8",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
]
PUBLIC_4 = ["1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.1", "192.0.1.1", "100.63.255.255", "168.63.129.15"]

PRIVATE_6 = [
    "::",
    "::1",
    "::127.0.0.1",
    "::169.254.169.254",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::10.0.0.1",
    "100::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "5f00::1",
]
PUBLIC_6 = ["2606:4700:4700::1111", "2a00:1450:4001:80e::200e", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8", "2002:808:808::1"]


@pytest.mark.parametrize("address", [*PRIVATE_4, *PRIVATE_6])
def test_an_address_that_is_not_of_the_internet_is_refused(address):
    """A tenant must not reach through the operator what only the cluster, the node or the cloud can reach."""
    refusal = NOTHING.refuses_address("vault.example.com", 443, address)

    assert refusal is not None
    assert "vault.example.com:443" in refusal
    assert "KEYTURN_ALLOWED_HOSTS" in refusal
    # Where a name leads inside of the cluster is nothing that a tenant must learn from a status.
    assert address not in refusal


@pytest.mark.parametrize("address", [*PUBLIC_4, *PUBLIC_6])
def test_an_address_of_the_internet_is_allowed(address):
    """Vaults in the cloud need no list."""
    assert NOTHING.refuses_address("vault.example.com", 443, address) is None


@pytest.mark.parametrize("address", [*PRIVATE_4, *PRIVATE_6])
def test_a_private_address_in_place_of_a_name_is_refused_before_a_look_up(address):
    """Over https as well."""
    assert NOTHING.refuses("https", address) is not None


@pytest.mark.parametrize("address", PRIVATE_4)
def test_each_way_of_wrapping_an_address_in_ipv6_is_seen_through(address):
    """A gateway or the system itself unwraps it and connects to what is inside."""
    inner = int(IPv4Address(address))
    wrapped = [
        inner,
        (0xFFFF << 32) | inner,
        (0x0064FF9B << 96) | inner,
        (0x2002 << 112) | (inner << 80),
        (0x20010000 << 96) | (~inner & 0xFFFFFFFF),
    ]

    for number in wrapped:
        assert NOTHING.refuses_address("h", 443, str(IPv6Address(number))) is not None


@given(st.ip_addresses(v=4).filter(lambda address: not address.is_global))
def test_no_special_address_is_public_however_it_is_written(address):
    """As itself, and mapped into IPv6."""
    for text in (str(address), f"::ffff:{address}", f"64:ff9b::{address}"):
        assert NOTHING.refuses_address("h", 443, text) is not None


def test_http_is_refused_unless_the_host_is_listed():
    """A token that crosses a network in the clear is everybody's."""
    refusal = NOTHING.refuses("http", "connect.example.com", 8080)

    assert refusal == (
        "connect.example.com:8080 must be asked over https; the administrator can list it in KEYTURN_ALLOWED_HOSTS"
    )
    assert NOTHING.refuses("https", "connect.example.com") is None
    assert parse_allowed_hosts("connect.example.com").refuses("http", "connect.example.com", 8080) is None


@pytest.mark.parametrize(
    ("listed", "scheme", "host", "port", "allowed"),
    [
        ("connect.vaults", "http", "connect.vaults", 8080, True),
        ("connect.vaults:8080", "http", "connect.vaults", 8080, True),
        ("connect.vaults:8080", "http", "connect.vaults", 8081, False),
        ("connect.vaults:80", "http", "connect.vaults", None, True),
        ("connect.vaults:443", "https", "connect.vaults", None, True),
        ("Connect.Vaults", "http", "connect.vaults.", 8080, True),
        ("connect.vaults.", "http", "CONNECT.vaults", 8080, True),
        ("connect.vaults", "http", "x.connect.vaults", 8080, False),
        ("connect.vaults", "http", "connect.vaults.evil.example", 8080, False),
        ("10.0.0.5", "https", "10.0.0.5", 8443, True),
        ("10.0.0.5:8443", "https", "10.0.0.5", 8443, True),
        ("10.0.0.5", "https", "10.0.0.6", 8443, False),
        ("[fd00::5]:8443", "https", "fd00::5", 8443, True),
        ("[fd00::5]:8443", "https", "fd00::5", 443, False),
        ("fd00::5", "https", "FD00:0::0005", 443, True),
        ("a, b:1 ,, c", "http", "c", 9, True),
        ("", "http", "c", 9, False),
    ],
)
def test_a_host_counts_as_listed_by_name_and_port(listed, scheme, host, port, allowed):
    """Letter case, a last dot and the way of writing an address do not matter; a part of a name is another name."""
    assert (parse_allowed_hosts(listed).refuses(scheme, host, port) is None) is allowed


def test_a_listed_name_may_lead_to_a_private_address_but_an_unlisted_one_may_not():
    """The list names servers, not networks: another name for the same address is another server."""
    allowed = parse_allowed_hosts("connect.vaults:8443")

    assert allowed.refuses_address("connect.vaults", 8443, "10.0.0.5") is None
    assert allowed.refuses_address("connect.vaults", 443, "10.0.0.5") is not None
    assert allowed.refuses_address("evil.example", 8443, "10.0.0.5") is not None


@pytest.mark.parametrize(
    "entry",
    [
        "https://connect.example.com",
        "connect.example.com/path",
        "connect.example.com:",
        "connect.example.com:0",
        "connect.example.com:65536",
        "connect.example.com:99999999999",
        "connect.example.com:http",
        "connect.example.com:-1",
        "connect.example.com:+1",
        "connect.example.com:\N{SUPERSCRIPT TWO}",
        ":8443",
        "*.example.com",
        "user@example.com",
        "a b",
        "[fd00::5",
        "[fd00::5]8443",
        "[fd00::5]:",
        "[]:1",
        "[connect]:1",
        "a:b:c",
        "...",
        "connect\N{KELVIN SIGN}.example",
        "fd00::5:x/",
    ],
)
def test_an_entry_that_is_no_host_is_an_error(entry):
    """It names the entry and the form: a list that was read otherwise than meant would open or close the wrong door."""
    with pytest.raises(BadHost, match="must be a host or host:port") as caught:
        parse_allowed_hosts(f"good.example.com, {entry}")
    assert repr(entry) in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_a_list_or_an_error(text):
    """Nothing else is raised for a setting."""
    with suppress(BadHost):
        parse_allowed_hosts(text)
