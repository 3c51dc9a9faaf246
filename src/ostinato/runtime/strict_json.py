"""What JSON parsers let pass and a model file must not have: repeated keys, deep nesting, endless lists of keys."""

from __future__ import annotations

import re

from ostinato.runtime.layout import MAX_DEPTH, MAX_KEYS
from ostinato.runtime.refusal import quote, refuse

# A whole string (with the colon that makes it a key), a bracket, or a quotation mark that nothing closes. Possessive
# quantifiers keep the search linear in the length of the text.
_TOKEN = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"(\s*+:)?|[][{}"]', re.DOTALL)


def check_json(text: bytes, what: str) -> None:
    """Refuse JSON text whose keys repeat or hold escapes, or that nests too deep; the rest is the parser's business.

    Args:
        text: UTF-8 text.
        what: Its name in messages: "header" or "manifest".

    Raises:
        ModelFileError: With code `json`, `duplicate_key`, `depth` or `too_many`.
    """
    objects: list[set[bytes] | None] = []
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in b"{[":
            objects.append(set() if first == ord("{") else None)
            if len(objects) > MAX_DEPTH:
                raise refuse("depth", f"the {what} must nest at most {MAX_DEPTH} levels deep", "more")
        elif first in b"}]":
            if not objects:
                raise refuse("json", f"the {what} must be valid JSON", "a bracket that closes nothing")
            objects.pop()
        elif token[1] is None:
            raise refuse("json", f"the {what} must be valid JSON", "a string without an end")
        elif token[2] is not None:
            _add_key(objects, token[1], what)


def _add_key(objects: list[set[bytes] | None], key: bytes, what: str) -> None:
    keys = objects[-1] if objects else None
    if keys is None:
        raise refuse("json", f"the {what} must be valid JSON", "a key outside of an object")
    if b"\\" in key:
        raise refuse("json", f"keys of the {what} must be plain text", "a key with an escape")
    if key in keys:
        raise refuse("duplicate_key", f"keys of the {what} must differ", quote(key[:240].decode(errors="replace")))
    keys.add(key)
    if len(keys) > MAX_KEYS:
        raise refuse("too_many", f"an object of the {what} must have at most {MAX_KEYS} keys", "more")
