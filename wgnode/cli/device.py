"""`wgnode device NAME`: the node on a TUN interface of this machine, configured by `wg` through its UAPI socket."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import syslog
from collections.abc import Callable
from pathlib import Path

import click

from wgnode.dataplane import threads as counting
from wgnode.dataplane.choose import AUTO, NAMES, Choice, Unavailable, choose
from wgnode.io import paths, policy_file
from wgnode.io.loop import Loop
from wgnode.io.node import new_device
from wgnode.io.packet_io import PlaneDied
from wgnode.io.shell import Shell
from wgnode.io.signals import Signals
from wgnode.io.told_socket import ToldListener
from wgnode.io.uapi_socket import UapiListener
from wgnode.io.way_limit import LARGEST, UNSEARCHED
from wgnode.platform import clock, open_tun
from wgnode.platform.linux import Process
from wgnode.platform.linux.follow import LinkFollower
from wgnode.platform.linux.process import forbid_core_dumps, lock_memory

SILENT, ERROR, DEBUG = 0, 1, 2
LOG_LEVELS = {"silent": SILENT, "error": ERROR, "verbose": DEBUG, "debug": DEBUG}
ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""The last is what a terminal sends that is closed."""
HINTS = {
    errno.EPERM: "run it as root, or with CAP_NET_ADMIN",
    errno.EACCES: "run it as root, or with CAP_NET_ADMIN",
    errno.EBUSY: "the interface is in use by another process",
    errno.EINVAL: "an interface of that name exists and is no TUN; choose another name",
    errno.ENOENT: "this kernel has no /dev/net/tun; try `modprobe tun`",
    errno.EEXIST: "stop that process, or choose another name",
    errno.EMFILE: "allow it more open files (ulimit -n, LimitNOFILE= in a unit)",
    errno.EAGAIN: "allow it more threads and memory (ulimit -u and -v, TasksMax= and LimitNPROC= in a unit)",
    errno.ENOMEM: "allow it more memory (ulimit -v, MemoryMax= in a unit)",
}
EPILOG = """\b
Examples:
  wgnode device wg0 --foreground &
  wg set wg0 private-key /etc/wireguard/wg0.key listen-port 51820
  wg set wg0 peer PUBLICKEY allowed-ips 10.0.0.2/32 endpoint 192.0.2.1:51820
  ip address add 10.0.0.1/24 dev wg0
  ip link set wg0 up
  wg show wg0
On a machine with four processors, three of them for packets:
  wgnode device wg0 --threads 3

\b
With wg-quick, where the kernel has no WireGuard:
  WG_QUICK_USERSPACE_IMPLEMENTATION=wgnode-device wg-quick up wg0
Where it has (`ip link add wg9 type wireguard` works), wg-quick takes that
and this program is not run, whatever the variable says. There, instead:
  wgnode device wg0 && wg setconf wg0 <(wg-quick strip wg0)
  ip address add 10.0.0.1/24 dev wg0 && ip link set wg0 up  # and routes

\b
Environment:
  LOG_LEVEL        silent, error (default), or verbose
  WGNODE_CRYPTO    ring or avx512, for the compiled data plane; the faster one that this CPU has otherwise
  WGNODE_OFFLOADS  what the compiled data plane leaves unused of the kernel, such as -uso,-gro, or none
  WGNODE_PATH_MTU  off, and the MTU of no path is searched: what does not fit is fragmented on its way, as it can be


What is known of each path: /var/run/wgnode/NAME.sock answers a line `path-mtu` with a line of JSON, `denials` with what
a policy has denied, and `policy` after reading the file of --policy again.
"""


@click.command(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name")
@click.option("-f", "--foreground", is_flag=True, help="Stay attached to the terminal instead of becoming a daemon.")
@click.option(
    "--mtu",
    type=click.IntRange(576, 65535),
    help=f"Of the new interface. By itself, without this: {LARGEST}, then the most that is found to fit to any peer, "
    f"until somebody sets another one (`ip link set mtu`); {UNSEARCHED} where no path is searched.",
)
@click.option(
    "--dataplane",
    default=AUTO,
    show_default=True,
    type=click.Choice(NAMES),
    help="Who moves packets: the compiled extension wgnode-fastpath, plain Python, or the better one that is there.",
)
@click.option(
    "--threads",
    default=counting.AUTO,
    show_default=True,
    metavar="N|auto",
    help="How many move packets, 1 to 64, of the compiled extension. auto: one less than there are "
    "processors that this process may use (affinity, cpu.max), but at most 2: as many as have been seen to help.",
)
@click.option(
    "--policy",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Of access, JSON: {policy, peers}, the policy as in a gateway's configuration, and classes by public key. "
    "Packets of peers that it names are judged, once per flow.",
)
def command(name: str, foreground: bool, mtu: int | None, dataplane: str, threads: str, policy: Path | None) -> None:
    """Run a WireGuard node on the TUN interface NAME, made if it does not exist.

    It is configured by `wg` through /var/run/wireguard/NAME.sock, listens while the interface is up, and ends when
    the interface or the socket is removed, or at SIGTERM, SIGINT or SIGHUP. Exit status: 0 after a clean end, 1 when
    it could not start or go on. A daemon says why in the system's log.
    """
    log = _logger(name)
    forbid_core_dumps()
    daemon = not foreground and os.environ.get("WG_PROCESS_FOREGROUND") != "1"
    with contextlib.ExitStack() as ends:
        try:
            plane = choose(dataplane, threads=counting.parse(threads))
            log(DEBUG, f"data plane: {plane.name} ({plane.why}), threads: {plane.threads}")
            node = DeviceProcess(name, mtu, plane, log, None if policy is None else policy.absolute())
            ends.callback(node.close)
            _begin(node, daemon, log)
        except Unavailable as error:
            raise click.ClickException(str(error)) from None
        except (OSError, ValueError) as error:
            raise click.ClickException(_explain(name, error)) from None
        except MemoryError:
            raise click.ClickException(_explain(name, OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))) from None
        try:
            node.run()
        except Exception as error:
            if daemon:
                syslog.syslog(syslog.LOG_ERR, f"wgnode: {name}: the node ends: {error or type(error).__name__}")
            if isinstance(error, PlaneDied):
                raise click.ClickException(f"{name}: {error}") from None
            raise


