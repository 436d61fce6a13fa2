"""A resource whose host does not let us in just now."""

from __future__ import annotations

import pytest

from infra.errors import ExplainedError
from infra.hosts.host import HostError, HostKeyMismatch, HostUnreachable, LoginRefused
from infra.provider.kind import Diff, PropertyChange
from infra.resources.unread import OnHost

INPUTS = {"connection": {"address": "192.0.2.1"}}


class Kind:
    """Fails to read with `error`."""

    def __init__(self, error=None, changes=()):
        self.error, self.changes, self.seen = error, changes, []

    def read(self, id, state, inputs):
        self.seen.append(state)
        if self.error:
            raise self.error
        return {"rules": {}}, inputs

    def diff(self, state, old_inputs, news):
        self.seen.append(state)
        return Diff(self.changes)

    def update(self, id, state, inputs, preview):
        self.seen.append(state)
        return {"rules": {}}


@pytest.mark.parametrize("error", [HostUnreachable, HostKeyMismatch, LoginRefused])
def test_the_recorded_state_is_kept_and_is_a_difference(error):
    kind = OnHost(Kind(error("host root@192.0.2.1: cannot connect")))
    state, inputs = kind.read("id", {"rules": {"a": "b"}}, INPUTS)
    assert state == {"rules": {"a": "b"}, "unread": "host root@192.0.2.1: cannot connect"}
    assert inputs == INPUTS
    assert [change.path for change in kind.diff(state, INPUTS, INPUTS).changes] == ["unread"]


def test_another_error_is_an_error():
    with pytest.raises(HostError, match="disk full"):
        OnHost(Kind(HostError("disk full"))).read("id", {}, INPUTS)


def test_once_read_again_the_difference_is_gone():
    inner = Kind()
    kind = OnHost(inner)
    state, _ = kind.read("id", {"unread": "away", "rules": {"a": "b"}}, INPUTS)
    assert "unread" not in state
    assert kind.diff(state, INPUTS, INPUTS).changes == ()


def test_the_kind_itself_never_sees_the_mark():
    inner = Kind(HostUnreachable("away"))
    kind = OnHost(inner)
    marked = {"unread": "away"}
    kind.read("id", marked, INPUTS)
    kind.diff(marked, INPUTS, INPUTS)
    assert "unread" not in kind.update("id", marked, INPUTS, False)
    assert inner.seen == [{}, {}, {}]


def test_a_replacement_is_not_made_an_update():
    kind = OnHost(Kind(changes=(PropertyChange("connection.address", replace=True),)))
    assert [change.path for change in kind.diff({"unread": "away"}, INPUTS, INPUTS).changes] == ["connection.address"]


def test_importing_by_id_says_what_to_do_instead():
    with pytest.raises(ExplainedError, match="adopts what is already there"):
        OnHost(Kind()).read("id", {}, {})
