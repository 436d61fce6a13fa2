"""The small parts of hostd: endpoints, state, notification, the zipapp."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from wgnode.hostd import bundle, endpoints, main
from wgnode.hostd.notify import Notifier


def test_an_ipv6_endpoint_is_written_in_brackets() -> None:
    assert endpoints.resolve("[::1]:51820") == ("[::1]:51820",)
    assert endpoints.resolve("127.0.0.1:51820") == ("127.0.0.1:51820",)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255"])
def test_a_name_that_leads_nowhere_is_no_endpoint(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints.socket, "getaddrinfo", lambda *_, **__: [(2, 2, 17, "", (address, 1))])
    with pytest.raises(OSError, match="resolves to"):
        endpoints.resolve("blocked.example:51820")


def test_a_guest_can_not_write_a_line_of_the_journal_that_passes_for_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main._say("<6>guest: hello\n<3>hostd: forged")
    assert capsys.readouterr().out == "<6>guest: hello\\n<3>hostd: forged\n"


def test_systemd_hears_what_it_asked_for(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        notifier = Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "60000000"})
        notifier.ready()
        notifier.feed()
        assert [listener.recv(100), listener.recv(100)] == [b"READY=1", b"WATCHDOG=1"]
    assert notifier.watchdog == 60.0
    notifier.feed()
    Notifier({}).ready()


def test_the_zipapp_is_the_same_every_time_and_needs_nothing_but_python(tmp_path: Path) -> None:
    assert bundle.build() == bundle.build()
    file = tmp_path / "hostd.pyz"
    file.write_bytes(bundle.build())
    command = [sys.executable, "-ISs", str(file), "health", "--json", "--socket", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout)["status"] == "unreachable"


def test_the_zipapp_holds_every_module_of_hostd() -> None:
    present = {f"hostd/{file.name}" for file in (bundle.WGNODE / "hostd").glob("*.py")}
    assert present - set(bundle.MODULES) == {"hostd/bundle.py"}


def test_every_module_of_the_zipapp_finds_what_it_imports(tmp_path: Path) -> None:
    """Its service is imported only where it runs, so no command shows what is missing for it."""
    file = tmp_path / "hostd.pyz"
    file.write_bytes(bundle.build())
    names = [f"wgnode.{each.removesuffix('.py').replace('/', '.')}" for each in bundle.MODULES]
    modules = [name.removesuffix(".__init__").removesuffix("__init__").rstrip(".") for name in names]
    code = (
        f"import sys, importlib; sys.path.insert(0, {str(file)!r}); found = map(importlib.import_module, {modules!r})"
    )
    code += "; print(*(module.__file__ for module in found), sep=chr(10))"
    done = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(line.startswith(str(file)) for line in done.stdout.splitlines())
