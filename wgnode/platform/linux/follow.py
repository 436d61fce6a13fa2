"""Following an interface: up, down, its MTU and its routes', its move to another network namespace, its end.

Where nobody has set its MTU it follows what is found of paths, upwards (docs/decisions/interface-mtu.md).
"""

from __future__ import annotations

import contextlib
import errno
import os

from wgnode.io.loop import Loop, Timer
from wgnode.io.netlink import NetlinkError, Rtnetlink
from wgnode.io.netlink.links import Link
from wgnode.io.netlink.monitor import LinkMonitor
from wgnode.io.paced import Paced
from wgnode.io.paths import Paths
from wgnode.io.shell import Shell
from wgnode.io.way_limit import LARGEST
from wgnode.platform.linux import netns
from wgnode.platform.linux.route_mtu import RouteMtus

POLL = 1.0
"""Seconds between looks at an interface in another namespace: a socket kept there would keep the namespace alive.

That it is up is seen at once, in any namespace: a TUN is writable as soon as it is, and only then are there packets."""


class LinkFollower:
    """Starts and stops a shell as its interface is set up and down, and follows its MTU, its routes' and its end.

    `own_mtu`: nobody asked for the MTU that it has, and it grows with what ways to peers need, until somebody else sets
    another one.
    """

    def __init__(self, loop: Loop, shell: Shell, *, own_mtu: bool = False) -> None:
        self.loop, self.shell = loop, shell
        self._moved = False
        self._timer: Timer | None = None
        self._awaiting = False
        with Rtnetlink() as kernel:
            self._index = kernel.link(shell.tun.name).index
        self._monitor = LinkMonitor(self._index)
        self._routes = RouteMtus(self._index)
        loop.add_reader(self._monitor.fd, self._changed)
        self._pace = Paced(loop, self._routes.fd, self._routes_changed)
        self._own_mtu = shell.device.mtu if own_mtu and shell.paths is not None else None
        if shell.paths is not None and self._own_mtu is not None:
            self._follow_paths(shell.paths)
        shell.on_sign_of_life = self._look_now
        self._follow()

    def close(self) -> None:
        self.shell.on_sign_of_life = None
        self._await_up(False)
        self.loop.remove_reader(self._monitor.fd)
        self._monitor.close()
        self._pace.close()
        self._routes.close()
        if self._timer is not None:
            self._timer.cancel()

    def _follow_paths(self, paths: Paths) -> None:
        paths.raise_mtu, paths.mtu_follows = self._raise_mtu, True
        self._raise_mtu(LARGEST)

    def _raise_mtu(self, mtu: int) -> None:
        """Not in another namespace, where no path is searched either."""
        if self._moved:
            return
        with contextlib.suppress(NetlinkError), Rtnetlink() as kernel:  # it has just gone, or moved
            if kernel.link_at(self._index).mtu != self._own_mtu:
                return self._leave_mtu()
            kernel.set_link(self._index, mtu=mtu)
            self._own_mtu = self.shell.device.mtu = mtu

    def _leave_mtu(self) -> None:
        """From now on it is somebody else's affair."""
        self._own_mtu = None
        if (paths := self.shell.paths) is not None:
            paths.raise_mtu, paths.mtu_follows = None, False

    def _changed(self) -> None:
        try:
            concerned = any(link.index == self._index for link, _ in self._monitor.read())
        except OSError:  # ENOBUFS: some were lost
            concerned = True
        if concerned and not self._moved:
            self._follow()

    def _routes_changed(self) -> float:
        if self._routes.read() and not self._moved:
            self.shell.device.route_mtus = self._routes.mtus
        return 0.0

    def _follow(self) -> None:
        """What is now, not what a message said a while ago."""
        try:
            with Rtnetlink() as kernel:
                link = kernel.link_at(self._index)
        except NetlinkError:
            self._moved = True
            self.shell.device.route_mtus = ()
            return self._poll()
        self._routes.look()  # IPv4 routes go down with their link without a word
        self.shell.device.route_mtus = self._routes.mtus
        self._apply(link)

    def _look_now(self) -> None:
        """A packet came out of the interface, so it is up; what was heard of it is old, or has not been read yet."""
        if self._moved:
            self._poll()
        else:
            self._follow()

    def _poll(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        try:
            link = self._elsewhere()
        except OSError:
            self._await_up(False)
            return self.shell.on_gone()
        self._timer = self.loop.call_later(POLL, self._poll)
        self._await_up(not link.up)
        self._apply(link)

    def _await_up(self, awaiting: bool) -> None:
        if awaiting == self._awaiting:
            return
        self._awaiting = awaiting
        if awaiting:
            self.loop.add_writer(self.shell.tun.fd, self._poll)
        else:
            self.loop.remove_writer(self.shell.tun.fd)

    def _elsewhere(self) -> Link:
        """Raises OSError when there is no such interface any more."""
        tun = self.shell.tun
        while True:
            name, namespace = tun.current_name(), tun.namespace()
            try:
                return netns.inside(namespace, lambda name=name: _link(name))  # type: ignore[misc]
            except NetlinkError as error:
                if error.errno != errno.ENODEV:  # it moved on, or was renamed, in between
                    raise
            finally:
                os.close(namespace)

    def _apply(self, link: Link) -> None:
        if self._own_mtu not in (None, link.mtu):
            self._leave_mtu()
        self.shell.device.mtu = link.mtu
        if not link.up:
            return self.shell.stop()
        try:
            self.shell.start()
        except OSError as error:
            self._report(error)

    def _report(self, error: OSError) -> None:
        if self.shell.log is not None:
            hint = "; another process has that port" if error.errno == errno.EADDRINUSE else ""
            self.shell.log(f"cannot listen on port {self.shell.device.listen_port}: {error.strerror}{hint}")


def _link(name: str) -> Link:
    with Rtnetlink() as kernel:
        return kernel.link(name)
