"""What the release recipe says of the images holds for their Dockerfile, their locks and their packages."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from localnode.building import EMULATOR, IMAGES, OPERATOR

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def pins(name):
    return dict(PIN.findall((ROOT / "requirements" / name).read_text()))


def test_the_base_is_named_by_its_digest():
    """A tag means another image tomorrow."""
    [base] = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"\S+:\S+@sha256:[0-9a-f]{64}", base)
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) - stages == {"${BASE}", "scratch"}


@pytest.mark.parametrize(
    ("lock", "among"),
    [
        ("image.lock", {"kopf", "kubernetes", "httpx", "bcrypt", "cryptography"}),
        ("emulator.lock", {"aiohttp", "pyjwt", "cryptography"}),
    ],
)
def test_the_image_holds_the_very_versions_that_are_tested(lock, among):
    """Two locks of the same packages must not drift apart."""
    tested, shipped = pins("dev.lock"), pins(lock)
    assert among <= shipped.keys()
    assert {name: tested[name] for name in shipped} == shipped


@pytest.mark.parametrize("lock", ["runtime.lock", "image.lock"])
def test_the_operator_takes_no_library_that_only_the_emulator_needs(lock):
    """A library that the operator does not use could only do harm beside the tokens and Secrets of a cluster."""
    assert not {"keyturn-emulator", "pyjwt"} & pins(lock).keys()


def locks():
    """Every lock of the repository, and none of what is installed by it."""
    for folder, inner, files in os.walk(ROOT):
        inner[:] = [name for name in inner if name not in {"node_modules", "build"} and not name.startswith(".")]
        yield from (Path(folder, name) for name in files if name.endswith(".lock") or name == "package-lock.json")


def test_no_lock_names_an_address():
    """Packages are named by name, version and hash: where they are fetched from is the affair of whoever fetches them."""
    found = {str(path.relative_to(ROOT)): path.read_text() for path in locks()}
    assert {"requirements/dev.lock", "requirements/image.lock", "tests/bitwarden/cli/package-lock.json"} <= found.keys()
    assert {name for name, text in found.items() if "://" in text or '"funding"' in text} == set()


def test_the_image_holds_the_extras_that_an_installation_need_not_have():
    """An installation without some filters and providers need not carry their libraries; the image is for everybody."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {re.match("[a-z0-9-]+", requirement)[0] for extra in extras.values() for requirement in extra}
    assert {"bcrypt", "cryptography", "onepassword-sdk"} <= named
    assert named <= pins("image.lock").keys()
    # What reads HTTP for the broker also does so below the client that every installation has.
    assert named & pins("runtime.lock").keys() == {"h11"}


def test_the_operators_wheel_holds_one_package_and_one_command(tmp_path):
    """A test server that is installed with the operator could be started beside it."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", tmp_path, ROOT], check=True)
    [path] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        folders = {name.partition("/")[0] for name in wheel.namelist()}
        commands = wheel.read("keyturn-0.1.0.dist-info/entry_points.txt").decode()
    assert folders == {"keyturn", "keyturn-0.1.0.dist-info"}
    assert commands.strip() == "[console_scripts]\nkeyturn = keyturn.__main__:main"


def test_a_build_without_a_target_makes_the_operator():
    """`docker build .` is what everybody types first, and the image of that name runs in production."""
    assert re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)[-1] == OPERATOR.target


def test_a_build_sees_what_it_copies_and_nothing_else():
    """No developer's token gets into a layer, and an image of our cache is named by what it is made of."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
        for source in sources.split()
    }
    assert allowed == copied
    named = {source for image in IMAGES for source in (*image.files, image.package)}
    assert named == {*copied, "Dockerfile", ".dockerignore"}
    assert "emulator" not in "".join((*OPERATOR.files, OPERATOR.package))
    assert EMULATOR.package == "operator/connect_emulator"
