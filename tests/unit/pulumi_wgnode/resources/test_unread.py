"""A resource whose host does not let us in just now, or is away."""

from __future__ import annotations

import pytest

from pulumi_wgnode.call import options
from pulumi_wgnode.call.kind import Diff, PropertyChange
from pulumi_wgnode.call.options import Options
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import (
    HostError,
    HostHangs,
    HostKeyMismatch,
    HostUnreachable,
    LoginRefused,
    NoRoot,
    NoShell,
    ShutOut,
)
from pulumi_wgnode.resources import unread
from pulumi_wgnode.resources.unread import OnHost

INPUTS = {"connection": {"address": "192.0.2.1", "hostKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"]}}
STATE = {**INPUTS, "rules": {"a": "b"}}
AWAY = HostUnreachable("host root@192.0.2.1: cannot connect")


class Kind:
    """Fails with `error`, whatever it is to do on the host."""

    def __init__(self, error=None, changes=()):
        self.error, self.changes, self.seen = error, changes, []

    def read(self, id, state, inputs):
        self._do(state)
        return {"rules": {}}, inputs

    def diff(self, state, old_inputs, news):
        self.seen.append(state)
        return Diff(self.changes)

    def create(self, name, inputs, preview):
        self._do(inputs)
        return "id", inputs

    def update(self, id, state, inputs, preview):
        self._do(state)
        return {"rules": {}}

    def delete(self, id, state):
        self._do(state)

    def _do(self, state):
        self.seen.append(state)
        if self.error:
            raise self.error


def on_host(error=None, changes=(), away=None):
    """`away` is what connecting raises, by default what the kind does."""
    made = Kind(error, changes)

    def connect(_):
        if away or error:
            raise away or error

    return OnHost(made, connect), made


@pytest.fixture
def warnings(monkeypatch):
    said = []
    monkeypatch.setattr(unread, "warn", lambda error, then="", _=None: said.append(f"{error}{then}"))
    return said


@pytest.fixture
def skipping(monkeypatch):
    monkeypatch.setattr(options, "_current", Options(skip_unreachable=True))


@pytest.fixture
def deleting(monkeypatch):
    monkeypatch.setattr(options, "_current", Options(delete_unreachable=True))


def paths(kind, state):
    return [change.path for change in kind.diff(state, INPUTS, INPUTS).changes]


@pytest.mark.parametrize(
    ("error", "mark"),
    [
        (HostUnreachable, "unreached"),
        (HostHangs, "unreached"),
        (ShutOut, "unreached"),
        (HostKeyMismatch, "unread"),
        (LoginRefused, "unread"),
        (NoRoot, "unread"),
        (NoShell, "unread"),
    ],
)
def test_the_recorded_state_is_kept_and_is_a_difference(error, mark, warnings):
    kind, _ = on_host(error("host root@192.0.2.1: cannot connect"))
    state, inputs = kind.read("id", STATE, INPUTS)
    assert state == {**STATE, mark: "host root@192.0.2.1: cannot connect"}
    assert inputs == INPUTS
    assert paths(kind, state) == [mark]
    by = "" if mark == "unreached" else unread._READ_BY
    assert warnings == [f"host root@192.0.2.1: cannot connect{by}"]


def test_another_error_is_an_error():
    with pytest.raises(HostError, match="disk full"):
        on_host(HostError("disk full"))[0].read("id", {}, INPUTS)


def test_once_read_again_the_difference_is_gone():
    kind, _ = on_host()
    state, _ = kind.read("id", {**STATE, "unread": "refused", "unreached": "away"}, INPUTS)
    assert state == {"rules": {}}
    assert paths(kind, state) == []


def test_the_kind_itself_never_sees_a_mark():
    marked = {"unread": "refused", "unreached": "away", "passedOver": "away"}
    kind, inner = on_host(AWAY)
    kind.read("id", marked, INPUTS)
    inner.error = None
    kind.diff(marked, INPUTS, INPUTS)
    assert kind.update("id", marked, INPUTS, False) == {"rules": {}}
    kind.delete("id", marked)
    assert inner.seen == [{}] * 4


def test_a_replacement_is_not_made_an_update():
    kind, _ = on_host(changes=(PropertyChange("connection.address", replace=True),))
    assert paths(kind, {"unread": "refused", "passedOver": "away"}) == ["connection.address"]


def test_importing_by_id_says_what_to_do_instead():
    with pytest.raises(ExplainedError, match="adopts what is already there"):
        on_host()[0].read("id", {}, {})


