"""What the release recipe says of the image holds for its Dockerfile."""

import re
from pathlib import Path

from localnode.building import CONTEXT

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def pins(name):
    return dict(PIN.findall((ROOT / "requirements" / name).read_text()))


def test_the_base_is_named_by_its_digest():
    """A tag means another image tomorrow."""
    [base] = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"\S+:\S+@sha256:[0-9a-f]{64}", base)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE}", "scratch"}


def test_the_image_holds_the_very_versions_that_are_tested():
    """Two locks of the same packages must not drift apart."""
    tested, shipped = pins("dev.lock"), pins("image.lock")
    assert {"kopf", "kubernetes", "httpx", "pyjwt"} <= shipped.keys()
    assert {name: tested[name] for name in shipped} == shipped


def test_a_build_sees_what_it_copies_and_nothing_else():
    """No developer's token gets into a layer, and what names the image for our cache is what it is made of."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
        for source in sources.split()
    }
    assert allowed == copied
    assert {*CONTEXT, "operator"} == {*copied, "Dockerfile", ".dockerignore"}
