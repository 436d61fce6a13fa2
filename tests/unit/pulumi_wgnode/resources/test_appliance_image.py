from __future__ import annotations

import pytest

from pulumi_wgnode.call.kind import UNKNOWN, CheckError, Partial
from pulumi_wgnode.call.log import Severity, send_to
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import HostError, HostUnreachable
from pulumi_wgnode.resources.appliance_image import ApplianceImage
from pulumi_wgnode.resources.unrecorded import Unrecorded
from tests.unit.pulumi_wgnode.keys import OTHER_KEY, OTHER_PIN, PIN
from tests.unit.pulumi_wgnode.resources.image_case import (
    CONNECTION,
    INITRAMFS,
    KERNEL,
    MEMBERS,
    build,
    checked,
    created,
    host,
    image,
    kind,
    read_paths,
    uploaded,
)
from wgnode.image import paths

__all__ = ["host", "image", "kind"]


def test_an_image_lies_under_its_digest_readable_for_qemu(kind, host, image):
    _, id, state = created(kind, image)
    assert id == image[1]
    assert state["directory"] == f"/var/lib/wgnode/images/{image[1]}"
    assert host.directories == {state["directory"]: "0755 root:root"}
    assert {path.rsplit("/", 1)[1] for path in host.files} == set(MEMBERS)
    assert host.files[f"{state['directory']}/vmlinux"] == (KERNEL, 0o644, "root")


def test_right_after_creation_nothing_differs(kind, image):
    inputs, id, state = created(kind, image)
    assert kind.diff(state, inputs, inputs).changes == ()
    assert kind.read(id, state, inputs) == (state, inputs)


def test_a_preview_knows_the_directory_and_touches_nothing(kind, host, image):
    inputs = checked(kind, image)
    assert kind.create("image", inputs, True)[1]["directory"] == f"/var/lib/wgnode/images/{image[1]}"
    _, id, state = created(kind, image)
    host.commands.clear()
    host.events.clear()
    assert kind.update(id, state, inputs, True) == state
    assert (host.events, host.commands) == ([], [])


def test_a_preview_says_that_the_file_of_an_image_to_be_brought_is_not_there(kind, image):
    with pytest.raises(ExplainedError, match=r"appliance image /nowhere: there is no such file.*wgnode image build"):
        kind.create("image", checked(kind, image, source="/nowhere"), True)
    with pytest.raises(ExplainedError, match=f"{image[1]}, wanted {'0' * 64}"):
        kind.create("image", checked(kind, image, sha256="0" * 64), True)
    kind.create("image", checked(kind, image, source=UNKNOWN), True)  # not judged


def test_another_image_than_asked_for_is_refused_before_anything_is_uploaded(kind, host, image):
    with pytest.raises(ExplainedError, match=f"{image[1]}, wanted {'0' * 64}"):
        created(kind, image, sha256="0" * 64)
    assert (host.events, host.files) == ([], {})


@pytest.mark.parametrize("sha256", ["", "0" * 63, "G" * 64, "0" * 65])
def test_a_digest_that_is_none_is_named(kind, image, sha256):
    with pytest.raises(CheckError) as error:
        checked(kind, image, sha256=sha256)
    assert [path for path, _ in error.value.failures] == ["sha256"]


def test_creating_it_again_uploads_nothing(kind, host, image):
    created(kind, image)
    host.events.clear()
    created(kind, image)
    assert host.events == []


@pytest.mark.parametrize("member", MEMBERS)
def test_only_a_missing_member_is_uploaded(kind, host, image, member):
    inputs, id, state = created(kind, image)
    host.remove(f"{state['directory']}/{member}")
    path = f"files.{member}" if member == "vmlinux" else f'files["{member}"]'
    assert read_paths(kind, id, state, inputs) == [(path, "ADD", True)]
    host.events.clear()
    assert kind.update(id, state, inputs, False) == state
    assert uploaded(host) == [member]


def test_a_truncated_member_is_drift_by_its_name_and_mended(kind, host, image):
    inputs, id, state = created(kind, image)
    host.files[f"{state['directory']}/initramfs.zst"] = (INITRAMFS[:-1], 0o644, "root")
    assert read_paths(kind, id, state, inputs) == [('files["initramfs.zst"]', "UPDATE", True)]
    host.events.clear()
    state = kind.update(id, state, inputs, False)
    assert uploaded(host) == ["initramfs.zst"]
    assert read_paths(kind, id, state, inputs) == []


def test_a_new_image_is_a_new_resource_and_the_old_one_stays_until_then(kind, image, tmp_path):
    inputs, _, state = created(kind, image)
    other = build(tmp_path, b"other kernel")
    diff = kind.diff(state, inputs, checked(kind, other))
    assert [change.path for change in diff.changes if change.replace] == ["sha256"]
    assert not diff.delete_before_replace


