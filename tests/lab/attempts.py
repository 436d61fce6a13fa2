"""What code that runs as the node tries, by name (docs/security.md): standard library only, and nothing at its import.

In the guest attacker.py runs them. Of networks, a datagram says what it is, and who could get it tells whether it came.
"""

import ctypes
import os
import socket
import struct
from functools import partial

LIBC = ctypes.CDLL(None, use_errno=True)
TRANSIT, GUEST, HOST_IN_LAN, CLIENT = "172.31.255.253", "172.31.255.254", "10.1.0.1", "10.1.0.100"
OTHER_GATEWAY, OUTSIDE = "172.31.255.250", "192.0.2.10"


class Absent(Exception):
    """There is no such thing."""


def call(number, *arguments):
    result = LIBC.syscall(
        ctypes.c_long(number), *(ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    )
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def opened(path, flags=os.O_RDWR):
    os.close(os.open(path, flags))


def each_refused(function, values):
    """The first that succeeds, or the last one's error."""
    error = None
    for value in values:
        try:
            function(value)
        except OSError as caught:
            error = caught
        else:
            raise AssertionError(f"{value}")
    raise error or Absent


# Code


def execute():
    os.execv("/usr/bin/python3.13", ["x"])


def make_memory_executable():
    buffer = ctypes.create_string_buffer(8192)
    page = (ctypes.addressof(buffer) + 4095) & ~4095
    call(10, ctypes.c_void_p(page), 4096, 7)


def map_a_file_as_code():
    call(9, 0, 4096, 5, 2, os.open("/usr/bin/python3.13", os.O_RDONLY), 0)


# Files


def every_directory():
    for path, folders, _ in os.walk("/", onerror=None):
        if path.startswith(("/proc", "/sys")):
            folders.clear()
            continue
        yield path


def make_a_file():
    each_refused(lambda path: opened(f"{path}/left", os.O_WRONLY | os.O_CREAT), every_directory())


def every_file():
    for path in every_directory():
        for name in os.listdir(path):
            file = os.path.join(path, name)
            if os.path.isfile(file) and not os.path.islink(file):
                yield file


def change_a_file():
    each_refused(lambda file: opened(file, os.O_WRONLY), every_file())


def remove_a_file():
    each_refused(os.unlink, ["/init", "/etc/wgnode/config.json"])


def read_the_keys_file():
    try:
        opened("/etc/wgnode/secrets.json", os.O_RDONLY)
    except FileNotFoundError:
        raise Absent from None


# Kernel


def load_a_module():
    descriptor = os.open("/lib/modules/07-softdog.ko", os.O_RDONLY)
    call(313, descriptor, b"", 0)


def write_settings():
    settings = ("kernel/modules_disabled", "kernel/yama/ptrace_scope", "kernel/kptr_restrict", "net/ipv4/ip_forward")
    each_refused(lambda name: opened(f"/proc/sys/{name}", os.O_WRONLY), settings)


def read_the_kernels_log():
    opened("/dev/kmsg", os.O_RDONLY)


def write_the_kernels_log():
    opened("/dev/kmsg", os.O_WRONLY)


def write_own_memory_as_a_file():
    opened("/proc/self/mem")


def raw_memory():
    there = [path for path in ("/dev/mem", "/dev/kmem", "/dev/port", "/proc/kcore") if os.path.exists(path)]
    each_refused(lambda path: opened(path, os.O_RDONLY), there)


def raw_disks():
    if not os.listdir("/sys/block"):
        raise Absent


def another_namespace():
    call(308, os.open("/proc/1/ns/net", os.O_RDONLY), 0)


def capabilities():
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    call(126, header, (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6))


def another_user():
    os.setuid(1)


def other_sockets():
    each_refused(lambda family: socket.socket(family, socket.SOCK_DGRAM), [1, 15, 31, 38, 40])


# Networks: a datagram says what it is, and the hosts that could get it tell whether they did


def udp(source, port, to, what):
    payload = f"attempt {what}".encode()
    datagram = struct.pack(">HHHH", port, 5555, 8 + len(payload), 0) + payload
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0, *map(socket.inet_aton, (source, to))
    )
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = 0xFFFF & ~(total + (total >> 16))
    return head[:10] + struct.pack(">H", checksum) + head[12:] + datagram


