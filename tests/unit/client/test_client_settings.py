"""What the client must know, from flags and variables."""

from argparse import ArgumentParser
from pathlib import Path

import pytest

from keyturn.client.caller_token import CallerToken
from keyturn.client.client_settings import add_settings, broker_address, caller_token
from keyturn.client.failures import Misuse
from keyturn.client.private_files import is_in_memory, usual_folders


def flags(*words):
    parser = ArgumentParser()
    add_settings(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://keyturn-broker.keyturn.svc", "keyturn-broker.keyturn.svc", 443, ""),
        ("https://broker:8443/", "broker", 8443, ""),
        ("https://example.com/keyturn/", "example.com", 443, "/keyturn"),
        ("https://[fd00::1]:8443", "fd00::1", 8443, ""),
        ("http://127.0.0.1:8080", "127.0.0.1", 8080, ""),
        ("http://[::1]:8080", "::1", 8080, ""),
        ("http://localhost", "localhost", 80, ""),
    ],
)
def test_addresses_of_brokers(url, host, port, path):
    """With TLS, or on the loopback interface."""
    address = broker_address(flags(), {"KEYTURN_BROKER_URL": url, "KEYTURN_CA_FILE": "/ca"})

    assert (address.host, address.port, address.path) == (host, port, path)
    assert address.encrypted == url.startswith("https")
    assert address.ca_file == Path("/ca")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker",
        "broker:8443",
        "ftp://broker",
        "https://",
        "https://user:canary@broker",
        "https://broker?token=canary",
        "https://broker#x",
        "https://broker:port",
        "https://[broker",
        "http://broker",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
    ],
)
def test_what_is_no_address_of_a_broker(url):
    """A token over plain HTTP can be read on the way."""
    with pytest.raises(Misuse):
        broker_address(flags(), {"KEYTURN_BROKER_URL": url})


def test_flags_come_before_variables():
    """A command says more than its surroundings."""
    given = flags("--broker-url", "https://a", "--token-file", "/t", "--ca-file", "/c")
    environment = {"KEYTURN_BROKER_URL": "https://b", "KEYTURN_TOKEN_FILE": "/u", "KEYTURN_CA_FILE": "/d"}

    assert broker_address(given, environment).host == "a"
    assert broker_address(given, environment).ca_file == Path("/c")
    assert caller_token(given, environment) == CallerToken(Path("/t"))
    assert caller_token(flags(), environment) == CallerToken(Path("/u"))
    assert caller_token(flags(), {}) == CallerToken(Path("/var/run/secrets/keyturn/token"))


def test_a_service_account_is_named_with_its_namespace():
    """Which namespace kubectl would take is not visible in a script."""
    assert caller_token(flags("--service-account", "a/b"), {}).service_account == ("a", "b")
    for wrong in ("ci", "a/", "/b", "a/b/c", "a/-b"):
        with pytest.raises(Misuse):
            caller_token(flags("--service-account", wrong), {})


MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw - proc proc rw
24 22 0:20 / /dev/shm rw,nosuid shared:3 master:1 - tmpfs shm rw
25 22 0:21 / /run rw - tmpfs tmpfs rw
26 25 8:2 / /run/disk rw - ext4 /dev/sdb rw
27 22 0:22 / /with\040space rw - ramfs ramfs rw
28 22 0:23 / /tmp rw - tmpfs tmpfs rw
29 22 8:3 / /tmp rw - overlay overlay rw
not a mount
"""


@pytest.mark.parametrize(
    ("folder", "in_memory"),
    [
        ("/dev/shm", True),
        ("/dev/shm/a/b", True),
        ("/dev/shmx", False),
        ("/run/user/0", True),
        ("/run/disk", False),
        ("/run/disk/a", False),
        ("/with space/a", True),
        ("/home", False),
        # The later mount hides the earlier one.
        ("/tmp/a", False),
    ],
)
def test_which_folders_are_in_memory(folder, in_memory):
    """A value on a disk outlives the step that it was for."""
    assert is_in_memory(Path(folder), MOUNTS) is in_memory


def test_nothing_is_in_memory_if_the_mounts_are_unknown():
    """Rather no file than one on a disk."""
    assert not is_in_memory(Path("/dev/shm"), "")


def test_the_folder_of_the_user_is_tried_first():
    """Nobody else can list it."""
    assert usual_folders({"XDG_RUNTIME_DIR": "/run/user/7"})[0] == Path("/run/user/7")
    assert Path("/mnt/x") in usual_folders({"TMPDIR": "/mnt/x"})
