"""What several values of a site's configuration say together, passing over what isn't there or has another type."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from wgnode.image.variants import Variant
from wgnode.topology import networks, transit
from wgnode.topology.validate import Problem

PROJECT = "wgmesh"
SECRETS = ("host.privateKey", "recipientKey")
IMAGE = f"build/image/{Variant.PINNED.file_name}"
"""The image of a site whose configuration names none."""


def site_problems(raw: Mapping[str, Any], root: Path, clear: Collection[str]) -> list[Problem]:
    """`root` is the project's, for relative paths; `clear` has those of SECRETS that lie in clear text."""
    host, lan, gateway = (_mapping(raw, key) for key in ("host", "lan", "gateway"))
    problems = [*_access_problems(host), *_transit_problems(_mapping(gateway, "transit"))]
    if raw.get("uplink") and raw.get("uplink") == lan.get("interface"):
        problems.append(
            Problem(".lan.interface", f"{raw['uplink']} is the uplink; the LAN needs an interface of its own")
        )
    image = gateway.get("image", IMAGE)
    if isinstance(image, str) and "://" not in image and not gateway.get("sha256") and not (root / image).is_file():
        problems.append(Problem(".gateway.image", _no_image(root, image)))
    if isinstance(image, str) and "://" in image and not gateway.get("sha256"):
        problems.append(Problem(".gateway.sha256", "is missing: an image from a URL is taken only by its SHA-256"))
    problems += [
        Problem(
            f".{secret}",
            "lies in the stack file in clear text: make a new one and set it with `pulumi config set --secret --path"
            f" {PROJECT}:site.{secret}`",
        )
        for secret in SECRETS
        if secret in clear
    ]
    return problems


def _no_image(root: Path, image: str) -> str:
    """Beside it may lie one that this machine can build: it is taken only where the stack file says so."""
    others = [(Path(image).with_name(variant.file_name), variant) for variant in (Variant.LOCAL, Variant.PLAIN)]
    there = "".join(
        f", or name {path}, which is there, {variant.about}"
        for path, variant in others
        if str(path) != image and (root / path).is_file()
    )
    return f"there is no {root / image}; build it with `make image`{there}"


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
    if host.get("hostKeys") == []:
        problems.append(
            Problem(
                ".host.hostKeys",
                f"no key is pinned: `wgnode host scan {host.get('address', 'ADDRESS')}` fetches them for review",
            )
        )
    return problems


def _transit_problems(raw: Mapping[str, Any]) -> list[Problem]:
    problems = []
    for family, version in (("v4", 4), ("v6", 6)):
        text, length = raw.get(family), transit.PREFIX_LENGTHS[version]
        if not isinstance(text, str):
            continue
        try:
            network = networks.parse(text, version)
        except ValueError as error:
            problems.append(Problem(f".gateway.transit.{family}", str(error)))
            continue
        if network.prefixlen != length:
            problems.append(
                Problem(f".gateway.transit.{family}", f"{network} must be a /{length}: the host, the gateway, no more")
            )
    return problems


def _mapping(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}
