"""Every parser that reads what others wrote: the answer or its own error, never anything else."""

from __future__ import annotations

import contextlib
import json
import struct
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.effort import effort
from tests.unit.protocol.pairs import A4, A6, B4, B6, ENDPOINT_A, ENDPOINT_B, KEY_A, PSK_1, Clock, Node, packet, pair
from wgnode.io.control import LARGEST_FRAME, Decoder, FrameError, encode
from wgnode.io.endpoints import parse_endpoint
from wgnode.io.sticky import is_tunnel_datagram
from wgnode.io.uapi import handle
from wgnode.io.uapi_socket import request_length
from wgnode.nodeconfig import ConfigError, LinkConfig, NodeConfig, NodeSecrets, PeerConfig, decode_key
from wgnode.protocol import Endpoint
from wgnode.protocol.cookie import CookieGenerator
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.inner import destination, length_and_source
from wgnode.protocol.messages import COOKIE_REPLY, INITIATION, RESPONSE, TRANSPORT

ELSEWHERE = Endpoint("203.0.113.9", 9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


def damaged(valid: bytes) -> st.SearchStrategy[bytes]:
    """The valid bytes after some bytes were overwritten, cut out or put in."""

    def apply(edits: list[tuple[int, int, bytes]]) -> bytes:
        data = bytearray(valid)
        for at, cut, put in edits:
            at %= len(data) + 1
            data[at : at + cut] = put
        return bytes(data)

    edit = st.tuples(st.integers(0, 2**16), st.integers(0, 9), st.binary(max_size=9))
    return st.lists(edit, min_size=1, max_size=5).map(apply)


# Datagrams


@effort(120)
@given(
    kind=st.sampled_from([INITIATION, RESPONSE]),
    body=st.binary(min_size=112, max_size=112),
    ephemeral=st.none() | st.sampled_from([bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"]),
    loaded=st.booleans(),
)
def test_a_handshake_message_with_a_right_mac1_and_nothing_else_gets_silence(
    kind: int, body: bytes, ephemeral: bytes | None, loaded: bool
) -> None:
    p = pair(under_load=lambda now: loaded)
    p.a.send(packet(A4, B4))
    (mine,) = p.a.take()
    index = mine[4:8] if kind == RESPONSE else b""
    head = struct.pack("<II", kind, 7) + index
    length = {INITIATION: 116, RESPONSE: 60}[kind]
    forged = (head + (ephemeral or b"") + body)[:length]
    message = CookieGenerator(p.a.device.public_keys[0]).add_macs(forged, p.now)
    p.a.receive(message, ELSEWHERE)
    assert [data[0] for data in p.a.take()] == ([COOKIE_REPLY] if loaded else [])
    assert p.a.device.counters.total() == 1
    assert set(p.a.device.counters) <= {Drop.BAD_HANDSHAKE, Drop.LOW_ORDER_POINT, Drop.COOKIE_SENT}
    assert (p.a.peer.endpoint, p.a.peer.rx_bytes) == (ENDPOINT_B, 0)


@effort(120)
@given(index=st.booleans(), counter=st.integers(0, 2**64 - 1), sealed=st.binary(min_size=16, max_size=200))
def test_a_transport_message_without_the_key_gets_silence(index: bool, counter: int, sealed: bytes) -> None:
    p = pair().connect()
    session = p.b.peer.session
    assert session is not None
    receiver = session.local_index ^ (not index)
    p.b.receive(struct.pack("<IIQ", TRANSPORT, receiver, counter) + sealed, ELSEWHERE)
    assert p.b.take() == []
    assert p.b.delivered == []
    assert p.b.device.counters.total() == 1
    assert p.b.peer.endpoint == ENDPOINT_A
    p.a_to_b()
    assert len(p.b.delivered) == 1


# Inner packets


def reference(data: bytes) -> tuple[int, bytes] | None:
    """Length and source as RFC 791 and RFC 8200 have them, computed without any width."""
    version = data[0] >> 4
    if version == 4 and len(data) >= 20:
        length = int.from_bytes(data[2:4], "big")
        return (length, data[12:16]) if 20 <= length <= len(data) else None
    if version == 6 and len(data) >= 40:
        length = 40 + int.from_bytes(data[4:6], "big")
        return (length, data[8:24]) if length <= len(data) else None
    return None


inner_packets = st.binary(min_size=1, max_size=100) | st.sampled_from([packet(A4, B4), packet(A6, B6)]).flatmap(damaged)


@effort(200)
@given(inner_packets.filter(len))
def test_inner_lengths_and_sources(data: bytes) -> None:
    got: object
    try:
        got = length_and_source(data)
    except ProtocolError as error:
        got = error.drop
    assert got == (reference(data) or Drop.BAD_INNER)


@effort(120)
@given(st.binary(max_size=100) | st.sampled_from([packet(A4, B4), packet(A6, B6)]).flatmap(damaged))
def test_destinations(data: bytes) -> None:
    version, got = data[0] >> 4 if data else 0, None
    with contextlib.suppress(ProtocolError):
        got = destination(data)
    if version == 4 and len(data) >= 20:
        assert got == data[16:20]
    elif version == 6 and len(data) >= 40:
        assert got == data[24:40]
    else:
        assert got is None


@effort(120)
@given(inner_packets)
def test_any_inner_packet_of_a_peer_is_delivered_as_it_says_or_counted(data: bytes) -> None:
    p = pair().connect()
    session = p.a.peer.session
    assert session is not None
    p.b.receive(session.keys.seal(data), ENDPOINT_A)
    expected = reference(data) if data else None
    allowed = expected is not None and expected[1] in (ip_address(A4).packed, ip_address(A6).packed)
    assert p.b.delivered == ([data[: expected[0]]] if expected is not None and allowed else [])
    assert p.b.device.counters.total() == (0 if allowed or not data else 1)


# Configuration


def configured() -> tuple[NodeConfig, NodeSecrets]:
    link = LinkConfig("52:54:00:77:67:00", ("192.0.2.1/24",), ("192.0.2.2",))
    peers = (PeerConfig("b", (b"k" * 32, b"n" * 32), ("10.2.0.0/24", "fd00::/64"), "192.0.2.9:51820", 25),)
    return NodeConfig("mesh", "site", (b"o" * 32,), 51820, ("10.1.0.1/32",), link, link, peers), NodeSecrets(
        (KEY_A,), {b"k" * 32: (PSK_1,)}
    )


CONFIG, SECRETS = configured()


@pytest.mark.parametrize("read", [NodeConfig.from_json, NodeSecrets.from_json])
@effort(80)
@given(
    st.binary(max_size=100)
    | damaged(CONFIG.to_json())
    | damaged(SECRETS.to_json())
    | JSON.map(lambda value: json.dumps(value).encode())
)
def test_a_baked_blob_is_read_exactly_or_refused(read: Any, blob: bytes) -> None:
    try:
        got = read(blob)
    except ConfigError as error:
        said = str(error)
    else:
        said = ""
        assert read(got.to_json()).to_json() == got.to_json()
    assert "QUFB" not in said


@pytest.mark.parametrize("read", [NodeConfig.from_json, NodeSecrets.from_json])
@pytest.mark.parametrize("blob", [b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000])
def test_a_baked_blob_that_is_too_deep_or_too_long_is_refused(read: Any, blob: bytes) -> None:
    with pytest.raises(ConfigError):
        read(blob)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        (b'"10.2.0.0/24"', b'".2.0.0/24"'),
        (b'"10.2.0.0/24"', b'"10.2.0.1/24"'),
        (b'"10.2.0.0/24"', b"5"),
        (b'"192.0.2.9:51820"', b"5"),
        (b'"192.0.2.9:51820"', b"[]"),
        (b'"name":"site"', b'"name":"\\ud800"'),
        (b'"listenPort":51820', b'"listenPort":51820.0'),
    ],
)
def test_a_configuration_with_a_value_of_another_kind_is_refused(written: bytes, instead: bytes) -> None:
    """By its own error: PID 1 of the gateway reports that one, and knows no other."""
    blob = CONFIG.to_json()
    assert blob.count(written) == 1
    NodeConfig.from_json(blob)
    with pytest.raises(ConfigError, match="node configuration: "):
        NodeConfig.from_json(blob.replace(written, instead))


@effort(100)
@given(st.text(max_size=60))
def test_keys_are_32_bytes_or_refused(text: str) -> None:
    try:
        got: bytes | str = decode_key(text)
    except ValueError as error:
        got = str(error)
    assert len(got) == 32 if isinstance(got, bytes) else len(text) < 3 or text not in got


# UAPI

WORDS = [
    "set=1",
    "get=1",
    "private_key",
    "public_key",
    "preshared_key",
    "endpoint",
    "listen_port",
    "fwmark",
    "replace_peers",
    "replace_allowed_ips",
    "allowed_ip",
    "persistent_keepalive_interval",
    "remove",
    "update_only",
    "protocol_version",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "65535",
    "65536",
    "4294967296",
    "10.0.0.0/8",
    "::/0",
    "10.0.0.0/33",
    "192.0.2.1:51820",
    "[2001:db8::1]:51820",
    "[::1%lo]:1",
    "name.example:1",
    "41" * 32,
    "00" * 32,
    "42" * 31,
    "é" * 64,
    "²",
    "1" * 5000,
    "",
    " ",
    "\x00",
]
lines = st.lists(st.sampled_from(WORDS) | st.text(max_size=9), max_size=3).map("=".join)
requests = st.tuples(st.sampled_from(["set=1", "get=1", ""]), st.lists(lines, max_size=12)).map(
    lambda parts: "\n".join([parts[0], *parts[1], "", ""])
)


@effort(150)
@given(st.lists(requests | st.text(max_size=100), max_size=4))
def test_uapi_answers_every_request_with_an_errno_or_not_at_all(texts: list[str]) -> None:
    device = Node(Clock(), ENDPOINT_A, (KEY_A,), 1).device
    for text in texts:
        reply = handle(device, text, 0.0, wall=0.0)
        assert reply == "" or reply.endswith("\n\n")
        assert (reply == "") is (text.partition("\n")[0] not in ("get=1", "set=1"))
        assert all(line.partition("=")[1] for line in reply.splitlines() if line)
    got = handle(device, "get=1\n\n", 0.0, wall=0.0)
    again = Node(Clock(), ENDPOINT_A, (KEY_A,), 1).device
    settable = [line for line in got.splitlines() if not line.startswith(("errno", "rx_", "tx_", "last_"))]
    assert handle(again, "\n".join(["set=1", *settable, "", ""]), 0.0) == "errno=0\n\n"


@effort(120)
@given(
    st.text(max_size=40)
    | st.sampled_from(WORDS).flatmap(lambda word: damaged(word.encode())).map(lambda raw: raw.decode(errors="replace"))
)
def test_endpoints_are_what_ipaddress_takes_or_refused(text: str) -> None:
    try:
        endpoint = parse_endpoint(text)
    except ValueError:
        return
    assert ip_address(endpoint.address.partition("%")[0])
    assert 0 <= endpoint.port <= 65535
    assert parse_endpoint(str(endpoint)) == endpoint


whole_requests = st.lists(lines.filter(lambda line: line and "\n" not in line), max_size=6).map(
    lambda given: "\n".join(["set=1", *given, "", ""]).encode()
) | st.just(b"get=1\n\n")


@effort(100)
@given(st.lists(whole_requests, max_size=5), st.lists(st.integers(1, 40), max_size=50))
def test_uapi_requests_come_out_of_any_pieces(requests: list[bytes], sizes: list[int]) -> None:
    stream, waiting, got = b"".join(requests), b"", []
    for size in [*sizes, len(stream) + 1]:
        searched = max(0, len(waiting) - 1)
        waiting, stream = waiting + stream[:size], stream[size:]
        while (length := request_length(waiting, searched)) is not None:
            got.append(waiting[:length])
            waiting, searched = waiting[length:], 0
    assert (got, waiting) == (requests, b"")


@effort(100)
@given(st.binary(max_size=60) | whole_requests.flatmap(damaged))
def test_a_uapi_request_is_some_of_what_is_there_or_not_whole_yet(data: bytes) -> None:
    length = request_length(data)
    assert length is None or 0 < length <= len(data)
    if length is None:
        assert data[:6] in (b"set=1\n", b"get=1\n") or b"\n" not in data[:6]


# Inner packets on their way out


@effort(200)
@given(st.binary(max_size=80) | inner_packets)
def test_any_inner_packet_is_one_of_a_tunnel_or_not(data: bytes) -> None:
    """Programs of this machine may put anything into the interface."""
    carries = is_tunnel_datagram(data)
    fragment = 44  # of IPv6, but taken as one wherever it says so
    if len(data) < 28 or (data[0] >> 4 == 4 and data[9] not in (17, fragment)):
        assert not carries


# The control channel


@effort(60)
@given(
    st.lists(JSON.map(lambda value: {"type": "x", "value": value}), max_size=5),
    st.lists(st.integers(1, 50), max_size=50),
)
def test_frames_come_out_of_any_pieces(messages: list[dict[str, Any]], sizes: list[int]) -> None:
    messages = json.loads(json.dumps(messages, allow_nan=False)) if _finite(messages) else []
    stream = b"".join(map(encode, messages))
    decoder, got = Decoder(), []
    for size in [*sizes, len(stream) + 1]:
        piece, stream = stream[:size], stream[size:]
        got += decoder.feed(piece)
    assert got == messages


def _finite(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


@effort(120)
@given(st.lists(st.binary(max_size=60) | damaged(encode({"type": "hello"})), max_size=8))
def test_a_stream_out_of_step_is_an_error_and_holds_no_more_than_a_frame(pieces: list[bytes]) -> None:
    decoder = Decoder()
    for piece in pieces:
        try:
            messages = decoder.feed(piece)
        except FrameError:
            assert decoder._buffer == b""
        else:
            assert all(isinstance(message["type"], str) for message in messages)
        assert len(decoder._buffer) <= LARGEST_FRAME + 4
