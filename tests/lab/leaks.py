"""Every way in which a secret could lie open somewhere, as byte strings to look for."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Iterable, Mapping


def encodings(secret: bytes) -> set[bytes]:
    """Raw; hex; Base64 of both alphabets, by itself and inside a longer text; Base32; as JSON and URLs have them."""
    hexadecimal = secret.hex()
    found = {secret, hexadecimal.encode(), hexadecimal.upper().encode(), hexadecimal_with(":", secret)}
    for plain in (base64.b64encode(secret), base64.urlsafe_b64encode(secret)):
        text = plain.decode()
        found |= {plain[:42], urllib.parse.quote(text, safe="").rstrip("=").encode()}
        found.add(json.dumps(text).strip('"').replace("/", "\\/").rstrip("=").encode())
        found.add(base64.b64encode(plain).rstrip(b"=")[:-2])
    for before in (1, 2):  # Base64 of a text that the secret stands in, at the other two alignments
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(bytes(before) + secret)[4:-4])
    found.add(base64.b32encode(secret).rstrip(b"="))
    return found


def hexadecimal_with(separator: str, secret: bytes) -> bytes:
    return secret.hex(separator).encode()


def leaks(secrets: Iterable[bytes], places: Mapping[str, bytes]) -> list[str]:
    """Where one of them lies open; never says which."""
    wanted = [form for secret in secrets for form in encodings(secret)]
    return [place for place, content in places.items() if any(form in content for form in wanted)]
