"""What a guest says becomes a frozen value, or is refused; both sides of each bound."""

import json
from typing import Any

import pytest

from tests.unit.hostd.reports import NOW, peer
from wgnode.hostd import said
from wgnode.hostd.parts import MOST_PEERS
from wgnode.hostd.said import HOUR, Failure, Health, Heartbeat, Hello, LogLine, Other, Outcome, Refused, Reply, UapiText
from wgnode.nodeconfig import encode_key

KEY = encode_key(bytes(32))
PEER = peer(KEY)


def parse(message: Any) -> said.Said:
    return said.parse(message if isinstance(message, bytes) else json.dumps(message).encode(), NOW)


def health(**changes: Any) -> Any:
    told = parse({"type": "reply", "id": 1, "health": {"live": "ab", "peers": [PEER], **changes}})
    assert isinstance(told, Reply)
    return told.content


def peer(**changes: Any) -> Any:
    return health(peers=[{**PEER, **changes}])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"nonsense",
        b"[]",
        b'"text"',
        b"null",
        b"{}",
        b'{"type":7}',
        b'{"type":["hello"]}',
        b'{"type":"hello","type":"log"}',
        b'{"type":"heartbeat","tai64n":NaN}',
        b'{"type":"heartbeat","tai64n":Infinity}',
        b'{"type":"heartbeat","tai64n":-Infinity}',
        b'{"type":"heartbeat","tai64n":1e999}',
        b'{"type":"heartbeat","tai64n":1e3}',
        b'{"type":"heartbeat","tai64n":' + b"9" * 5000 + b"}",
        b'{"type":"heartbeat","tai64n":"1"}',
        b'{"type":"heartbeat","tai64n":null}',
        b'{"type":"heartbeat","tai64n":true}',
        b'{"type":"heartbeat","tai64n":[1]}',
        b'{"type":"heartbeat","tai64n":-1}',
        b'{"type":"log","text":null}',
        b'{"type":"log"}',
        b'{"type":"x","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"type":"x","a":[' + b"0," * 500_000 + b"0]}",
        b'{"type":"x","a":"' + b"a" * (256 << 10) + '\u20ac"}'.encode(),
        b'{"type":"x","a":"' + b"a" * (256 << 10) + b'\\ud83d\\ude00"}',
        b'{"type":"hello","name":"a\\u001b[2J"}',
        b'{"type":"hello","name":"\\ud800"}',
        b'{"type":"hello","can":"configure"}',
        b'{"type":"hello","can":[["configure"]]}',
        b'{"type":"reply","id":"1","text":""}',
        b'{"type":"reply","id":true,"text":""}',
        b'{"type":"reply"}',
    ],
    ids=lambda body: repr(body[:50]),
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        said.parse(body, NOW)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 200


def test_messages_become_values() -> None:
    hello = {"type": "hello", "name": "berlin", "version": "0.1.0", "error": "a\nb", "can": ["resume"], "endpoints": 3}
    assert parse(hello) == Hello("berlin", "0.1.0", "a\\nb", frozenset({"resume"}))
    assert parse({"type": "from the future\n", "x": [1]}) == Other("from the future\\n")
    assert parse({"type": "reply", "id": 4, "applied": "ab", "endpoints": {"x": 1}}) == Reply(
        4, Outcome({"applied": "ab"})
    )
    assert parse({"type": "reply", "id": 4, "restart": "the\nname"}) == Reply(4, Outcome({"restart": "the\\nname"}))
    assert parse({"type": "reply", "id": 4, "error": "no"}) == Reply(4, Failure("no", 90))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, and \u00fcml\u00e4ut", "plain, and \u00fcml\u00e4ut"),
        ("a\n<3>forged", "a\\n<3>forged"),
        ("\x1b[2J\x07\r\x9b", "\\x1b[2J\\x07\\r\\x9b"),
        ("\ud800", "\\ud800"),
        ("\u2028\u202e\u200b\x85", "\\u2028\\u202e\\u200b\\x85"),
        ("x" * 2000, "x" * 2000),
        ("x" * 2003, "x" * 2000 + "[3 characters more]"),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_log_line_is_one_line_that_no_terminal_obeys(text: str, shown: str) -> None:
    assert parse({"type": "log", "level": "info", "text": text}) == LogLine("info", shown)
    assert shown.isprintable()


