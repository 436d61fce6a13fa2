import contextlib
from pathlib import Path

import pytest

from tests.unit.hostd.fakes import FakeGuest, turn
from wgnode.hostd import guest as guest_module
from wgnode.hostd.guest import Content, GuestLink
from wgnode.hostd.said import Failure, Hello, LogLine, Said, UapiText
from wgnode.io.control import encode
from wgnode.io.loop import Loop

HELLO = {"type": "hello", "name": "berlin", "error": None}


@pytest.fixture
def told() -> list[Said]:
    return []


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def link(loop: Loop, guest: FakeGuest, told: list[Said], lines: list[str]) -> GuestLink:
    return GuestLink(loop, [guest.path], told.append, lines.append)


def greeted(loop: Loop, guest: FakeGuest, link: GuestLink) -> None:
    turn(loop, guest, lambda: guest.connection)
    guest.send(HELLO)
    turn(loop, guest, lambda: link.hello)


def test_a_guest_that_does_not_greet_is_asked_to(loop: Loop, guest: FakeGuest, link: GuestLink) -> None:
    turn(loop, guest, lambda: guest.of_type("hello"))
    assert link.status == "booting"
    guest.send(HELLO)
    turn(loop, guest, lambda: link.status == "running")


def test_answers_find_their_questions_in_any_order(loop: Loop, guest: FakeGuest, link: GuestLink) -> None:
    greeted(loop, guest, link)
    answers: dict[str, Content | None] = {}
    for name in ("one", "two"):
        link.request({"type": "uapi", "text": name}, lambda reply, name=name: answers.update({name: reply}))  # type: ignore[misc]
    turn(loop, guest, lambda: len(guest.of_type("uapi")) == 2)
    for question in reversed(guest.of_type("uapi")):
        guest.send({"type": "reply", "id": question["id"], "text": f"to={question['text']}\nerrno=0\n\n"})
    turn(loop, guest, lambda: len(answers) == 2)
    assert answers == {name: UapiText(f"to={name}\nerrno=0\n\n") for name in ("one", "two")}


def test_no_answer_in_time_is_none_and_a_late_one_is_ignored(loop: Loop, guest: FakeGuest, link: GuestLink) -> None:
    greeted(loop, guest, link)
    answers: list[Content | None] = []
    link.request({"type": "health"}, answers.append, timeout=0.05)
    turn(loop, guest, lambda: answers)
    guest.send({"type": "reply", "id": guest.of_type("health")[0]["id"]})
    guest.send({"type": "log", "text": "after"})
    turn(loop, guest, lambda: link.alive_at)
    assert answers == [None]


def test_questions_fail_when_the_guest_goes_away(loop: Loop, guest: FakeGuest, link: GuestLink) -> None:
    greeted(loop, guest, link)
    answers: list[Content | None] = []
    link.request({"type": "health"}, answers.append)
    turn(loop, guest, lambda: guest.of_type("health"))
    guest.close()
    while not answers:
        loop.run_once(0.05)
    assert answers == [None]
    assert link.status == "stopped"


def test_a_new_machine_is_found_by_itself(
    loop: Loop, guest: FakeGuest, link: GuestLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_module, "RECONNECT", 0.02)
    greeted(loop, guest, link)
    guest.close()
    second = FakeGuest(tmp_path)
    greeted(loop, second, link)
    assert link.status == "running"
    second.close()


def test_a_question_without_a_guest_fails_at_once_but_never_before_the_call_returns(loop: Loop, tmp_path: Path) -> None:
    link = GuestLink(loop, [tmp_path / "none.sock"], lambda _: None, lambda _: None)
    answers: list[Content | None] = []
    link.request({"type": "health"}, answers.append)
    assert answers == []
    loop.run_once(0.01)
    assert answers == [None]