def main() -> None:
    """`wgnode-device NAME`, which wg-quick can call with nothing but a name."""
    command(prog_name="wgnode-device")


class DeviceProcess:
    """Interface, device, sockets and UAPI of one process. Raises OSError or ValueError with nothing left behind.

    `mtu`: of the interface, None where nobody has asked for one. `policy`: the file of access, None where all may pass.
    """

    def __init__(
        self, name: str, mtu: int | None, plane: Choice, log: Callable[[int, str], None], policy: Path | None = None
    ) -> None:
        self.log, self._policy = log, policy
        with contextlib.ExitStack() as undo:
            platform = Process()
            self.loop = Loop(clock(platform))
            undo.callback(self.loop.close)
            undo.callback(Signals(self.loop, ENDS, self._signalled).close)
            self.shell = Shell(
                self.loop,
                new_device(plane.new_plane(), mtu=mtu or UNSEARCHED),
                open_tun(platform, name, mtu or UNSEARCHED, plane.tun_offloads),
                platform,
                on_gone=lambda: self._end("the interface was removed"),
                log=lambda text: log(ERROR, text),
                packet_io=plane.packet_io,
                path_mtu=paths.wanted(os.environ),
            )
            undo.callback(self.shell.close)
            if policy is not None:
                policy_file.apply(policy, self.shell)
            self.listener = UapiListener(
                self.loop, self.shell.tun.name, self.shell.uapi, on_removed=lambda: self._end("the socket was removed")
            )
            undo.callback(self.listener.close)
            self._tell(undo)
            undo.callback(LinkFollower(self.loop, self.shell, own_mtu=mtu is None).close)
            self._undo = undo.pop_all()

    def begin(self) -> None:
        """What only a turn of the loop shows: whether the plane's threads, which no fork takes along, are to be had.

        Raises OSError.
        """
        self.loop.run_once(0.0)

    def _tell(self, undo: contextlib.ExitStack) -> None:
        """What UAPI has no words for; the node runs without that too."""
        try:
            undo.callback(ToldListener(self.loop, self.shell, policy=self._policy).close)
        except OSError as error:
            self.log(ERROR, f"what is known of paths is not told: {error}")

    def run(self) -> None:
        """Raises PlaneDied, and whatever else it can't go on with."""
        self.log(DEBUG, f"serving {self.listener.path}")
        self.loop.run()

    def close(self) -> None:
        self.log(DEBUG, f"dropped: { ({str(kind): number for kind, number in self.shell.counters.items()}) }")
        self._undo.close()

    def _signalled(self, number: int) -> None:
        self._end(signal.Signals(number).name)

    def _end(self, why: str) -> None:
        self.log(DEBUG, f"ending: {why}")
        self.loop.stop()


def _begin(node: DeviceProcess, daemon: bool, log: Callable[[int, str], None]) -> None:
    """As far as it may fail for want of something, with a person still there. Raises OSError."""
    ready = _fork() if daemon else None
    if (problem := lock_memory()) is not None:
        log(ERROR, problem)
    node.begin()
    if ready is not None:
        _detach()
        ready()


def _fork() -> Callable[[], None]:
    """Goes on in the child. The parent leaves when the child calls what this returns, or with its failure, so that a
    caller finds a node that runs, or none. Raises OSError."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        os.close(writer)
        os._exit(0 if os.read(reader, 1) else 1)
    os.close(reader)
    os.setsid()

    def ready() -> None:
        os.write(writer, b"1")
        os.close(writer)

    return ready


def _detach() -> None:
    """From the terminal, except for messages where LOG_LEVEL asks for some."""
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1) if "LOG_LEVEL" in os.environ else (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)


def _logger(name: str) -> Callable[[int, str], None]:
    chosen = LOG_LEVELS.get(os.environ.get("LOG_LEVEL", "error").lower(), ERROR)

    def log(level: int, text: str) -> None:
        if level <= chosen:
            print(f"{name}: {text}", file=sys.stderr, flush=True)

    return log


def _explain(name: str, error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return str(error)
    hint = HINTS.get(error.errno or 0)
    return f"cannot run a node on {name}: {error.strerror or error}" + (f"; {hint}" if hint else "")