ELSEWHERE = ["/home/other/clone/build/image/appliance.tar", "https://mirror.example/appliance.tar", "file:///srv/a.tar"]


@pytest.mark.parametrize("source", ELSEWHERE)
def test_the_same_image_from_elsewhere_is_no_difference_and_no_place_of_it_is_recorded(kind, image, source):
    inputs, id, state = created(kind, image)
    news = checked(kind, image, source=source)
    state, inputs = kind.read(id, state, inputs)
    assert kind.diff(state, inputs, news).changes == ()
    assert str(image[0].parent) not in repr(state)


@pytest.fixture
def other_runner(host):
    """A provider's process on another machine."""
    return Unrecorded(ApplianceImage(connect=lambda _: host), "sha256", ("source",))


def test_what_the_engine_records_of_an_image_tells_no_path_and_the_upload_still_finds_it(other_runner, host, image):
    recorded = checked(other_runner, image)
    assert set(recorded) == {"connection", "sha256"}
    assert str(image[0].parent) not in repr(other_runner.create("image", recorded, True))
    id, state = other_runner.create("image", recorded, False)
    host.remove(f"{state['directory']}/vmlinux")
    state, recorded = other_runner.read(id, state, recorded)
    state = other_runner.update(id, state, recorded, False)
    assert uploaded(host) == [*MEMBERS, "vmlinux"]
    assert state["name"] == "wgnode-1.2.3-plain"
    assert "source" not in state
    assert str(image[0].parent) not in repr((state, recorded))


def test_what_broke_off_is_recorded_without_a_path_too(other_runner, host, image):
    host.fails, host.loses_connection = "initramfs.zst", True
    with pytest.raises(Partial) as error:
        other_runner.create("image", checked(other_runner, image), False)
    assert str(image[0].parent) not in repr((error.value.state, error.value.inputs))
    host.fails, host.reachable = None, True
    assert other_runner.update(image[1], error.value.state, error.value.inputs, False)["files"].keys() == set(MEMBERS)


def test_a_state_that_still_has_a_path_is_taken_over_without_a_change(kind, other_runner, host, image):
    """As this was recorded once: inputs and outputs with the path of a clone that is no more, without a name."""
    _, id, state = created(kind, image)
    path = {"source": "/home/gone/wgnode/build/image/appliance.tar"}
    del state["name"]
    old_inputs = {"connection": state["connection"], "sha256": id, **path}
    host.events.clear()
    found, found_inputs = other_runner.read(id, {**state, **path}, old_inputs)
    news = checked(other_runner, image)
    assert other_runner.diff({**state, **path}, old_inputs, news).changes == ()
    assert other_runner.diff(found, found_inputs, news).changes == ()
    assert "/home/gone" not in repr((found, found_inputs))
    assert found["name"] == "wgnode-1.2.3-plain", "as the manifest on the host says"
    assert host.events == []


@pytest.mark.parametrize(
    "changed", [{"privateKey": OTHER_KEY}, {"port": 2222}, {"user": "me"}, {"hostKeys": [PIN, OTHER_PIN]}]
)
def test_another_way_to_the_host_fetches_and_uploads_nothing(kind, host, image, changed):
    _, id, state = created(kind, image)
    image[0].unlink()
    news = checked(kind, image, connection={**CONNECTION, **changed})
    host.events.clear()
    updated = kind.update(id, state, news, False)
    assert updated["connection"] == {**state["connection"], **changed}
    assert host.events == []
    assert kind.diff(updated, news, news).changes == ()
    host.remove(f"{state['directory']}/vmlinux")
    with pytest.raises(ExplainedError, match="wgnode image build"):
        kind.update(id, state, news, False)


def test_a_source_that_nobody_told_is_asked_for_by_name(other_runner, image):
    with pytest.raises(ExplainedError, match=rf"image {image[1][:12]}: .*give `source`"):
        other_runner.create("image", {"connection": CONNECTION, "sha256": image[1]}, False)


def test_another_kind_of_image_is_told_before_anything_is_done(kind, host, image, tmp_path, said):
    inputs, _, state = created(kind, image)
    compiled = build(tmp_path, b"other kernel", extension="ab" * 32)
    kind.diff(state, inputs, checked(kind, build(tmp_path, b"a third")))
    assert said == [], "of the same kind"
    changes = kind.diff(state, inputs, checked(kind, compiled)).changes
    (warning,) = said
    assert "wgnode-1.2.3 in place of wgnode-1.2.3-plain" in warning
    assert [change.path for change in changes if change.replace] == ["sha256"]
    inputs, _, state = created(kind, compiled)
    said.clear()
    kind.diff(state, inputs, checked(kind, image))
    assert "wgnode-1.2.3-plain in place of wgnode-1.2.3. It is without the compiled data plane" in said[0]
    assert "several times slower" in said[0]


