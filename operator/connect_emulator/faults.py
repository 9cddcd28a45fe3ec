"""Faults: which requests go wrong, how, and how often."""

import email.utils
import itertools
import random
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal[
    "pass", "status", "html", "json", "empty", "redirect", "gzip", "invalid_utf8", "invalid_json",
    "truncate", "stall", "wrong_length", "drip", "reset", "hang", "once",
]  # fmt: skip


class FaultRule(BaseModel):
    """One fault.

    `route` is a pattern with `*` and `?` for `METHOD /route` with either the route's template
    (`GET /v1/vaults/{vault}/items/{item}`) or the real path; `*` also crosses slashes. The first rule that matches and
    is not used up decides. Kinds:

    - `pass`: a good answer (late, with `delay_s`)
    - `status`: `status` with Connect's error body and `message`; a `retry_after` becomes the header, in seconds or,
      with `retry_after_date`, as a date
    - `html`: an HTML page with `status` (or 200), as proxies send it
    - `json`: `body` as JSON with `status` (or 200); `empty`: no body at all
    - `redirect`: `status` (or 302) to `location`
    - `gzip`: the good answer compressed; with `pad_bytes` a bomb
    - `invalid_utf8`, `invalid_json`: the good answer, damaged
    - `truncate`: the good answer cut after half of it, its Content-Length being that of the whole
    - `stall`: half of the good answer, then nothing until the client gives up or 30 s have passed
    - `wrong_length`: the good answer with a Content-Length that is too large by `length_error`, then nothing until the
      client gives up or 30 s have passed; with a negative `length_error`, too small
    - `drip`: the good answer in pieces of `drip_bytes`, one each `drip_s`
    - `reset`: the connection ends with a TCP reset; `hang`: no answer until the client gives up
    - `once`: the good answer to the first such request of a connection; at the second one the connection is closed without an
      answer, as by a proxy with a short keep-alive

    `framing` says what shows the end of a good answer, also with `pass`: its length, chunks, or the end of the connection. In
    the last case a client cannot tell a truncated body from a whole one. `execute` says whether the request takes effect
    before its answer goes wrong, as behind a gateway that timed out; by default it does so for the kinds that damage a good
    answer.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    route: str = "*"
    kind: Kind = "status"
    count: Annotated[int, Field(ge=1)] | None = None
    after: Annotated[int, Field(ge=0)] = 0
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    token: str | None = None
    execute: bool | None = None
    delay_s: Annotated[float, Field(ge=0)] = 0.0
    status: Annotated[int, Field(ge=100, le=599)] | None = None
    message: str = "Something went wrong"
    headers: dict[str, str] = Field(default_factory=dict)
    retry_after: Annotated[float, Field(ge=0)] | None = None
    retry_after_date: bool = False
    body: Any = None
    location: str = "/elsewhere"
    pad_bytes: Annotated[int, Field(ge=0)] = 0
    length_error: int = 100
    drip_bytes: Annotated[int, Field(ge=1)] = 1
    framing: Literal["length", "chunked", "close"] = "length"
    drip_s: Annotated[float, Field(ge=0)] = 0.05

    @property
    def executes(self) -> bool:
        """Whether the request takes effect."""
        if self.execute is not None:
            return self.execute
        return self.kind not in {"status", "html", "json", "empty", "redirect", "reset", "hang"}

    def matches(self, *, method: str, template: str, path: str, token: str | None) -> bool:
        """Whether the rule matches this request."""
        if self.token is not None and self.token != token:
            return False
        pattern = self.route
        subjects = (f"{method} {template}", f"{method} {path}") if " " in pattern else (template, path)
        return pattern in subjects or any(fnmatchcase(subject, pattern) for subject in subjects)

    def extra_headers(self, now: float) -> dict[str, str]:
        """Headers the rule adds; `now` dates a Retry-After date."""
        headers = dict(self.headers)
        if self.retry_after is not None:
            as_date = email.utils.formatdate(now + self.retry_after, usegmt=True)
            headers["Retry-After"] = as_date if self.retry_after_date else f"{self.retry_after:g}"
        return headers


class Faults:
    """The rules in force, in order, with their counters."""

    def __init__(self, source: random.Random) -> None:
        self._source = source
        self._numbers = itertools.count(1)
        self._rules: dict[str, tuple[FaultRule, int, int | None]] = {}

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, rule: FaultRule) -> str:
        """Put `rule` behind the others; returns its id."""
        number = f"f{next(self._numbers)}"
        self._rules[number] = (rule, rule.after, rule.count)
        return number

    def remove(self, number: str) -> bool:
        """Forget one rule; whether there was one."""
        return self._rules.pop(number, None) is not None

    def clear(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    def listed(self) -> Iterator[tuple[str, FaultRule, int | None]]:
        """Each rule with its id and how often it will still strike (none: forever)."""
        for number, (rule, _, left) in self._rules.items():
            yield number, rule, left

    def strike(self, *, method: str, template: str, path: str, token: str | None) -> FaultRule | None:
        """The rule for this request, if any; counts it. A rule that is used up is forgotten."""
        for number, (rule, skip, left) in list(self._rules.items()):
            if not rule.matches(method=method, template=template, path=path, token=token):
                continue
            if skip:
                self._rules[number] = (rule, skip - 1, left)
                continue
            if rule.probability < 1 and self._source.random() >= rule.probability:
                continue
            if left is not None:
                if left <= 1:
                    del self._rules[number]
                else:
                    self._rules[number] = (rule, 0, left - 1)
            return rule
        return None
