"""Changes that can cut the way in: the host takes them back by itself unless a new SSH connection confirms them.

The undo is armed on the host first, as a transient systemd timer, so it runs even if nobody can reach the host any
more. What it does must work from any state between before and after. See docs/decisions/undo-timers.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.hosts.host import Host, HostError, HostUnreachable

SECONDS = 30  # until an unconfirmed change is taken back
PATIENCE = 25.0  # seconds after that in which the host must be reachable again
RETRY = 1.0  # seconds between attempts to connect
DIRECTORY = "/run/wgnode-undo"

Connect = Callable[[], AbstractContextManager[Host]]


class Reverted(HostError):
    """The change cut us off, and the host has taken it back."""


def settle(host: Host, name: str) -> None:
    """If an interrupted change is still unconfirmed, take it back now, so that what is read next stays as it is."""
    host.run(["sh", "-c", _SETTLE, "settle", _unit(name), _script(name)], timeout=SECONDS + 60)


def confirmed(
    host: Host,
    connect: Connect,
    name: str,
    *,
    undo: str,
    apply: Callable[[Host], None],
    persist: Callable[[Host], None],
    complete: Callable[[Host], None] = lambda host: None,
) -> None:
    """Arm the undo (a shell script), apply, get in by a new connection, persist over it, disarm.

    `complete` waits for a change that `apply` has only begun, before the undo is armed anew for `persist`: an answer
    that the change itself held up, and that came through once it was taken back, confirms nothing.
    Raises what `apply` raised, once taken back; Reverted when no new connection could be made in time.
    """
    arm(host, name, undo)
    try:
        apply(host)
        log(f"confirming the {name} by a new connection")
        with _retried(connect, name) as (proven, has_run):
            if has_run:  # it is only because of it that we got in
                raise _locked_out(proven, name, "no new connection before the undo")
            complete(proven)
            rearm(proven, name)
            persist(proven)
            disarm(proven, name)
    except HostUnreachable as error:
        _take_back(connect, name, error)
        raise
    except BaseException:
        _revert_now(connect, name)
        raise


@contextmanager
def _retried(connect: Connect, name: str) -> Iterator[tuple[Host, bool]]:
    """A host by a new connection, and whether the undo has run on it.

    A network that is just being changed may need a moment; half of the time must be left for what follows.
    """
    deadline = time.monotonic() + SECONDS / 2
    while True:
        try:
            with ExitStack() as stack:
                host = stack.enter_context(connect())
                has_run = _has_run(host, name)
                opened = stack.pop_all()
            break
        except HostUnreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY)
    with opened:
        yield host, has_run


def arm(host: Host, name: str, script: str) -> None:
    path = _script(name)
    data = f"touch {path}.ran\n{script}\n".encode()
    host.run(["sh", "-c", _ARM, "arm", path, str(len(data)), *_timer(name)], input=data)


def rearm(host: Host, name: str) -> None:
    """Start the time again, in one command. Raises Reverted when the undo was quicker."""
    done = host.run(["sh", "-c", _REARM, "rearm", _unit(name), _script(name), *_timer(name)], check=False)
    if done.code == _HAS_RUN:
        raise _locked_out(host, name, "no answer before the undo")
    if done.code != 0:
        raise HostError(f"host {host.name}: the undo of the {name} cannot be armed: {done.stderr.strip()}")


def _timer(name: str) -> list[str]:
    return [
        *("systemd-run", "--collect", "--quiet", f"--unit={_unit(name)}", f"--on-active={SECONDS}"),
        *("--timer-property=AccuracySec=100ms", f"--description=take back an unconfirmed {name} of wgnode"),
        *("/bin/sh", _script(name)),
    ]


def disarm(host: Host, name: str) -> None:
    """Raises Reverted when the undo was quicker."""
    done = host.run(["sh", "-c", _DISARM, "disarm", _unit(name), _script(name)], check=False)
    if done.code == _HAS_RUN:
        raise Reverted(f"host {host.name}: the new {name} was confirmed too late and has been taken back; run it again")
    if done.code != 0:
        raise HostError(f"host {host.name}: the undo of the {name} cannot be disarmed: {done.stderr.strip()}")


def _take_back(connect: Connect, name: str, error: HostUnreachable) -> None:
    """The connection broke: take the change back if there is a way in, else wait until the host has.

    Raises Reverted when the host has, for then the change has kept us out, and HostUnreachable when it never came back.
    """
    log(f"the connection broke at the new {name}; it is taken back, by the host if need be", Severity.WARNING)
    deadline = time.monotonic() + SECONDS + PATIENCE
    while True:
        try:
            with connect() as back:
                has_run = _has_run(back, name)
                settle(back, name)
                if has_run:
                    raise _locked_out(back, name, str(error)) from None
                return
        except HostUnreachable:
            pass
        if time.monotonic() > deadline:
            raise HostUnreachable(f"{error}; it could not be reached after the undo of the {name} either") from None
        time.sleep(RETRY)


def _revert_now(connect: Connect, name: str) -> None:
    """The change failed with the way in still open; if not even this works, the timer does it."""
    try:
        with connect() as host:
            settle(host, name)
    except HostError as error:
        log(f"the host will take back the {name} within {SECONDS} s ({error})", Severity.WARNING)


def _has_run(host: Host, name: str) -> bool:
    return host.read_file(f"{_script(name)}.ran") is not None


def _locked_out(host: Host, name: str, why: str) -> Reverted:
    return Reverted(
        f"host {host.name}: the new {name} would lock us out ({why}); the host has taken it back"
        " and is as it was before. Check the management networks, the uplink, and"
        " host.sshPort where the host's own SSH port is not the one that is connected to"
    )


def _unit(name: str) -> str:
    return f"wgnode-undo-{name}"


def _script(name: str) -> str:
    return f"{DIRECTORY}/{name}.sh"


_HAS_RUN = 3
_WAIT = """while case $(systemctl is-active "$unit.service") in active|activating|deactivating) true ;; *) false ;; esac
do sleep 0.2; done
"""
_CLEAR = """rm -f -- "$script" "$script.ran"
rmdir --ignore-fail-on-non-empty -- "${script%/*}" 2>/dev/null || true"""

# A connection that breaks ends `cat` like the end of the script does.
_ARM = """set -e; umask 077; script=$1 size=$2; shift 2
mkdir -p -m 0700 -- "${script%/*}"; rm -f -- "$script.ran"; cat >"$script"
[ "$(stat -c %s -- "$script")" = "$size" ] || { rm -f -- "$script"; echo "its data ended early" >&2; exit 1; }
exec "$@\""""
_REARM = f"""unit=$1 script=$2; shift 2
systemctl stop "$unit.timer" 2>/dev/null
{_WAIT}[ ! -e "$script.ran" ] || exit {_HAS_RUN}
exec "$@\""""
# A timer that has elapsed is not there any more.
_DISARM = f"""unit=$1 script=$2
systemctl stop "$unit.timer" 2>/dev/null
[ ! -e "$script.ran" ] || exit {_HAS_RUN}
{_CLEAR}"""
_SETTLE = f"""unit=$1 script=$2
if systemctl -q is-active "$unit.timer"; then systemctl start "$unit.service"; systemctl stop "$unit.timer"; fi
{_WAIT}{_CLEAR}"""