def frame(interface, source_mac, target_mac, packet):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((interface, 0))
        raw.send(bytes.fromhex(target_mac.replace(":", "") + source_mac.replace(":", "")) + b"\x08\x00" + packet)


def own_mac(interface):
    with open(f"/sys/class/net/{interface}/address") as file:
        return file.read().strip()


def by_transit(what, source=GUEST, port=51820, to=OUTSIDE):
    frame("wan", own_mac("wan"), "02:00:00:00:00:01", udp(source, port, to, what))


def into_lan(what, source, mac=None):
    frame("lan", mac or own_mac("lan"), "ff:ff:ff:ff:ff:ff", udp(source, 40000, CLIENT, what))


NETWORK = {
    "the WireGuard port, outside": lambda: by_transit("the WireGuard port, outside"),
    "another port, outside": lambda: by_transit("another port, outside", port=40000),
    "another source, outside": lambda: by_transit("another source, outside", source="10.66.0.1"),
    "the host's services, by the transit link": lambda: by_transit(
        "the host's services, by the transit link", to=TRANSIT
    ),
    "the host's LAN address, by the transit link": lambda: by_transit(
        "the host's LAN address, by the transit link", to=HOST_IN_LAN
    ),
    "the LAN, by the transit link": lambda: by_transit("the LAN, by the transit link", to=CLIENT),
    "another gateway": lambda: by_transit("another gateway", to=OTHER_GATEWAY),
    "the LAN, as itself": lambda: into_lan("the LAN, as itself", "10.1.0.2"),
    "the LAN, as another address": lambda: into_lan("the LAN, as another address", "10.1.0.77"),
    "the LAN, as another machine": lambda: into_lan("the LAN, as another machine", "10.1.0.77", "02:00:00:00:00:77"),
}

CALLS = {
    "make code": (9, 0, 4096, 7, 0x22, -1, 0),
    "execute from memory": (319, b"x", 0),
    "start a process": (57,),
    "clone a process": (56, 17, 0, 0, 0, 0),
    "make a device": (133, b"/dev/left", 0o20600, 0x101),
    "mount": (165, b"none", b"/proc", b"tmpfs", 0, 0),
    "leave the root": (161, b"/proc"),
    "load a module from memory": (175, b"x", 1, b""),
    "start another kernel": (320, -1, -1, 0, b"", 0),
    "start another kernel from memory": (246, 0, 0, 0, 0),
    "trace": (101, 16, 1, 0, 0),
    "read other memory": (310, 1, 0, 0, 0, 0, 0),
    "ports of the machine": (172, 3),
    "namespaces": (272, 0x10000000),
    "a namespace by clone": (56, 0x10000000 | 17, 0, 0, 0, 0),
    "load bpf": (321, 5, 0, 0),
    "perf": (298, 0, 0, -1, -1, 0),
    "keyring": (250, 0, -3, 0),
    "add a key": (248, b"user", b"x", b"x", 1, -3),
    "io uring": (425, 1, 0),
    "user faults": (323, 0),
    "wider filter": (157, 22, 2, 0, 0, 0),
    "power off": (169, 0xFEE1DEAD, 672274793, 0x4321FEDC, 0),
}
"""By the numbers of arch/x86/entry/syscalls/syscall_64.tbl."""
ATTEMPTS = {
    each.__name__.replace("_", " "): each
    for each in (
        execute,
        make_memory_executable,
        map_a_file_as_code,
        make_a_file,
        change_a_file,
        remove_a_file,
        read_the_keys_file,
        load_a_module,
        write_settings,
        read_the_kernels_log,
        write_the_kernels_log,
        write_own_memory_as_a_file,
        raw_memory,
        raw_disks,
        another_namespace,
        capabilities,
        another_user,
        other_sockets,
    )
}
ATTEMPTS |= {name: partial(call, *arguments) for name, arguments in CALLS.items()}
