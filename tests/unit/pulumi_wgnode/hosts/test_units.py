"""What `systemctl show` says of units, in two words each."""

from __future__ import annotations

import pytest

from pulumi_wgnode.hosts import units
from pulumi_wgnode.hosts.host import Result

PATH = "/etc/systemd/system/a.service.d/override.conf"


@pytest.mark.parametrize(
    ("load", "active", "enabled", "text"),
    [
        ("loaded", "active", "enabled", "active, enabled"),
        ("loaded", "failed", "disabled", "failed, disabled"),
        ("loaded", "active", "", "active, transient"),
        ("masked", "inactive", "masked", "inactive, masked"),
        ("masked", "active", "masked", "active, masked"),
        ("bad-setting", "inactive", "enabled", "inactive, bad-setting"),
        ("error", "failed", "", "failed, error"),
        ("not-found", "inactive", "", None),
    ],
)
def test_a_unit_that_can_not_be_started_is_not_one_that_is_not_there(
    load: str, active: str, enabled: str, text: str | None
) -> None:
    said = f"Id=a.service\nLoadState={load}\nActiveState={active}\nUnitFileState={enabled}\n"
    assert units.query(["a.service"]).parse(Result(0, said, "")).get("a.service") == text
    overridden = units.query(["a.service"]).parse(Result(0, f"{PATH}\n{said}", "")).get("a.service")
    assert text is None or load != "loaded" or overridden == f"{text}; overridden by {PATH}"