@pytest.mark.usefixtures("skipping")
def test_a_host_that_is_skipped_is_no_difference_whoever_read_it(warnings):
    kind, _ = on_host(AWAY)
    state, _ = kind.read("id", {**STATE, "unreached": "earlier"}, INPUTS)
    assert state == STATE
    assert paths(kind, state) == []
    assert "skipped (wgnode:skipUnreachable)" in warnings[0]
    # The engine reads with the options of the last `up`, and compares with the present ones.
    assert paths(kind, {**STATE, "unreached": "away"}) == []


@pytest.mark.usefixtures("skipping")
@pytest.mark.parametrize("error", [HostKeyMismatch, LoginRefused])
def test_a_host_that_refuses_us_is_not_skipped(error):
    kind, _ = on_host(error("refused"))
    state, _ = kind.read("id", STATE, INPUTS)
    assert paths(kind, state) == ["unread"]
    with pytest.raises(error):
        kind.update("id", STATE, INPUTS, False)


@pytest.mark.usefixtures("skipping")
def test_an_update_is_passed_over_until_the_host_is_back_and_then_done(warnings):
    kind, inner = on_host(AWAY)
    state = kind.update("id", {**STATE, "unreached": "away"}, INPUTS, False)
    assert state == {**STATE, "passedOver": str(AWAY)}
    assert "passed over" in warnings[0]
    assert inner.seen == [], "it was not begun"
    assert paths(kind, kind.read("id", state, INPUTS)[0]) == ["passedOver"], "still away"
    back, _ = on_host()
    state, _ = back.read("id", state, INPUTS)
    assert paths(back, state) == ["passedOver"], "even where what was read shows no difference"
    state = back.update("id", state, INPUTS, False)
    assert paths(back, back.read("id", state, INPUTS)[0]) == []


@pytest.mark.usefixtures("skipping", "deleting")
def test_creating_on_a_host_that_is_away_fails_as_ever():
    with pytest.raises(HostUnreachable):
        on_host(AWAY)[0].create("name", INPUTS, False)


@pytest.mark.usefixtures("skipping")
def test_a_connection_that_breaks_in_the_middle_of_an_update_is_an_error():
    kind = OnHost(Kind(AWAY), lambda _: None)
    with pytest.raises(HostUnreachable):
        kind.update("id", STATE, INPUTS, False)


@pytest.mark.parametrize("error", [AWAY, HostKeyMismatch("host root@192.0.2.1: shows another key")])
def test_deleting_what_cannot_be_reached_tells_how_to_forget_it(error):
    with pytest.raises(type(error), match=r"WGNODE_DELETE_UNREACHABLE=true .*forget-a-host\.md") as raised:
        on_host(error)[0].delete("id", STATE)
    assert raised.value.cause == error.cause, "one with what was told before"


@pytest.mark.usefixtures("deleting")
@pytest.mark.parametrize("error", [AWAY, HostKeyMismatch("host root@192.0.2.1: shows another key")])
def test_what_was_on_a_host_that_is_not_there_any_more_is_forgotten_when_told_so(error, warnings):
    on_host(error)[0].delete("id", STATE)
    assert f"{error}; forgotten (wgnode:deleteUnreachable)" in warnings[0]


@pytest.mark.usefixtures("deleting")
def test_nothing_is_forgotten_on_a_host_that_is_there():
    with pytest.raises(LoginRefused):
        on_host(LoginRefused("refuses the key"))[0].delete("id", STATE)
    with pytest.raises(HostUnreachable):
        OnHost(Kind(AWAY), lambda _: None).delete("id", STATE)
    with pytest.raises(HostError, match="busy"):
        on_host(HostError("busy"))[0].delete("id", STATE)
    with pytest.raises(ShutOut, match=r"for a while$"):
        on_host(ShutOut("takes nobody for a while"))[0].delete("id", STATE)


@pytest.mark.parametrize("error", [LoginRefused, NoRoot, NoShell])
def test_deleting_by_a_login_that_is_gone_says_which_one_that_is(error):
    with pytest.raises(error, match="login of the last `pulumi up`"):
        on_host(error("ops may not use sudo"))[0].delete("id", STATE)


@pytest.mark.parametrize("mark", ["unread", "unreached"])
def test_a_preview_does_not_look_again_where_the_read_told_that_nobody_gets_in(mark, monkeypatch):
    asked = []
    monkeypatch.setattr(unread.foresee, "foresee", lambda *arguments: asked.append(arguments))
    kind, _ = on_host(AWAY)
    kind.foresee(INPUTS, {**STATE, mark: "away"})
    assert not asked
    kind.foresee(INPUTS, STATE)
    kind.foresee(INPUTS, None)
    other = {"connection": {**INPUTS["connection"], "address": "192.0.2.2"}}
    kind.foresee(other, {**STATE, mark: "away"})
    assert len(asked) == 3, "it was not told, or not of the way that is wanted now"
