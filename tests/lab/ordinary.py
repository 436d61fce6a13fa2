"""A machine of the ordinary kind: its PID 1 is systemd with Debian's defaults, its user is no root but has sudo.

A systemd container whose file system is a throw-away layer over this machine's own, so that packages, clone, virtual
environment, caches and image are there as set-up left them. Its network is its own, without a way out. All of it ends
with the process that made it. `python -m tests.lab.ordinary DIRECTORY CGROUP`, in namespaces of its own, becomes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab import cgroup, rootfs, state
from lab.process import run
from tools import ROOT
from tools.cache import cache_directory

USER = "visitor"
UID = 4321
HOME = Path("/home", USER)
BOOT_SECONDS = 120.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class OrdinaryMachine:
    """`name` is registered like a lab's, so that conftest removes what a killed session left."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.cgroup = cgroup.of_host(name, "ordinary")
        self.directory = directory

    @contextlib.contextmanager
    def running(self) -> Iterator[OrdinaryMachine]:
        """Boot it; whatever happens, nothing of it is left afterwards."""
        with state.locked(self.name, self.directory, lambda: None):
            state.register(self.name, self.directory)
        self.cgroup.mkdir(parents=True)
        console = self.directory / "console.log"
        with open(console, "wb") as output, subprocess.Popen(self._argv(), stdout=output, stderr=output, cwd=ROOT) as p:
            try:
                self._await_boot(p, console)
                yield self
            finally:
                cgroup.end(self.cgroup)
                p.wait()
                cgroup.remove_empty(self.name)
                shutil.rmtree(self.directory)
                state.forget(self.name)

    def _argv(self) -> list[str]:
        """Its processes are in a process namespace that ends with us, even if we are killed."""
        enter = ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        enter += ["--propagation", "private"]
        return [*enter, sys.executable, "-m", "tests.lab.ordinary", str(self.directory), str(self.cgroup)]

    def _await_boot(self, process: subprocess.Popen[bytes], console: Path) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        while (state := self._state()) not in ("running", "degraded"):
            assert process.poll() is None, f"the machine ended while booting:\n{console.read_text(errors='replace')}"
            assert time.monotonic() < deadline, f"the machine is {state!r} after {BOOT_SECONDS:g} s"
            time.sleep(0.1)

    def _state(self) -> str:
        if self._leader() is None:
            return "off"
        return self.root("systemctl is-system-running", check=False).stdout.strip()

    def _leader(self) -> int | None:
        """The outer number of its PID 1; beside it there are PID 1s of labs' hosts."""
        return cgroup.leader(self.cgroup / "payload/init.scope")

    def left_to_root(self) -> set[str]:
        """Files in the user's clone and home that the user could not remove, but for the hosts' root file system."""
        places = ("clone/upper", f"machine/upper{HOME}")
        found = {path for place in places for path in (self.directory / place).rglob("*")}
        # A character device stands for a file that was removed.
        return {str(path) for path in found if path.lstat().st_uid != UID and not path.is_char_device()}

    def root(self, command: str, *, check: bool = True, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        """Run a shell command in it as root, outside of any session; `timeout` in seconds."""
        return self._run(["sh", "-c", command], check, timeout)

    def user(self, command: str, *, check: bool = True, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        """Run a shell command in the clone as the ordinary user, in a login session that ends with it."""
        login = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", "su", "--login", USER, "--command"]
        return self._run([*login, f"cd {ROOT} && {command}"], check, timeout)

    def _run(self, argv: Sequence[str], check: bool, timeout: float) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", "--target", str(self._leader()), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        enter += ["--root", "--wdns=/", "env", "-i", f"PATH={_PATH}", "HOME=/root", "TERM=dumb"]
        return run([*enter, *argv], check=check, timeout=timeout)


def main(directory: Path, group: Path) -> None:
    """Become the machine: in mount and process namespaces of its own already."""
    (group / "cgroup.procs").write_text("0")
    if cgroup.mounted() != Path("/sys/fs/cgroup"):
        run(["mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"])
    Path("/run/systemd").mkdir(exist_ok=True)
    run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run/systemd"])
    root = _layer(Path("/"), directory / "machine", directory / "root")
    run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", str(root / "tmp")])
    _debian_defaults(root)
    _install_sudo(root)
    _add_user(root)
    _hand_over(root, directory)
    os.execvpe("systemd-nspawn", _nspawn(root, directory), _environment())


def _layer(lower: Path, layer: Path, target: Path) -> Path:
    """Show `lower` at `target`; what is changed there goes to `layer`, with owners and modes without the contents."""
    for each in (layer / "upper", layer / "work", target):
        each.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={lower},upperdir={layer / 'upper'},workdir={layer / 'work'},metacopy=on"
    run(["mount", "-t", "overlay", "ordinary", "-o", options, str(target)])
    return target


def _debian_defaults(root: Path) -> None:
    """Only what Debian's systemd starts by itself; services of this machine would start a second time."""
    for each in [*root.glob("etc/systemd/system/*.wants"), *root.glob("etc/rc?.d")]:
        shutil.rmtree(each)
    (root / "etc/machine-id").unlink(missing_ok=True)
    (root / "etc/machine-id").touch()
    # Debian 12 empties /tmp at boot, and the clone may lie in it.
    (root / "etc/tmpfiles.d").mkdir(exist_ok=True)
    (root / "etc/tmpfiles.d/tmp.conf").touch()


def _install_sudo(root: Path) -> None:
    """From the lab hosts' root file system, where this machine has none, as a machine of root's alone may."""
    if (root / "usr/bin/sudo").exists():
        return
    source = rootfs.ensure(print)["bookworm"]
    for line in (source / "var/lib/dpkg/info/sudo.list").read_text().splitlines():
        inner = line.lstrip("/")
        if (source / inner).is_symlink() or (source / inner).is_file():
            (root / inner).parent.mkdir(parents=True, exist_ok=True)
            run(["cp", "-a", str(source / inner), str(root / inner)])


def _add_user(root: Path) -> None:
    run(["useradd", "--root", str(root), "--uid", str(UID), "--create-home", "--shell", "/bin/bash", USER])
    rule = root / "etc/sudoers.d" / USER
    rule.write_text(f"{USER} ALL=(ALL:ALL) NOPASSWD: ALL\n")
    rule.chmod(0o440)


def _hand_over(root: Path, directory: Path) -> None:
    """Make clone and caches the user's, where a user's are; only the hosts' root file system is root's, as with sudo.

    The clone keeps its path, which the virtual environment's programs name.
    """
    clone = _layer(ROOT, directory / "clone", root / ROOT.relative_to("/"))
    for parent in clone.relative_to(root).parents:
        (root / parent).chmod((root / parent).stat().st_mode | 0o011)
    run(["chown", "--recursive", f"{UID}:{UID}", str(clone)])
    caches = _layer(cache_directory(), directory / "caches", root / HOME.relative_to("/") / ".cache/wgnode")
    run(["chown", f"{UID}:{UID}", str(caches.parent), str(caches)])
    for each in caches.iterdir():
        if each.name != rootfs.cache_directory().name:
            run(["chown", "--recursive", f"{UID}:{UID}", str(each)])


def _nspawn(root: Path, directory: Path) -> list[str]:
    files = directory / "files"  # hosts' layers cannot lie on a layer themselves
    files.mkdir()
    command = ["systemd-nspawn", "--quiet", "--boot", f"--directory={root}", "--machine=ordinary", "--private-network"]
    command += ["--register=no", "--keep-unit", "--kill-signal=SIGRTMIN+3", "--console=pipe", "--link-journal=no"]
    command += ["--resolv-conf=off", "--timezone=off", "--capability=all", "--system-call-filter=bpf"]
    return [*command, f"--bind={files}:/var/lib/wgnode"]


def _environment() -> dict[str, str]:
    return {
        "PATH": _PATH,
        "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
        # Its kernel is this machine's: it may set what is its network's, and nothing else.
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
        "SYSTEMD_NSPAWN_TMPFS_TMP": "0",
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
