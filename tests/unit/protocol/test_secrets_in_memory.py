"""Secrets are overwritten when they are done with: looked for in the memory of a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.protocol.pairs import A4, B4, KEY_A, KEY_C, PSK_1, PSK_2, Node, packet, pair
from wgnode.protocol.noise import INITIAL_CHAINING_KEY, SymmetricState
from wgnode.protocol.wipe import own, wipe

ROOT = Path(__file__).parents[3]
MASK = 0x5A
CONVERSATION = """
import gc, sys
from tests.unit.protocol import test_secrets_in_memory
test_secrets_in_memory.talk()
gc.collect()
print("done", flush=True)
sys.stdin.read()
"""


def test_wiped_bytes_are_zeros() -> None:
    secret, shared = own(b"secret of some length"), b"x"
    wipe(secret, shared, b"")
    assert secret == bytes(21)
    assert shared == b"x"


def test_a_copy_of_ones_own_leaves_the_original() -> None:
    original = bytes(range(32))
    copy = own(original)
    wipe(copy)
    assert original == bytes(range(32))


def test_a_private_key_is_wiped_when_it_is_replaced() -> None:
    p = pair().connect()
    (identity,), shared = p.a.device._tables.identities, p.a.peer.statics[0]._shared
    (between,) = shared.values()
    told = p.a.device.private_keys
    p.a.device.set_private_keys([KEY_C], p.now)
    assert (identity.raw, between, shared) == (bytes(32), bytes(32), {})
    assert told[0] != bytes(32)
    assert KEY_A == b"\x41" * 32
    assert KEY_C == b"\x43" * 32


def test_a_pre_shared_key_is_wiped_when_it_is_replaced_or_its_peer_removed() -> None:
    p = pair()
    for keys in ([PSK_1], [PSK_2, PSK_1]):
        before = p.a.peer.preshared_keys
        p.a.device.set_preshared_keys(p.a.peer, keys)
        assert set(before) <= {bytes(32)}
    held = p.a.peer.preshared_keys
    p.a.device.remove_peer(p.a.peer.public_key)
    assert held == (bytes(32), bytes(32))
    assert (PSK_1, PSK_2) == (b"\x51" * 32, b"\x52" * 32)


def test_what_two_static_keys_share_is_wiped_with_either() -> None:
    for forget in (
        lambda node: node.device.remove_peer(node.peer.public_key),
        lambda node: node.device.set_public_keys(node.peer, [bytes(range(32))]),
    ):
        p = pair().connect()
        (shared,) = p.a.peer.statics[0]._shared.values()
        assert shared != bytes(32)
        forget(p.a)
        assert shared == bytes(32)


def test_a_handshake_that_was_given_up_is_wiped() -> None:
    p = pair()
    p.a.send(packet(A4, B4))
    outstanding = p.a.peer.outstanding
    assert outstanding is not None
    p.a.device.stop(p.now)
    assert outstanding.state.symmetric.chaining_key == bytes(32)
    assert SymmetricState().chaining_key == INITIAL_CHAINING_KEY != bytes(32)


# The memory of a whole process


def watch(seen: set[bytes]) -> Iterator[None]:
    """Note, masked, every session key, chaining key and handshake secret that the protocol makes."""
    from wgnode.protocol import crypto, noise

    real_hmac, real_dh = crypto.hmac_, noise.dh

    def noting_hmac(key: bytes, data: bytes) -> bytes:
        made = real_hmac(key, data)
        seen.add(masked(made))
        return made

    def noting_dh(*args: object) -> bytes:
        made = real_dh(*args)  # type: ignore[arg-type]
        seen.add(masked(made))
        return made

    crypto.hmac_, noise.dh = noting_hmac, noting_dh
    yield
    crypto.hmac_, noise.dh = real_hmac, real_dh


def masked(data: bytes) -> bytes:
    return bytes(byte ^ MASK for byte in data)


def talk() -> None:
    """In the child: sessions begin and end; prints what secrets there were, masked."""
    seen: set[bytes] = set()
    for _ in watch(seen):
        p = pair()
        for _ in range(5):
            p.a_to_b()
            p.b_to_a()
            p.jump(200)
        for node in (p.a, p.b):
            assert len(node.delivered) == 5
            end(node)
    print(len(seen), flush=True)
    for secret in seen:
        print(secret.hex(), flush=True)


def end(node: Node) -> None:
    node.device.remove_peer(node.peer.public_key)
    node.device.set_private_keys([], 0.0)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", CONVERSATION], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.communicate()


def writable_memory(pid: int) -> Iterator[bytes]:
    """Heaps and data. Not the C stack: OpenSSL's ChaCha20 leaves its last state there (docs/security.md)."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if rights.startswith("rw") and "[stack]" not in line and "[v" not in line:
                start, end = (int(number, 16) for number in span.split("-"))
                memory.seek(start)
                yield memory.read(end - start)


def test_no_handshake_or_session_secret_stays_in_memory(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    number = int(child.stdout.readline())
    secrets = [masked(bytes.fromhex(child.stdout.readline().strip())) for _ in range(number)]
    assert child.stdout.readline() == "done\n"
    assert number > 50
    memory = b"".join(writable_memory(child.pid))
    assert KEY_A in memory, "a constant of the tests that nobody wipes"
    left = [secret for secret in secrets if secret in memory]
    assert left == []
