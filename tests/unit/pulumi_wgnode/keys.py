"""SSH keys that are what they say and open nothing: the same in every run."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def _key(seed: int) -> str:
    made = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


KEY, OTHER_KEY = _key(1), _key(2)
UNSHOWN = KEY.splitlines()[1]
"""What must be in no text that a person sees."""
PIN, OTHER_PIN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "ssh-ed25519 BBBBC3NzaC1lZDI1NTE5"
