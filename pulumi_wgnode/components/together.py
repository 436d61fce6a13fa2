"""What several values of a site's arguments say together, passing over what isn't there or has another type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wgnode.image.variants import Variant
from wgnode.topology.validate import Problem

IMAGE = f"build/image/{Variant.PINNED.file_name}"
"""The image of a site whose configuration names none, where the program knows no other."""


def problems(raw: Mapping[str, Any]) -> list[Problem]:
    host, lan, gateway = (_mapping(raw, key) for key in ("host", "lan", "gateway"))
    found = _access_problems(host)
    if raw.get("uplink") and raw.get("uplink") == lan.get("interface"):
        found.append(Problem(".lan.interface", f"{raw['uplink']} is the uplink; the LAN needs an interface of its own"))
    image = gateway.get("image")
    if isinstance(image, str) and "://" in image and not gateway.get("sha256"):
        found.append(Problem(".gateway.sha256", "is missing: an image from a URL is taken only by its SHA-256"))
    return found


def _access_problems(host: Mapping[str, Any]) -> list[Problem]:
    problems = []
    if host and not host.get("privateKey") and not host.get("agent"):
        problems.append(
            Problem(
                ".host",
                "neither privateKey nor agent: run `pulumi config set --secret --path wgmesh:site.host.privateKey <"
                " KEYFILE`, or use `agent: true`",
            )
        )
    if host.get("privateKey") and host.get("agent") is True:
        problems.append(Problem(".host", "both privateKey and agent; keep one of them"))
    return problems


def _mapping(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}
