"""Resources on a host that cannot be read just now.

The engine reads every resource before an update, over the connection in its state. If that fails because the key, the
pins or the port have changed since, the update that brings the new ones must still be possible. So a read that does
not get in keeps the recorded state and says so in an output, `unread`; that is a difference, hence an update, which
uses the connection in the program and fails, by name, when that does not get in either.
"""

from __future__ import annotations

from infra.errors import ExplainedError
from infra.hosts.host import HostKeyMismatch, HostUnreachable, LoginRefused
from infra.provider.kind import Diff, Imported, Kind, Properties, PropertyChange
from infra.provider.log import Severity, log

UNREAD = "unread"


class OnHost:
    """Any kind of resource on a host, with that."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def check(self, news: Properties, olds: Properties) -> Properties:
        return self._kind.check(news, olds)

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        unread = UNREAD in state
        diff = self._kind.diff(_without(state), old_inputs, news)
        if not unread or any(change.replace for change in diff.changes):
            return diff
        change = PropertyChange(UNREAD, kind="DELETE", drift=True)
        return Diff((*diff.changes, change), diff.delete_before_replace)

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        return self._kind.create(name, inputs, preview)

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | Imported | None:
        if "connection" not in inputs:
            raise ExplainedError(
                f"cannot import {id}: an id does not tell how to log in to the host; declare the resource without"
                " importing it, `pulumi up` adopts what is already there"
            )
        try:
            return self._kind.read(id, _without(state), inputs)
        except (HostUnreachable, HostKeyMismatch, LoginRefused) as error:
            log(str(error), Severity.WARNING)
            return {**state, UNREAD: str(error)}, inputs

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        return self._kind.update(id, _without(state), inputs, preview)

    def delete(self, id: str, state: Properties) -> None:
        self._kind.delete(id, _without(state))


def _without(state: Properties) -> Properties:
    return {name: value for name, value in state.items() if name != UNREAD}
