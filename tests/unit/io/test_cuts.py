"""Which outer datagrams are cut, and from where they are sent."""

from __future__ import annotations

import socket
from typing import Any

from wgnode.io.cuts import Cuts
from wgnode.platform.linux.sockets import Options
from wgnode.protocol.endpoint import Endpoint

TO = Endpoint("2001:db8::2", 51820, "2001:db8::1")
WHERE = ("2001:db8::2", 51820)


class Recorder(Options):
    """Records what it is to cut; `able`: whether the process may have a raw socket."""

    def __init__(self, *, able: bool = True) -> None:
        self.able, self.sent, self.opened = able, list[Any](), 0

    def fragmenter(self, fwmark: int) -> Any:
        self.opened += 1
        if not self.able:
            raise PermissionError(1, "no CAP_NET_RAW")
        return self

    def send(self, *what: Any) -> None:
        self.sent.append(what)

    def fileno(self) -> int:
        return 77

    def close(self) -> None:
        self.opened -= 1


def test_only_what_is_longer_than_what_is_known_to_pass_is_cut() -> None:
    options = Recorder()
    cuts = Cuts(4000, options)
    assert not cuts.send(bytes(1300), TO, True, WHERE), "nothing is known"
    cuts.set(TO, 1290)
    assert not cuts.send(bytes(1290 - 48), TO, True, WHERE)
    assert cuts.send(bytes(1290 - 47), TO, True, WHERE)
    source = socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    assert options.sent == [(bytes(1243), (4000, 51820), source, ("2001:db8::2", 0), 1290)]
    cuts.set(TO, None)
    assert not cuts.send(bytes(1400), TO, True, WHERE)


def test_without_the_right_to_do_it_the_machine_does_what_it_can_and_is_asked_once() -> None:
    options = Recorder(able=False)
    cuts = Cuts(4000, options)
    cuts.set(TO, 1280)
    assert not cuts.send(bytes(1400), TO, True, WHERE)
    assert not cuts.send(bytes(1400), TO, True, WHERE)
    assert (options.opened, cuts.descriptor) == (1, None)
    assert not Cuts(4000, None).send(bytes(1400), TO, True, WHERE)


def test_without_a_source_that_is_known_to_be_good_the_routing_table_is_asked() -> None:
    options = Recorder()
    cuts = Cuts(4000, options)
    local = Endpoint("::1", 9, "2001:db8::1")
    cuts.set(local, 1280)
    assert cuts.descriptor == 77, "for a plane that cuts itself"
    for _ in range(2):
        assert cuts.send(bytes(1400), local, False, ("::1", 9, 0, 0))
    assert [each[2] for each in options.sent] == [socket.inet_pton(socket.AF_INET6, "::1")] * 2
    cuts.close()
    assert (options.opened, cuts.descriptor) == (0, None)
