"""Runs as the node of a debug image and makes the attempts of attempts.py: standard library only.

It is imported in the place of a module of the interpreter's (see inside.py). A helper that is forked before the node
gives up anything starts a process for each attempt, which gives up what the node does, by the node's own code; so that
an attempt that ends its process does not end all of them. What process 1 tries itself comes last, since that ends the
machine. Each outcome is a line of JSON on the console: "done", "killed", "absent", or the error's name.
"""

import sys
import time

from attempts import ATTEMPTS, NETWORK, Absent, every_file, execute

_ours = sys.path.pop(0)  # what follows is the shipped image's
sys.path_importer_cache.pop(_ours, None)
_name = __name__
del sys.modules[_name]
__import__(_name)

import _thread  # noqa: E402
import contextlib  # noqa: E402
import errno  # noqa: E402
import gc  # noqa: E402
import hashlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import socket  # noqa: E402
import struct  # noqa: E402

AGAIN, SIGNAL = "WGNODE_ATTACK" in os.environ, 4000


def tell(**what):
    line = b"ATTACK " + json.dumps(what).encode() + b"\n"
    while line:  # the console takes some at a time
        with contextlib.suppress(BlockingIOError):
            line = line[os.write(1, line) :]


def status():
    wanted = ("Uid", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters")
    with open("/proc/self/status") as file:
        lines = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return {name: lines[name] for name in wanted}


def become_as_the_node(capabilities, seccomp, code):
    capabilities.keep_only()
    capabilities.no_new_privileges()
    seccomp.install(code)


def outcome(attempt):
    try:
        attempt()
    except Absent:
        return "absent", ""
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno)), ""
    except Exception as error:
        return "done", repr(error)
    return "done", ""


def one(name, attempt, giving_up):
    """In a process of its own, since the node's filter may end it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        become_as_the_node(*giving_up)
        try:
            result, detail = outcome(attempt)
            os.write(write, json.dumps([result, detail]).encode())
        finally:
            os._exit(0)
    os.close(write)
    said = os.read(read, 4096)
    os.close(read)
    _, code = os.waitpid(child, 0)
    ended = f"signal {code & 127}" if code & 127 else "nothing said"
    result, detail = json.loads(said) if said else ("killed" if code & 127 == 31 else ended, "")
    tell(attempt=name, outcome=result, detail=detail)


def as_the_node():
    tell(attempt="status", of="an attempt", **status())


def tree():
    """A digest of every file that there is, with its size: what one boot finds that another has left."""
    files = sorted((path, os.stat(path).st_size) for path in every_file() if not path.startswith("/dev"))
    return [len(files), hashlib.sha256(repr(files).encode()).hexdigest()]


def helper(go):
    os.read(go, 1)
    from wgnode.platform.linux import capabilities, seccomp

    giving_up = capabilities, seccomp, seccomp.program()
    for name, attempt in {"like the node": as_the_node, **ATTEMPTS, **NETWORK}.items():
        one(name, attempt, giving_up)
    os._exit(0)


def hostile():
    """What a guest may say to its host."""
    messages = [
        b"", b"[]", b"null", b"{" * 100_000, b'{"type":' * 5000, b'{"type":"heartbeat","tai64n":' + b"9" * 5000 + b"}",
        b'{"type":"heartbeat","tai64n":9e999}', b'{"type":"heartbeat","tai64n":"\\ud800"}', b"\xff\xfe\x00",
        b'{"type":"log","level":"emergency","text":"<0>x"}', b'{"type":"hello","name":"../../etc/passwd"}',
        b'{"type":"configure","id":1,"config":"{}","secrets":"{}"}', b'{"type":"reply","id":1,"text":"x"}',
        json.dumps({"type": "reply", "id": 2, "health": {"peers": [{"public_key": "A" * 43 + "="}] * 2}}).encode(),
        json.dumps({"type": "log", "level": "info", "text": "\x1b[2J\nwgnode-hostd: forged line"}).encode(),
    ]  # fmt: skip
    return b"".join(struct.pack(">I", len(body)) + body for body in messages)


def say_to_the_host():
    """Over the node's own port, which is open already."""
    channel = next(each for each in gc.get_objects() if type(each).__name__ == "Channel")
    descriptor = channel.fd
    channel.send = lambda message: True  # what the node says itself would come between
    for left in (hostile(), struct.pack(">I", 0xFFFFFFFF)):  # in step, and out of it
        while left:
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(descriptor, left) :]
        time.sleep(1)


def take_all_memory():
    """Once it is told to, by any datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as told:
        told.bind(("", SIGNAL))
        told.recv(1)
    tell(attempt="end", by="memory")
    kept = []
    while True:
        kept.append(b"x" * (1 << 22))


def over(child):
    with open(f"/proc/{child}/status") as file:
        return "State:\tZ" in file.read()


def attack(go, child):
    """Beside the node, which feeds its watchdog."""
    os.write(go, b"x")
    while not over(child):
        time.sleep(0.1)
    tell(attempt="messages", sent=len(hostile()))
    say_to_the_host()
    tell(attempt="end", by="execute")
    execute()


def begin(go, child):
    """The node is set up and has given up what it does not need."""
    tell(attempt="status", of="the node", **status())
    tell(attempt="tree", files=tree())
    _thread.start_new_thread(*((take_all_memory, ()) if AGAIN else (attack, (go, child))))


def lie_in_wait():
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        helper(read)
    gc.freeze = lambda: begin(write, child)


lie_in_wait()
