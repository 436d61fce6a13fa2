"""Resources on a host that cannot be read, or reached at all, just now.

The engine reads every resource before an update, over the connection in its state. If that fails because the key, the
pins or the port have changed since, the update that brings the new ones must still be possible. So a read that does
not get in keeps the recorded state and says so in an output: `unread`, or `unreached` where the host is away. (Also one
whose user gets no shell or no root any more, and one for which the agent is gone.) That is a
difference, hence an update, which uses the connection in the program and fails, by name, when that does not get in
either. Where the run has been told of another connection by then (successor.py), the read uses that one, and so does
the comparison: what is shown is what there is.

With the provider's option `skipUnreachable` a host that is away is no difference, and an update of what is on it is
passed over: the state stays, with a mark that makes the next `up` do it. With `deleteUnreachable` what was on a host
that is away can be deleted. A host that is there but refuses our key is neither.

The engine reads before it runs the program, with the options of the last `up`; so it is `diff` that takes the present
ones into account.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from pulumi_wgnode.call import options
from pulumi_wgnode.call.kind import Diff, Imported, Kind, Properties, PropertyChange
from pulumi_wgnode.call.log import Severity, warn
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import Connection, Host, HostError, HostKeyMismatch, HostUnreachable, NoEntry, ShutOut
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.resources import foresee, ownership, successor, way_in
from pulumi_wgnode.resources.inputs import connection

UNREAD = "unread"
UNREACHED = "unreached"
PASSED_OVER = "passedOver"
_MARKS = (UNREAD, UNREACHED, PASSED_OVER)
_MARKS_OF_READS = {UNREAD, UNREACHED}


class OnHost:
    """Any kind of resource on a host, with that."""

    def __init__(self, kind: Kind, connect: Callable[[Connection], Host] = pool.connect) -> None:
        self._kind, self._connect = kind, connect

    def check(self, news: Properties, olds: Properties) -> Properties:
        checked = self._kind.check(news, olds)
        successor.learn(checked, olds)
        return checked

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        state, old_inputs = self._read_after_all(state, old_inputs)
        old_inputs = way_in.as_said(old_inputs, news)
        diff = self._kind.diff(_without_marks(state), old_inputs, news)
        if any(change.replace for change in diff.changes):
            self._judge_replacement(state)
            ownership.leaves(state)
            return diff
        ignored = UNREACHED if options.current().skip_unreachable else None
        marks = [mark for mark in _MARKS if mark in state and mark != ignored]
        changes = [PropertyChange(mark, kind="DELETE", drift=True) for mark in marks]
        return Diff((*diff.changes, *changes), diff.delete_before_replace)

    def _read_after_all(self, state: Properties, inputs: Properties) -> tuple[Properties, Properties]:
        """What the read before this could not get at, by the connection that the program has for it now."""
        if not _MARKS_OF_READS & state.keys():
            return state, inputs
        id = ownership.id_of(inputs, state.get("sha256", ""))
        found = self._read_by_successor(id, state, inputs)
        passed_over = {name: value for name, value in state.items() if name == PASSED_OVER}
        return ({**found[0], **passed_over}, found[1]) if isinstance(found, tuple) else (state, inputs)

    def _read_by_successor(self, id: str, state: Properties, inputs: Properties) -> successor.Found:
        """None where there is no other connection by now, or it gets nowhere either, or finds nothing: the mark stays,
        and the update makes what is missing."""
        if (to := successor.of(inputs)) is None:
            return None
        try:
            return successor.read(self._kind, self._connect, to, id, _without_marks(state), inputs)
        except (HostError, LookupError):  # which the update will tell
            return None

    def _judge_replacement(self, state: Properties) -> None:
        """Warn of one that the deletion of what is there would refuse."""
        if require := getattr(self._kind, "require_replaceable", None):
            with contextlib.suppress(HostUnreachable, NoEntry):  # told by whoever read it
                foresee.judge([lambda: require(state)])

    def foresee(self, inputs: Properties, state: Properties | None) -> None:
        """At a preview, before `create` or `update`: warn of what they would refuse, unless the read before it has
        told already that nobody gets in."""
        told = state and _MARKS_OF_READS & state.keys() and state["connection"] == inputs.get("connection")
        if told:
            return
        foresee.foresee(self._kind, self._connect, inputs, state)

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        return self._kind.create(name, inputs, preview)

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | Imported | None:
        if "connection" not in inputs:
            raise ExplainedError(
                f"cannot import {id}: an id does not tell how to log in to the host; declare the resource without"
                " importing it, `pulumi up` adopts what is already there"
            )
        passed_over = {name: value for name, value in state.items() if name == PASSED_OVER}
        try:
            found = self._kind.read(id, _without_marks(state), inputs)
        except (HostUnreachable, NoEntry) as error:
            found = self._read_by_successor(id, state, inputs)
            if found is None:
                return {**_without_marks(state), **passed_over, **_mark(error)}, inputs
        if found is None or isinstance(found, Imported):
            return found
        state, real = {**found[0], **passed_over}, found[1]
        own = ownership.id_of(real, id)  # one of an older version had another id
        return (state, real) if own == id else Imported(own, state, real)

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        if not preview and options.current().skip_unreachable and (why := self._away(inputs, HostUnreachable)):
            warn(why, "; passed over (wgnode:skipUnreachable): the next `up` with it back does it", Severity.WARNING)
            return {**_without_marks(state), PASSED_OVER: str(why)}
        return self._kind.update(id, _without_marks(state), inputs, preview)

    def delete(self, id: str, state: Properties) -> None:
        try:
            self._kind.delete(id, _without_marks(state))
        except (HostUnreachable, HostKeyMismatch) as error:
            away = self._away(state, HostUnreachable, HostKeyMismatch)
            if not away or isinstance(
                away, ShutOut
            ):  # it is there: the next attempt, or a later one, can do it properly
                raise
            if not options.current().delete_unreachable:
                raise type(error)(str(error), then=f". {_FOR_GOOD}") from None
            warn(away, "; forgotten (wgnode:deleteUnreachable): what is on it stays there", Severity.WARNING)
        except NoEntry as error:
            raise type(error)(str(error), then=f". {_FORMER}") from None

    def _away(self, properties: Properties, *kinds: type[HostError]) -> HostError | None:
        """Why the host cannot be reached, where it is for one of these reasons."""
        try:
            self._connect(connection(properties))
        except kinds as error:
            return error
        return None


_FORMER = (
    "(What is deleted is reached by the login of the last `pulumi up`; where the stack has another by now, run that"
    " first.)"
)
_FOR_GOOD = (
    "If it is gone for good, WGNODE_DELETE_UNREACHABLE=true before the command deletes what was on it from the state"
    " (docs/how-to/forget-a-host.md)"
)


_READ_BY = " (read by the login of the last `pulumi up`; the next one uses what is configured now)"


def _mark(error: HostError) -> Properties:
    """What a read that did not get in adds to the recorded state; warns of it."""
    if isinstance(error, HostUnreachable) and options.current().skip_unreachable:
        warn(error, "; skipped (wgnode:skipUnreachable): shown as it was when last read")
        return {}
    warn(error, "" if isinstance(error, HostUnreachable) else _READ_BY)
    return {UNREACHED if isinstance(error, HostUnreachable) else UNREAD: str(error)}


def _without_marks(state: Properties) -> Properties:
    return {name: value for name, value in state.items() if name not in _MARKS}
