"""What several values of a site's arguments say together, passing over what isn't there or has another type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pulumi_wgnode.contracts.connection import Jump
from wgnode.image import backends
from wgnode.image.variants import Variant
from wgnode.topology import user_problems
from wgnode.topology.validate import Problem

IMAGE = f"build/image/{Variant.PINNED.file_name}"
"""The image of a site whose configuration names none, where the program knows no other."""


SECRETS = ("host.privateKey", "host.passphrase", "recipientKey", "deviceSecret")
"""Paths of a site's secrets; jump hosts have such too."""


def clear_secrets(raw: Any) -> list[str]:
    """Paths of those of a site's secrets that lie in clear text: an encrypted one is no text."""
    host = _mapping(raw, "host") if isinstance(raw, Mapping) else {}
    jumps = host.get("jumpHosts")
    found = [path for path in SECRETS if isinstance(_at(raw, path), str)]
    for number, jump in enumerate(jumps if isinstance(jumps, list) else ()):
        names = [name for name in Jump.secret_names() if isinstance(_at(jump, name), str)]
        found += [f"host.jumpHosts[{number}].{name}" for name in names]
    return found


def problems(raw: Mapping[str, Any]) -> list[Problem]:
    lan, gateway = (_mapping(raw, key) for key in ("lan", "gateway"))
    found = []
    uplink = raw.get("uplink")
    if isinstance(uplink, str) and uplink and uplink == lan.get("interface"):
        found.append(Problem(".lan.interface", f"{uplink} is the uplink; the LAN needs an interface of its own"))
    image = gateway.get("image")
    if isinstance(image, str) and "://" in image and not gateway.get("sha256"):
        found.append(Problem(".gateway.sha256", "is missing: an image from a URL is taken only by its SHA-256"))
    return [*found, *_refused(lan, gateway), *user_problems.problems(raw)]


def _refused(lan: Mapping[str, Any], gateway: Mapping[str, Any]) -> Iterator[Problem]:
    """What the backend can't do."""
    reach = lan.get("reach")
    asked = {
        "accelerator": gateway.get("accelerator"),
        "masquerade": reach == "masquerade",
        "proxyArp": reach == "proxy-arp",
    }
    for what, why in backends.refusals(str(gateway.get("backend") or backends.DEFAULT), asked):
        yield Problem(".lan.reach" if what in ("masquerade", "proxyArp") else f".gateway.{what}", why)


def _at(raw: Any, path: str) -> Any:
    for step in path.split("."):
        raw = raw.get(step) if isinstance(raw, Mapping) else None
    return raw


def _mapping(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}