@pytest.mark.parametrize("level", ["fatal", None, [], {}, 3])
def test_a_level_that_is_none_is_info(level: Any) -> None:
    assert parse({"type": "log", "level": level, "text": "x"}) == LogLine("info", "x")


def test_a_time_stamp_is_believed_up_to_an_hour_beyond_the_hosts_clock() -> None:
    assert parse({"type": "heartbeat", "tai64n": NOW + HOUR}) == Heartbeat(NOW + HOUR)
    assert parse({"type": "heartbeat", "tai64n": NOW + HOUR + 1}) == Heartbeat(None)
    assert parse({"type": "heartbeat", "tai64n": 32_503_680_000 * 10**9}) == Heartbeat(None), "the year 3000"
    assert parse({"type": "heartbeat", "tai64n": 5}) == Heartbeat(5), "its last handshake was long ago"


@pytest.mark.parametrize("text", ["", "errno=0\n\n", "errno=-22\n\n", "a=b\nallowed_ip=fd00::/64\nerrno=0\n\n"])
def test_an_answer_of_uapi_is_passed_on(text: str) -> None:
    assert parse({"type": "reply", "id": 1, "text": text}) == Reply(1, UapiText(text))


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "\n\n",
        "errno=0\n",
        "errno=0",
        "a=b\n\nerrno=0\n\n",
        "errno=0\n\nerrno=0\n\n",
        "errno=0\n\n\n",
        "a=\x1b[2J\nerrno=0\n\n",
        "a=\u00e4\nerrno=0\n\n",
        "no sign\nerrno=0\n\n",
        "a=b\nerrno=x\n\n",
        "a=b\nnoerrno=0\n\n",
        "a=b\n\n",
        7,
        None,
        ["errno=0\n\n"],
    ],
    ids=repr,
)
def test_what_would_confuse_a_client_of_uapi_is_an_error(text: Any) -> None:
    told = parse({"type": "reply", "id": 1, "text": text})
    assert isinstance(told, Reply)
    assert isinstance(told.content, Failure)
    assert told.content.number == 71


def test_health_is_made_anew_of_what_was_judged() -> None:
    confined = {"confinement": {"seccomp": "2", "file-systems": "/dev"}, "unconfined": ["file-systems"]}
    told = health(uptime=3.5, surprise={"a": 1}, counters={"replay": 3}, offloads=["uso"], status="running", **confined)
    assert told == Health(
        {"live": "ab", "uptime": 3.5, "counters": {"replay": 3}, "offloads": ["uso"], "peers": [PEER], **confined},
        {KEY: said.PeerPlace(PEER["endpoint"], PEER["last_handshake"])},
        (said.Learned(KEY, 4, "192.0.2.1", 1440, PEER["path_mtu"]["since"]),),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"live": 3},
        {"live": "a b"},
        {"live": "a" * 65},
        {"loaded": {"a": 1}},
        {"applied": ["ab"]},
        {"error": 3},
        {"uptime": "long"},
        {"uptime": True},
        {"time": None},
        {"peers": {}},
        {"peers": None},
        {"peers": [None]},
        {"peers": [[]]},
        {"peers": [{}]},
        {"peers": [PEER, PEER]},
        {"public_keys": ["AAAA"]},
        {"public_keys": KEY},
        {"listen_port": 65536},
        {"listen_port": -1},
        {"fwmark": 1 << 32},
        {"counters": {"a": "b"}},
        {"counters": {"a": True}},
        {"counters": {"\x1b": 1}},
        {"counters": {str(number): 1 for number in range(1001)}},
        {"pid1": 3},
        {"pid1": {"argv": "x"}},
        {"offloads": "uso"},
        {"confinement": {"seccomp": 2}},
        {"confinement": {"seccomp": "\x1b[2J"}},
        {"confinement": {str(number): "1" for number in range(65)}},
        {"unconfined": ["two words"]},
        {"kernel": "6.1\n"},
    ],
    ids=lambda changes: repr(changes)[:60],
)
def test_health_of_another_shape_is_an_error(changes: dict[str, Any]) -> None:
    assert isinstance(health(**changes), Failure)


