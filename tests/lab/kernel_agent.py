"""PID 1 of the guest with the kernel's WireGuard: calls its own functions as the test asks (see kernel_guest.py).

Runs on what of the standard library the appliance's image holds.
"""

import contextlib
import hashlib
import json
import os
import socket
import struct
import threading
import time
import traceback
from pathlib import Path

from wgnode.io.netlink import NetlinkError, Rtnetlink
from wgnode.io.netlink.codec import NLM_F_ACK, NLM_F_CREATE, attribute
from wgnode.io.netlink.links import IFINFOMSG, RTM_NEWLINK
from wgnode.platform.linux import system
from wgnode.platform.linux.port import find_port
from wgnode.platform.linux.sysctl import write_sysctl

IFLA_IFNAME, IFLA_LINKINFO, IFLA_INFO_KIND = 3, 18, 1
ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}
RECEIVERS = []


def begin(outer, inner):
    """eth0 and a fresh wg0 with these addresses."""
    with Rtnetlink() as kernel:
        index = kernel.link("eth0").index
        for address in kernel.addresses(index):
            if not address.startswith("fe80"):
                kernel.delete_address(index, address)
        _drop_wg(kernel)
        info = attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, b"wireguard\0"))
        body = IFINFOMSG.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, b"wg0\0") + info
        kernel.ask(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE, body, "add wg0")
        for name, addresses in (("eth0", outer), ("wg0", inner)):
            index = kernel.link(name).index
            for address in addresses:
                kernel.add_address(index, address)
            kernel.set_link(index, up=True)


def end():
    with Rtnetlink() as kernel:
        _drop_wg(kernel)


def _drop_wg(kernel):
    with contextlib.suppress(NetlinkError):
        kernel.delete_link(kernel.link("wg0").index)


def change_outer(old, new):
    with Rtnetlink() as kernel:
        index = kernel.link("eth0").index
        kernel.delete_address(index, old)
        kernel.add_address(index, new)


def run(words):
    """Exit status and output of a program."""
    reading, writing = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_DUP2, writing, 2)]
    pid = os.posix_spawn(words[0], words, {}, file_actions=actions)
    os.close(writing)
    with open(reading, "rb") as pipe:
        output = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output.decode()


def write(path, content):
    Path(path).write_text(content)
    return path


def pings(address, count, interval, size):
    """How many echo requests were answered, each within 2 s."""
    family = _family(address)
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    request, reply = ECHO[family]
    identity = os.urandom(2)
    answered = set()
    with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
        raw.connect((address, 0))
        start = time.monotonic()
        for number in range(count):
            message = struct.pack(">BBH2sH", request, 0, 0, identity, number) + bytes(size)
            raw.send(message if family == socket.AF_INET6 else _with_checksum(message))
            _collect(raw, family, reply, identity, answered, start + (number + 1) * interval)
        deadline = time.monotonic() + 2
        while len(answered) < count and time.monotonic() < deadline:
            _collect(raw, family, reply, identity, answered, min(deadline, time.monotonic() + 0.1))
    return len(answered)


def _collect(raw, family, reply, identity, answered, until):
    while (left := until - time.monotonic()) > 0:
        raw.settimeout(left)
        try:
            data = raw.recv(65536)
        except TimeoutError:
            return
        message = data if family == socket.AF_INET6 else data[(data[0] & 15) * 4 :]
        kind, _, _, whose, number = struct.unpack_from(">BBH2sH", message)
        if kind == reply and whose == identity:
            answered.add(number)


def _with_checksum(message):
    padded = message + bytes(len(message) % 2)
    total = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return message[:2] + struct.pack(">H", ~total & 0xFFFF) + message[4:]


def send_datagrams(address, port, count, interval):
    """Numbered, one every `interval` seconds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        start = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, start + number * interval - time.monotonic()))
            sender.sendto(struct.pack(">I", number), (address, port))


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def listen(address, port):
    """Answers the next connection with the digest of what it brings, in the background."""
    listener = socket.create_server((address, port), family=_family(address))
    thread = threading.Thread(target=_receive, args=(listener,))
    thread.start()
    RECEIVERS.append(thread)


def received():
    RECEIVERS.pop().join(30)


def _receive(listener):
    connection, _ = listener.accept()
    digest = hashlib.sha256()
    while piece := connection.recv(1 << 16):
        digest.update(piece)
    connection.sendall(digest.hexdigest().encode())
    connection.close()
    listener.close()


def send_bytes(address, port, mebibytes):
    """ "same" when the other end answers with the digest of what was sent."""
    data = os.urandom(1 << 20) * mebibytes
    with socket.socket(_family(address)) as connection:
        connection.settimeout(30)
        connection.connect((address, port))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(64)
    return "same" if answer.decode() == hashlib.sha256(data).hexdigest() else "different"


def _serve(port):
    line = b""
    while True:
        piece = os.read(port, 65536)
        if not piece:
            time.sleep(0.05)  # nobody at the other end
        line += piece
        while b"\n" in line:
            request, _, line = line.partition(b"\n")
            answer = json.dumps(_answer(request)).encode() + b"\n"
            while answer:
                answer = answer[os.write(port, answer) :]


def _answer(request):
    if not request:
        return {"value": "ready"}
    function, *arguments = json.loads(request)
    try:
        return {"value": globals()[function](*arguments)}
    except Exception as error:
        return {"error": f"{function}{tuple(arguments)}: {error!r}"}


def _boot():
    os.mkdir("/run")  # the appliance has no place for files; ours writes some
    system.mount_file_systems()
    system.load_modules()
    system.load_modules(Path("/lib/modules/further"))
    write_sysctl("net/ipv6/conf/all/accept_ra", 0)
    with Rtnetlink() as kernel:
        kernel.set_link(kernel.link("lo").index, up=True)
    while (port := find_port()) is None:
        time.sleep(0.05)
    _serve(os.open(port, os.O_RDWR))


if __name__ == "__main__":
    try:
        _boot()
    except BaseException:
        traceback.print_exc()
    finally:
        system.end_machine()
