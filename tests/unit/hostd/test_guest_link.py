from pathlib import Path

import pytest

from tests.unit.hostd.fakes import FakeGuest, turn
from wgnode.hostd import guest as guest_module
from wgnode.hostd.guest import GuestLink
from wgnode.io.control import Message
from wgnode.io.loop import Loop

HELLO = {"type": "hello", "name": "berlin", "error": None}


@pytest.fixture
def told() -> list[Message]:
    return []


@pytest.fixture
def link(loop: Loop, guest: FakeGuest, told: list[Message]) -> GuestLink:
    return GuestLink(loop, guest.path, told.append, lambda _: None)


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
    answers: dict[str, Message | None] = {}
    for name in ("one", "two"):
        link.request({"type": "uapi", "text": name}, lambda reply, name=name: answers.update({name: reply}))  # type: ignore[misc]
    turn(loop, guest, lambda: len(guest.of_type("uapi")) == 2)
    for question in reversed(guest.of_type("uapi")):
        guest.send({"type": "reply", "id": question["id"], "text": f"to {question['text']}"})
    turn(loop, guest, lambda: len(answers) == 2)
    assert {name: reply and reply["text"] for name, reply in answers.items()} == {"one": "to one", "two": "to two"}


def test_no_answer_in_time_is_none_and_a_late_one_is_ignored(loop: Loop, guest: FakeGuest, link: GuestLink) -> None:
    greeted(loop, guest, link)
    answers: list[Message | None] = []
    link.request({"type": "health"}, answers.append, timeout=0.05)
    turn(loop, guest, lambda: answers)
    guest.send({"type": "reply", "id": guest.of_type("health")[0]["id"]})
    guest.send({"type": "log", "text": "after"})
    turn(loop, guest, lambda: link.alive_at)
    assert answers == [None]


def test_questions_fail_when_the_guest_goes_away(loop: Loop, guest: FakeGuest, link: GuestLink) -> None:
    greeted(loop, guest, link)
    answers: list[Message | None] = []
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
    link = GuestLink(loop, tmp_path / "none.sock", lambda _: None, lambda _: None)
    answers: list[Message | None] = []
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
    loop: Loop, guest: FakeGuest, link: GuestLink, told: list[Message]
) -> None:
    greeted(loop, guest, link)
    guest.send(HELLO)
    guest.send({"type": "log", "text": "after"})
    turn(loop, guest, lambda: len(told) == 2)
    assert [message["type"] for message in told] == ["hello", "log"]