PATH = {"size": 1440, "evidence": "probe", "since": 1.0, "family": 4, "own": "192.0.2.1"}
ODD_PATHS: list[dict[str, Any]] = [
    *({"size": size} for size in (67, 65576, True, "1440", 1440.0, None)),
    *({"evidence": word} for word in ("a\nb", 7, None, "x" * 65)),
    *({"since": time} for time in ("x", None, True, 1e300)),
    *({"family": family} for family in (3, 7, True, "4")),
    *({"own": own} for own in (" ", "fe80::1%3", "gate.example", 7, "192.0.2.1:5")),
    *({"history": [PATH] * count} for count in (65, 10_000)),
    *({"history": history} for history in (7, [7], [{}], [{"size": 1440, "evidence": "probe"}])),
    {"state": "a b"},
    {"why": 7},
    *({"back": back} for back in (1400, {"size": 67, "evidence": "echo", "since": 1.0}, {"size": 1400})),
    *({"round_trip": odd} for odd in ("x", True, 1e300)),
    *({name: odd} for name in ("small_sent", "small_answered") for odd in (-1, 1.5, None, 1 << 64)),
]


@pytest.mark.parametrize(
    "changes",
    [
        {"public_key": "AAAA"},
        {"public_key": KEY[:-2] + "B="},  # the same bytes, written in another way
        {"public_key": KEY + "\n"},
        {"public_key": None},
        {"public_keys": [KEY] * 3},
        {"name": "a\nb"},
        {"name": 5},
        {"endpoint": 5},
        {"endpoint": "gate.example:51820"},
        {"endpoint": "203.0.113.2"},
        {"endpoint": "203.0.113.2:65536"},
        {"endpoint": "203.0.113.2:\u0661"},
        {"endpoint": "2001:db8::1:5"},
        {"endpoint": "[203.0.113.2]:5"},
        {"allowed_ips": "10.0.0.0/8"},
        {"allowed_ips": ["10.0.0.1/8"]},
        {"allowed_ips": ["10.0.0.0/33"]},
        {"allowed_ips": ["10.0.0.0/\u0668"]},
        {"allowed_ips": ["10.0.0.0"]},
        {"allowed_ips": [7]},
        {"last_handshake": "x"},
        {"last_handshake": True},
        {"last_handshake": NOW / 1e9 + 3601},
        {"last_handshake": 1 << 100},
        {"rx_bytes": -1},
        {"tx_bytes": 1.5},
        {"persistent_keepalive": 65536},
        *({"path_mtu": odd} for odd in (7, [], "", {}, {"size": 1440, "evidence": "probe"})),
        *({"path_mtu": PATH | odd} for odd in ODD_PATHS),
    ],
    ids=repr,
)
def test_a_peer_of_another_shape_is_an_error(changes: dict[str, Any]) -> None:
    assert isinstance(peer(**changes), Failure)


@pytest.mark.parametrize(
    ("endpoint", "place"),
    [
        (None, None),
        ("203.0.113.2:1", "203.0.113.2:1"),
        ("[2001:DB8::1]:5", "[2001:db8::1]:5"),
        ("[::ffff:203.0.113.2]:5", "203.0.113.2:5"),
        ("203.0.113.2:0", None),
        ("0.0.0.0:5", None),
        ("0.1.2.3:5", None),
        ("[::]:5", None),
        ("224.0.0.1:5", None),
        ("[ff02::1]:5", None),
        ("255.255.255.255:5", None),
        ("127.0.0.1:5", None),
        ("[::1]:5", None),
        ("[fe80::1%3]:5", None),
        ("[::ffff:224.0.0.1]:5", None),
    ],
)
def test_an_endpoint_that_makes_no_sense_is_told_and_not_kept(endpoint: str | None, place: str | None) -> None:
    told = peer(endpoint=endpoint)
    assert isinstance(told, Health)
    assert told.places[KEY].endpoint == place


