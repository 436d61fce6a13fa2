"""Imports that the node makes only when it is busy, so that the image's builder sees them too."""


def exercise() -> None:
    """Use what is imported late once."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    key = X25519PrivateKey.generate()
    shared = key.exchange(key.public_key())
    ChaCha20Poly1305(shared).encrypt(bytes(12), b"", b"")
