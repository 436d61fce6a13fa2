"""Gateway to gateway: which variants there are, what guests run on, and the section of a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.dataplane import gateways, guests
from tests.bench.dataplane.__main__ import arguments
from tests.bench.dataplane.report import markdown
from tests.bench.dataplane.results import Results, read
from tests.unit.bench.samples import run, sample
from wgnode.image import machine
from wgnode.image.errors import ImageError

EMULATED = "TCG (software emulation)"
PROCESSES = (
    sample("process-python", "tcp", 1, 0.25),
    sample("process-fast", "tcp", 1, 2.5),
    sample("process-fast", "ping-idle", 1, 0.1),
)
MICROVMS = (
    sample("microvm-python", "tcp", 1, 0.02),
    sample("microvm-fast", "tcp", 1, 0.13, noisy=True),
    sample("microvm-python", "ping-idle", 1, 4.0),
    sample("microvm-fast", "ping-idle", 1, 1.0),
)


def measured(*samples: object, **machine: str) -> Results:
    found = run(**machine)
    found.gateways = list(samples)  # type: ignore[arg-type]
    return found


def test_a_run_takes_them_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    assert arguments([]).tests[-1] == gateways.TEST
    assert arguments([]).gateways == ["process", "microvm"]
    chosen = arguments(["--tests", "gateways", "--gateways", "process"])
    assert (chosen.tests, chosen.gateways) == (["gateways"], ["process"])
    with pytest.raises(SystemExit):
        arguments(["--gateways", "kvm"])
    assert "no 'kvm'; choose of process, microvm" in capsys.readouterr().err


def test_the_section_has_ratios_to_the_plain_plane_of_the_same_path() -> None:
    text = markdown(measured(*PROCESSES, *MICROVMS, guests=EMULATED))
    (section,) = [part for part in text.split("### ") if part.startswith("Gateway to gateway")]
    assert "| process, python | 0.250 (×1.00) |  |  |" in section
    assert "| process, fast | 2.50 (×10.0) |  | 0.100 |" in section
    assert "| microvm, fast | 0.130° (×6.50) |  | 1.00 (×0.250) |" in section


def test_emulated_figures_are_said_to_be_only_ratios_and_those_under_kvm_are_not() -> None:
    warning = "only ratios to each other"
    emulated = markdown(measured(*MICROVMS, guests=EMULATED))
    assert warning in emulated
    assert f"under QEMU on {EMULATED}" in emulated
    kvm = markdown(measured(*MICROVMS, guests=str(guests.Accelerator("kvm", "on"))))
    assert warning not in kvm
    assert "under QEMU on KVM with the host's CPU, with vhost-net." in kvm
    assert "QEMU" not in markdown(measured(*PROCESSES))


def test_a_run_of_gateways_alone_has_no_empty_picture_and_judges_no_goals() -> None:
    text = markdown(measured(*PROCESSES), chart="dataplane.svg")
    assert "dataplane.svg" not in text
    assert "Goals" not in text
    assert "Gateway to gateway" not in markdown(run(sample("fast", "tcp", 1, 6.25)))


def test_samples_are_kept_and_a_run_from_before_them_is_still_read(tmp_path: Path) -> None:
    measured(*PROCESSES).write(file := tmp_path / "run.json")
    assert read(file).gateways == list(PROCESSES)
    content = json.loads(file.read_text())
    del content["gateways"]
    file.write_text(json.dumps(content))
    assert read(file).gateways == []


def test_without_qemu_microvms_are_left_out_and_processes_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "QEMU", str(tmp_path / "qemu"))
    found, said = measured(), list[str]()
    variants = gateways.prepared(gateways.PATHS, tmp_path, found, said.append)
    assert [variant.name for variant in variants] == ["process-python", "process-fast"]
    assert found.missing == {"gateways, microvm": f"{tmp_path}/qemu is not there: install qemu-system-x86"}
    assert said == [f"gateways as microvms are left out: {tmp_path}/qemu is not there: install qemu-system-x86"]
    assert "guests" not in found.machine


def test_an_image_that_can_not_be_built_leaves_microvms_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ImageError("no mirror answers")

    monkeypatch.setattr(machine, "QEMU", __file__)
    monkeypatch.setattr(guests, "build_best", fails)
    found = measured()
    assert gateways.prepared(["microvm"], tmp_path, found, lambda text: None) == []
    assert found.missing == {"gateways, microvm": "the image is not built: no mirror answers"}


@pytest.mark.parametrize(
    ("modules", "probe", "device", "name"),
    [
        (("no_such_module",), "true", "/dev/null", EMULATED),
        (("kernel",), "false", "/dev/null", EMULATED),
        (("kernel",), "true", "/dev/null", "KVM with the host's CPU, with vhost-net"),
        (("kernel",), "true", "/dev/no-such-device", "KVM with the host's CPU, without vhost-net"),
    ],
)
def test_guests_run_on_kvm_where_a_probe_guest_does_and_on_vhost_where_it_opens(
    monkeypatch: pytest.MonkeyPatch, modules: tuple[str, ...], probe: str, device: str, name: str
) -> None:
    """The module `kernel` is built into every kernel."""
    monkeypatch.setattr(guests, "KVM_MODULES", modules)
    monkeypatch.setattr(guests, "PROBE", probe)
    monkeypatch.setattr(guests, "VHOST_DEVICE", device)
    assert str(guests.accelerator()) == name
