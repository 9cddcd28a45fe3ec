"""What the page on the broker says of its process is what the process reads and does."""

import re
from pathlib import Path

from keyturn.broker import guard, limits, protocol, server
from keyturn.broker.identity import VERDICTS_LAST
from keyturn.broker.settings import broker_parser, broker_variables
from keyturn.providers.onepassword.registration import ONEPASSWORD

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "broker.md").read_text()


def section(head):
    """A part of the page, from its head to the next."""
    return PAGE.split(f"\n## {head}\n")[1].split("\n## ")[0]


def test_each_flag_is_explained():
    """And no other."""
    named = re.findall(r"^\| `(--[a-z-]+)` \| (?:`([^`]+)`)? ?\|", section("Without the chart"), re.MULTILINE)
    flags = {
        option: str(action.default or "")
        for action in broker_parser()._actions
        for option in action.option_strings
        if option.startswith("--") and option != "--help"
    }

    assert dict(named) == {**flags, "--bind-address": ":8443"}


def test_each_variable_is_named():
    """And no other that it would refuse."""
    named = set(
        re.findall(r"`((?:OP|KEYTURN|POD|WATCH|POLLING|SSL|HTTPS?|NO)_[A-Z_]+[A-Z])`", section("Without the chart"))
    )

    assert named == set(broker_variables())


def test_the_limits_are_those_of_the_code():
    """Whoever is refused looks here."""
    rate, quota = limits.PER_IDENTITY, limits._rate(ONEPASSWORD.budget.reads_an_hour * limits._SHARE)
    page = section("Limits")

    assert f"| {rate.each_second:.0f} a second, and {rate.burst:.0f} at once |" in page
    assert f"| {quota.each_second * 3600:.0f} an hour, and {quota.burst:.0f} at once:" in page
    assert f"| one request | {limits.DEADLINE:.0f} seconds |" in page
    assert f"| headers | {protocol.LONGEST_HEADERS >> 10} KiB, within {protocol.HEADERS_WITHIN:.0f} seconds |" in page
    assert f"| body | {limits.LONGEST_BODY >> 20} MiB, within {guard.BODY_WITHIN:.0f} seconds |" in page
    assert f"| connections | {server._MOST_CLIENTS} |" in page
    assert f"counts for {VERDICTS_LAST:.0f} seconds" in page
