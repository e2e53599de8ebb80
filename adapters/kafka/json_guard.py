"""Checks on JSON text that a parser does not do, each at the speed of C where there is nothing to find."""

import re

# The closing quote is optional, so that a string that never ends is read once and not once per quote in it.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NUL_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_BRACKETS = bytes.maketrans(b"[{]}", b"(())")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))


def is_deeper_than(text: bytes, limit: int) -> bool:
    """Whether objects and arrays are nested more than ``limit`` (levels) deep; brackets in strings do not count."""
    if text.count(b"{") + text.count(b"[") <= limit:
        return False
    brackets = _STRING.sub(b"", text).translate(_BRACKETS, _NOT_BRACKETS)
    for _ in range(limit):
        # Taking away all innermost pairs at once makes the whole one level less deep.
        flatter = brackets.replace(b"()", b"")
        if len(flatter) == len(brackets):
            break
        brackets = flatter
    return b"(" in brackets


def more_values_than(text: bytes, limit: int) -> bool:
    """Whether there are more than ``limit`` values, counted by commas and brackets; those in strings do not count."""
    if len(text) <= limit or text.count(b",") + text.count(b"{") + text.count(b"[") <= limit:
        return False
    bare = _STRING.sub(b"", text)
    return bare.count(b",") + bare.count(b"{") + bare.count(b"[") > limit


def holds_not_a_number(text: bytes) -> bool:
    """Whether ``NaN`` or ``Infinity``, which JSON does not have, stand where a value should."""
    if b"NaN" not in text and b"Infinity" not in text:
        return False
    bare = _STRING.sub(b"", text)
    return b"NaN" in bare or b"Infinity" in bare


def holds_nul(text: bytes) -> bool:
    """Whether a string holds the NUL character, which a database's text type does not take."""
    return b"\\u0000" in text and _NUL_ESCAPE.search(text) is not None
