"""JSON that somebody else wrote, within bounds: of size, of memory, and of what two readers could read differently.

Standard library only: it is read on the host (hostd) and in the gateway.
"""

from __future__ import annotations

import json
import math
from typing import Any

MOST_VALUES = 500_000
"""Of one text. 10,000 devices of which a gateway tells all that it knows are 420,000; each costs up to 120 bytes."""
LARGEST_TEXT = 256 << 10
"""Bytes that may hold any character: beyond ASCII a string takes up to four bytes for each of the whole text's."""
LONGEST_INTEGER = 40
"""Characters. What a number may be is judged by whoever knows what it counts; reading it must cost nothing."""


class Malformed(ValueError):
    """Not JSON, or more of it than anybody has to say. Never quotes the text."""


def loads(body: bytes, most: int = MOST_VALUES) -> Any:
    """What the text says, of that many values at most. Raises Malformed, and nothing else, whatever the bytes are.

    Refused beside what is no JSON: the same key twice, NaN and infinity, integers of endless digits, deep nesting.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) >= most:
        raise Malformed(f"more than {most} values")
    if len(body) > LARGEST_TEXT and not (body.isascii() and b"\\u" not in body):
        raise Malformed(f"more than {LARGEST_TEXT} bytes that are not plain ASCII")
    try:
        return json.loads(
            body.decode(),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
    except Malformed:
        raise
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    except RecursionError:
        raise Malformed("nested too deeply") from None
    except ValueError:
        raise Malformed("no JSON") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Malformed("a key twice in one object")
    return made


def _integer(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        raise Malformed(f"an integer of {len(text)} digits")
    return int(text)


def _number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise Malformed("an infinite number")
    return number


def _constant(text: str) -> float:
    raise Malformed(f"{text} is no number of JSON")