def test_garbage_on_the_channel_ends_the_connection_not_the_process(
    loop: Loop, guest: FakeGuest, link: GuestLink
) -> None:
    greeted(loop, guest, link)
    assert guest.connection is not None
    guest.connection.sendall(b"\xff" * 100)
    turn(loop, guest, lambda: link.connected_at is None)


def test_a_guest_without_signs_of_life_is_silent_and_one_whose_node_failed_says_so(
    loop: Loop, guest: FakeGuest, link: GuestLink
) -> None:
    greeted(loop, guest, link)
    assert link.alive_at is not None
    link.alive_at = loop.now() - guest_module.SILENT_AFTER + 0.5
    assert link.status == "running"
    link.alive_at = loop.now() - guest_module.SILENT_AFTER - 0.1
    assert link.status == "silent"
    guest.send({**HELLO, "error": "node configuration: cut off"})
    turn(loop, guest, lambda: link.status == "failed")


def test_a_greeting_that_says_nothing_new_is_told_once(
    loop: Loop, guest: FakeGuest, link: GuestLink, told: list[Said]
) -> None:
    greeted(loop, guest, link)
    guest.send(HELLO)
    guest.send({"type": "log", "text": "after"})
    turn(loop, guest, lambda: len(told) == 2)
    assert told == [Hello("berlin"), LogLine("info", "after")]


def test_nonsense_is_no_sign_of_life_and_fills_no_journal(
    loop: Loop, guest: FakeGuest, link: GuestLink, told: list[Said], lines: list[str]
) -> None:
    greeted(loop, guest, link)
    before = link.alive_at
    for _ in range(50):
        guest.send({"type": "heartbeat", "tai64n": "soon"})
    turn(loop, guest, lambda: link.refused == 50)
    assert (link.alive_at, told) == (before, [Hello("berlin")])
    assert len(lines) == guest_module.REFUSALS[1], "of 50"
    assert "tai64n" in lines[0]


def test_an_answer_that_is_refused_is_an_error_at_once(loop: Loop, guest: FakeGuest, link: GuestLink) -> None:
    greeted(loop, guest, link)
    answers: list[Content | None] = []
    link.request({"type": "health"}, answers.append)
    turn(loop, guest, lambda: guest.of_type("health"))
    guest.send({"type": "reply", "id": guest.of_type("health")[0]["id"], "health": {"peers": [1]}})
    turn(loop, guest, lambda: answers, limit=1.0)
    assert isinstance(answers[0], Failure)


def test_a_request_that_fits_no_frame_is_an_error(loop: Loop, guest: FakeGuest, link: GuestLink) -> None:
    greeted(loop, guest, link)
    answers: list[Content | None] = []
    for text in ("a" * ((16 << 20) - 40), "a" * (16 << 20), "\n" * (16 << 20)):
        link.request({"type": "uapi", "text": text}, answers.append)
    assert answers == []
    turn(loop, guest, lambda: len(guest.of_type("uapi")) == 1 and len(answers) == 2)
    assert all(isinstance(answer, Failure) and answer.number == 90 for answer in answers)


def test_a_guest_that_talks_without_end_is_heard_only_so_fast(
    loop: Loop, guest: FakeGuest, link: GuestLink, told: list[Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    greeted(loop, guest, link)
    connection = guest.connection
    assert connection is not None
    line = encode({"type": "log", "level": "info", "text": "x" * 1000})
    connection.setblocking(False)
    began, ended, unsent = loop.now(), loop.now() + 1.0, b""
    while loop.now() < ended:
        loop.run_once(0.01)
        with contextlib.suppress(BlockingIOError):
            while True:
                unsent = unsent or line * 20
                unsent = unsent[connection.send(unsent) :]
    burst, rate = guest_module.MESSAGES[1], guest_module.MESSAGES[0]
    assert 500 < len(told) < burst + rate * (loop.now() - began) + 2 * 65536 / len(line)
    assert link.status == "running", "it is heard, and has to wait"
