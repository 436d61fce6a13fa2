"""The process that keeps one host alive: `python -m lab.supervise SPEC`, started by `lab up`, outlives it.

It runs in a mount namespace of its own (so that a host's mounts end with it) and in the host's cgroup (so that one
write ends all of it). systemd-nspawn ends with 133 when the host reboots and wants its caller to start it again.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab import cgroup, netns, plan
from lab.identity import File, files, links
from lab.process import run
from lab.rootfs import in_use

REBOOT = 133
_DEVICES = {"net/tun": (10, 200), "kvm": (10, 232)}


@dataclass(frozen=True)
class Spec:
    """All that a supervisor needs to know; paths absolute. Written 0600: it names where the host's key lies."""

    lab: str
    host: str
    directory: str
    rootfs: str
    cgroup: str

    def save(self) -> Path:
        path = Path(self.directory, "spec.json")
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self)))
        return fresh.rename(path)

    @staticmethod
    def load(path: str) -> Spec:
        known: dict[str, Any] = json.loads(Path(path).read_text())
        return Spec(**known)


def hardware_virtualization() -> bool:
    """/dev/kvm alone proves nothing: only Intel's and AMD's modules run an ordinary guest."""
    return Path("/dev/kvm").exists() and any(Path("/sys/module", each).is_dir() for each in ("kvm_intel", "kvm_amd"))


def main(spec_path: str, lock: int, joined: int) -> int:
    """Keep the host of this specification; `lock` is released and `joined` told once we are in its cgroup."""
    os.umask(0o022)  # what the host's system expects of its files, whoever ran `up`
    spec = Spec.load(spec_path)
    Path(spec.cgroup, "cgroup.procs").write_text(str(os.getpid()))
    os.write(joined, b"+")
    os.close(joined)
    os.close(lock)
    with in_use(Path(spec.rootfs)):
        root = _mount(spec)
        _provision(spec, root)
        return _keep_running(spec, root)


def _mount(spec: Spec) -> Path:
    """Lay the host's own layer over the shared root, and show nspawn a plain cgroup2 tree and a /run of its own."""
    home = Path(spec.directory)
    upper, work, root, devices = (home / each for each in ("upper", "work", "root", "devices"))
    for directory in (upper, work, root, devices):
        directory.mkdir(exist_ok=True)
    layers = f"lowerdir={spec.rootfs},upperdir={upper},workdir={work}"
    run(["mount", "-t", "overlay", f"wgl-{spec.lab}", "-o", layers, str(root)])
    if cgroup.mounted() != Path("/sys/fs/cgroup"):
        run(["mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"])
    Path("/run/systemd").mkdir(exist_ok=True)
    run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run/systemd"])
    run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(devices)])
    return root


def _device_binds(spec: Spec) -> list[str]:
    """Device nodes of the host's own: a bind of the machine's would let a host change their mode and owner."""
    binds = []
    for name, (major, minor) in _DEVICES.items():
        if name == "kvm" and not hardware_virtualization():
            continue
        node = Path(spec.directory, "devices", name.replace("/", "-"))
        if not node.exists():
            os.mknod(node, stat.S_IFCHR, os.makedev(major, minor))
        node.chmod(0o666 if name == "net/tun" else 0o660)
        binds.append(f"--bind={node}:/dev/{name}")
    return binds


def _provision(spec: Spec, root: Path) -> None:
    """Write what makes the host itself, once: what a deployment changes later stays as it is."""
    done = Path(spec.directory, "provisioned")
    if done.exists():
        return
    home = Path(spec.directory)
    site = plan.site(spec.host)
    authorized = (home.parent.parent / "ssh" / "id_ed25519.pub").read_text()
    for path, file in files(site, (home / "ssh_host_ed25519_key").read_text(), authorized).items():
        _write(root, path, file)
    for path, target in links(site).items():
        link = root / path.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    done.touch()


def _write(root: Path, path: str, file: File) -> None:
    owner, group = _account(root, file.owner)
    target = root / path.lstrip("/")
    if not target.parent.is_dir():
        target.parent.mkdir(mode=file.parent_mode)
        os.chown(target.parent, owner, group)
    target.write_text(file.text)
    target.chmod(file.mode)
    os.chown(target, owner, group)


def _account(root: Path, user: str) -> tuple[int, int]:
    """Numeric user and group of an account of the host, which need not exist on this machine."""
    for line in (root / "etc/passwd").read_text().splitlines():
        name, _, uid, gid, *_ = line.split(":")
        if name == user:
            return int(uid), int(gid)
    raise KeyError(user)


def _keep_running(spec: Spec, root: Path) -> int:
    """Boot, and boot again after each reboot; SIGTERM shuts the host down in order."""
    stopping = False
    process: subprocess.Popen[bytes] | None = None

    def stop(_signal: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True
        if process:
            process.terminate()

    signal.signal(signal.SIGTERM, stop)
    while not stopping:
        netns.reset(plan.namespace(spec.lab, spec.host), (plan.UPLINK, plan.LAN))
        print(f"--- {spec.host} boots", flush=True)
        process = subprocess.Popen(_nspawn(spec, root), stdin=subprocess.DEVNULL, env=_environment())
        code = process.wait()
        print(f"--- {spec.host} ended with {code}", flush=True)
        if code != REBOOT:
            return code
    return 0


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
    }


def _nspawn(spec: Spec, root: Path) -> list[str]:
    machine = plan.namespace(spec.lab, spec.host)
    command = ["setpriv", "--pdeathsig", "KILL", "systemd-nspawn", "--quiet", "--boot", f"--directory={root}"]
    command += [f"--machine={machine}", f"--hostname={spec.host}", f"--network-namespace-path=/run/netns/{machine}"]
    command += ["--register=no", "--keep-unit", "--kill-signal=SIGRTMIN+3", "--console=pipe"]
    command += ["--link-journal=no", "--resolv-conf=off", "--timezone=off"]
    # BPF: systemd enforces a unit's DeviceAllow= and IPAddressDeny= by it.
    command += ["--capability=CAP_NET_ADMIN,CAP_BPF", "--system-call-filter=bpf", *_device_binds(spec)]
    return command


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