@pytest.mark.parametrize(
    ("changes", "learned"),
    [
        ({}, True),
        ({"family": 6, "own": "2001:db8::1"}, True),
        ({"own": ""}, True),
        ({"own": "", "family": 6}, True),
        ({"own": "", "family": 5}, False),
        ({"own": "", "family": None}, False),
        ({"evidence": "hint"}, False),
        ({"evidence": "memory"}, False),
        ({"evidence": "unknown"}, False),
        ({"own": None}, True),
        ({"family": 6}, False),
        ({"own": "2001:db8::1"}, False),
        ({"since": NOW / 1e9 + 3601}, False),
    ],
)
def test_only_what_probes_have_shown_of_a_path_that_can_be_told_apart_is_learned(
    changes: dict[str, Any], learned: bool
) -> None:
    path = PATH | changes
    found = health(peers=[PEER | {"path_mtu": path}])
    expected = said.Learned(KEY, path["family"], path["own"] or "", 1440, 1.0)
    assert found.learned == ((expected,) if learned else ())


def test_a_path_is_passed_on_without_what_only_newer_versions_know() -> None:
    back = {"size": 1400, "evidence": "echo", "since": 0.5}
    told = PATH | {"history": [{"size": 1280, "evidence": "unknown", "since": 0.5}], "back": back, "why": "route"}
    more = told | {"later": "than us", "history": [told["history"][0] | {"later": 1}]}
    (found,) = health(peers=[PEER | {"path_mtu": more}]).report["peers"]
    assert found["path_mtu"] == told
    assert health(peers=[PEER | {"path_mtu": None}]).report["peers"][0]["path_mtu"] is None


def test_ten_thousand_peers_can_be_told_and_more_peers_than_a_node_may_have_can_not() -> None:
    peers = [{**PEER, "public_key": encode_key(number.to_bytes(32, "big"))} for number in range(MOST_PEERS + 1)]
    assert isinstance(health(peers=peers), Failure)
    path = {"inner": 1380, "why": "endpoint", "unmeasured": None, "spent": 9, "small_sent": 9, "small_answered": 9}
    path |= {"round_trip": 0.02, "back": {"size": 1440, "evidence": "echo", "since": 1.0}, "history": []}
    more = {"rx_packets": 1, "tx_packets": 1, "sessions": 1, "serial": 1, "denied": 1, "closed": True}
    whole = {**more, "denials": [], "path_mtu": PEER["path_mtu"] | path}
    assert isinstance(health(peers=[each | whole for each in peers[:10_100]]), Health)


def test_what_a_host_tells_is_judged_where_it_is_read() -> None:
    told = {"status": "running", "error": None, "live": "ab", "peers": [PEER]}
    assert said.answered(json.dumps({**told, "surprise": 1})) == told
    for nothing in ("", "null", "[]", "{", "[" * 100_000, "\ud800"):
        assert said.answered(nothing) == {}


@pytest.mark.parametrize(
    "lie",
    [{"status": ["running"]}, {"peers": 3}, {"peers": [{}]}, {"live": {}}, {"peers": [{**PEER, "allowed_ips": ["x"]}]}],
)
def test_an_older_hostd_that_passes_on_lies_is_not_believed(lie: dict[str, Any]) -> None:
    told = said.believed({"status": "running", "live": "ab", "peers": [PEER], **lie})
    assert (told["status"], "live" in told) == ("silent", False)
    assert "not believed" in told["error"]