@pytest.fixture
def said():
    """Warnings for the person at the terminal."""
    lines = []
    send_to(lambda text, severity: lines.append(text) if severity is Severity.WARNING else None)
    yield lines
    send_to(None)


def test_another_address_is_no_other_image(kind, image):
    inputs, _, state = created(kind, image)
    news = checked(kind, image, connection={**CONNECTION, "address": "192.0.2.9"})
    assert not [change for change in kind.diff(state, inputs, news).changes if change.replace]


def test_an_image_that_is_gone_is_read_as_none(kind, host, image):
    inputs, id, state = created(kind, image)
    host.files.clear()
    host.directories.clear()
    assert kind.read(id, state, inputs) is None


def test_an_empty_directory_of_a_deletion_cut_short_is_still_to_be_deleted(kind, host, image):
    inputs, id, state = created(kind, image)
    host.files.clear()
    found, _ = kind.read(id, state, inputs)
    assert kind.diff(found, inputs, inputs).changes
    kind.delete(id, found)
    assert kind.read(id, found, inputs) is None


# Failing, deleting


def test_an_upload_that_broke_off_keeps_what_is_there_and_goes_on_with_the_rest(kind, host, image):
    host.fails, host.loses_connection = "initramfs.zst", True
    with pytest.raises(Partial) as error:
        created(kind, image)
    assert (error.value.id, list(error.value.state["files"])) == (image[1], ["vmlinux"])
    inputs, state = error.value.inputs, error.value.state
    assert [change.path for change in kind.diff(state, inputs, inputs).changes] == [
        'files["initramfs.zst"]',
        'files["manifest.json"]',
    ]
    host.fails, host.reachable = None, True
    host.events.clear()
    kind.update(image[1], state, inputs, False)
    assert uploaded(host) == ["initramfs.zst", "manifest.json"]


def test_a_host_that_cannot_be_reached_has_no_image(kind, host, image):
    host.reachable = False
    with pytest.raises(HostUnreachable):
        created(kind, image)


def test_deleting_leaves_nothing_and_is_no_error_twice(kind, host, image):
    _, id, state = created(kind, image)
    kind.delete(id, state)
    assert (host.files, host.directories) == ({}, {})
    kind.delete(id, state)


def test_deleting_spares_another_image_and_what_else_lies_beside_it(kind, host, image, tmp_path):
    _, id, state = created(kind, image)
    created(kind, build(tmp_path, b"other kernel"))
    host.files[f"{state['directory']}/notes"] = (b"mine", 0o644, "root")
    kind.delete(id, state)
    left = [path for path in host.files if path.startswith(state["directory"])]
    assert left == [f"{state['directory']}/notes"]
    assert len(host.files) == 1 + len(MEMBERS)
    assert state["directory"] in host.directories


def test_an_image_that_the_gateway_runs_by_is_not_taken_from_under_it(kind, host, image):
    _, id, state = created(kind, image)
    unit = f"/etc/systemd/system/{paths.PLAIN.gateway_unit}"
    host.files[unit] = (f"ExecStart=qemu -kernel {paths.image_directory(id)}/vmlinux".encode(), 0o644, "root")
    before = dict(host.files)
    kind.delete(id, state)
    assert host.files == before
    host.files[unit] = (b"ExecStart=qemu -kernel /another/vmlinux", 0o644, "root")
    kind.delete(id, state)
    assert not [path for path in host.files if path.startswith(paths.IMAGES)]


def test_an_image_of_another_processor_than_its_hosts_is_refused_by_name_and_foretold(kind, host, tmp_path):
    arm = build(tmp_path, name="wgnode-1.2.3-plain-arm64")
    with pytest.raises(
        HostError, match=r"wgnode-1\.2\.3-plain-arm64 is of arm64, and host .* is of amd64: .*image/appliance\.tar"
    ):
        created(kind, arm)
    assert uploaded(host) == []
    checks = [*kind.foresee(host, checked(kind, arm), None)]
    with pytest.raises(HostError, match="is of arm64"):
        checks[0]()
    host.release = host.release.replace("amd64", "arm64")
    checks[0]()
    created(kind, arm)
    with pytest.raises(HostError, match=r"is of amd64, and host .* is of arm64: .*appliance-plain-arm64\.tar"):
        created(kind, build(tmp_path, kernel=b"another"))
