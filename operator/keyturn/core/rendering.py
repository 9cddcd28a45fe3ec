"""Renders the keys of a Secret: fills the holes of texts with what items and files hold, within limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from keyturn.core.content import MAX_SECRET_BYTES, encode
from keyturn.core.filters import Filter, Number, Value, Word
from keyturn.core.holes import Argument, FilterCall, Hole, Operand, Parts
from keyturn.core.references import MANY, FieldReference, Fields, KeyReference, quoted
from keyturn.core.shape_errors import ShapeError, ShapeTooLarge, TemplateTooExpensive, ValueInvalid
from keyturn.core.vault import Field, FieldKind

_T = TypeVar("_T")

MAX_FILTERED_BYTES: Final = 16 * 1024 * 1024
"""What may go into and come out of the filters of one object: some tens of milliseconds."""

_FIELD_BYTES: Final = 256
"""What one of many fields counts beside its name and its value."""


class Renderer:
    """Renders the keys of one Secret. It lives for one call, as all that holds values.

    Args:
        fields: of each item, by alias.
        files: the bytes of files, by alias and id.
        old: the data of the present Secret.
        size: bytes that the Secret holds already.
        most: bytes that filters may process.
    """

    def __init__(
        self,
        fields: Mapping[str, Fields],
        files: Mapping[tuple[str, str], bytes],
        *,
        old: Mapping[str, bytes],
        size: int,
        most: int,
    ) -> None:
        self._most = most
        self._fields = fields
        self._files = files
        self._old = old
        self._size = size
        self._filtered = 0
        self.data: dict[str, bytes] = {}

    def render(self, key: str, parts: Parts, *, is_text: bool) -> None:
        """Make one key. All keys that it refers to must be there already.

        Args:
            key: under which its bytes are added to `data`.
            parts: its text; without `is_text` one hole, whose bytes are taken as they are.
            is_text: whether the result is a text, to which only UTF-8 may be added.

        Raises:
            ShapeError: why it cannot be made; the message names key and line.
        """
        pieces: list[bytes] = []
        for part in parts:
            piece = part.encode() if isinstance(part, str) else self._filled(key, part, is_text=is_text)
            pieces.append(piece)
            self._size += len(piece)
            if self._size > MAX_SECRET_BYTES:
                raise ShapeTooLarge(
                    f"the keys up to {quoted(key)} are larger than the {MAX_SECRET_BYTES} bytes of a Secret"
                )
        self.data[key] = b"".join(pieces)

    def _filled(self, key: str, hole: Hole, *, is_text: bool) -> bytes:
        """What fills a hole, or an error that says where the hole is."""
        try:
            value = self._value(key, hole)
            if is_text:
                _check_text(value, hole)
        except ShapeError as error:
            failure = with_place(error, key, hole)
        else:
            return value
        # Outside of `except`, so that the error has no context.
        raise failure

    def _value(self, key: str, hole: Hole) -> bytes:
        calls, operand = hole.calls, hole.operand
        if isinstance(operand, FieldReference) and operand.name == MANY:
            value, calls = self._many(operand, hole), calls[1:]
        else:
            value = self._first((operand, *hole.fallbacks))
        for call in calls:
            value = self._applied(key, hole, call, value)
        return value

    def _first(self, operands: Sequence[Operand]) -> bytes:
        """The bytes of the first operand that has a value; a string or a key has one even if it is empty."""
        for operand in operands:
            value = self._read(operand)
            if value or not isinstance(operand, FieldReference):
                return value
        missing = operands[0]
        raise (
            self._fields[missing.alias].missing(missing)
            if isinstance(missing, FieldReference)
            else ValueInvalid("no value")
        )

    def _read(self, operand: Operand) -> bytes:
        """The bytes of one operand; none if it has no value."""
        match operand:
            case KeyReference():
                return self.data[operand.key]
            case FieldReference():
                found = self._fields[operand.alias].find(operand)
                if found is None:
                    return b""
                is_file = found.kind is FieldKind.FILE
                value = self._files[operand.alias, found.id] if is_file else encode(found.value or "")
                if len(value) > MAX_SECRET_BYTES:
                    raise ShapeTooLarge(
                        f"{quoted(operand.text)} is larger than the {MAX_SECRET_BYTES} bytes of a Secret"
                    )
                return value
            case _:
                return encode(operand)

    def _many(self, reference: FieldReference, hole: Hole) -> bytes:
        taker = hole.calls[0].filter
        fields = self._fields[reference.alias]
        values = fields.many(reference)
        if not values or taker.many is None:
            raise fields.missing(reference)
        self._charge(sum(map(len, values)) + sum(map(len, values.values())) + _FIELD_BYTES * len(values))
        value = _result(taker, hole, taker.many, values)
        self._charge(len(value))
        return value

    def _applied(self, key: str, hole: Hole, call: FilterCall, value: bytes) -> bytes:
        """What a filter makes of a value; the old bytes of the key, if they are still right for a random filter."""
        taker, size = call.filter, len(value)
        if taker.is_text:
            _check_text(value, hole, taker)
        arguments: list[bytes | int | str] = []
        for kind, written in zip(taker.takes, call.arguments, strict=False):
            argument = self._argument(kind, written)
            if isinstance(argument, bytes):
                size += len(argument)
                if taker.is_text:
                    _check_text(argument, hole, taker)
            arguments.append(argument)
        if taker.effort is not None:
            size += taker.effort(value, *arguments)
        self._charge(size)
        old = self._old.get(key)
        if taker.holds is not None and old is not None and _result(taker, hole, taker.holds, old, value, *arguments):
            return old
        if taker.apply is None:
            raise ValueInvalid(f"{taker.name} takes no single value")
        made = _result(taker, hole, taker.apply, value, *arguments)
        self._charge(len(made))
        if len(made) > MAX_SECRET_BYTES:
            raise ShapeTooLarge(f"what {taker.name} makes is larger than the {MAX_SECRET_BYTES} bytes of a Secret")
        return made

    def _argument(self, kind: Value | Number | Word, written: Argument) -> bytes | int | str:
        if isinstance(written, int):
            return written
        return self._first((written,)) if isinstance(kind, Value) else str(written)

    def _charge(self, size: int) -> None:
        self._filtered += size
        if self._filtered > self._most:
            raise TemplateTooExpensive(
                f"the filters of one object may process {self._most} bytes; up to here they are more"
            )


def needed_files(hole: Hole, fields: Mapping[str, Fields]) -> list[tuple[str, Field]]:
    """The files, with their alias, that a hole may need.

    Raises:
        FieldNotFound: a field that it needs does not exist or has no value; the message does not name the place.
        FieldAmbiguous: a reference fits several fields; neither does this one.
    """
    is_many = isinstance(hole.operand, FieldReference) and hole.operand.name == MANY
    needs: list[Sequence[Operand]] = [] if is_many else [(hole.operand, *hole.fallbacks)]
    needs += [(each,) for call in hole.calls for each in call.arguments if not isinstance(each, int)]
    return [file for operands in needs for file in _files_of(operands, fields)]


def _files_of(operands: Sequence[Operand], fields: Mapping[str, Fields]) -> list[tuple[str, Field]]:
    """The files of which one may give the value, because it comes first, or because those before it may be empty."""
    files: list[tuple[str, Field]] = []
    for operand in operands:
        if not isinstance(operand, FieldReference):
            return files
        found = fields[operand.alias].find(operand)
        if found is None:
            continue
        if found.kind is not FieldKind.FILE:
            return files
        files.append((operand.alias, found))
        if found.size is not None:
            return files
    if not files and isinstance(operands[0], FieldReference):
        raise fields[operands[0].alias].missing(operands[0])
    return files


def with_place(error: ShapeError, key: str, hole: Hole) -> ShapeError:
    """The same error, with its place."""
    return type(error)(f"key {quoted(key)}, line {hole.line}: {error}")


def _result(taker: Filter, hole: Hole, function: Callable[..., _T], *arguments: object) -> _T:
    """What a function of a filter returns. All that it raises becomes a `ShapeError` that names the filter."""
    try:
        return function(*arguments)
    except ShapeError as error:
        failure = type(error)(f"{hole.source} | {taker.name}: {error}")
    except Exception as error:  # noqa: BLE001 - a library's error may quote the value
        failure = ValueInvalid(f"{hole.source} | {taker.name}: the value cannot be processed ({type(error).__name__})")
    raise failure


def _check_text(value: bytes, hole: Hole, taker: Filter | None = None) -> None:
    try:
        value.decode()
    except UnicodeDecodeError:
        pass
    else:
        return
    if taker is not None:
        raise ValueInvalid(f"{hole.source} | {taker.name}: the bytes are no UTF-8 text; use b64encode")
    raise ValueInvalid(f"{hole.source}: the bytes are no UTF-8 text; move the key to `keys`, or use b64encode")
