"""Whether an image is one for its host, and who else there needs one that is to be deleted: all gateways of a host have
the same images."""

from __future__ import annotations

from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.hosts.query import answer
from wgnode.image import variants
from wgnode.image.architecture import ARCHITECTURES, COMPILED
from wgnode.image.paths import GATEWAY_UNITS, UNITS, image_directory

IN_USE = f'exec grep -qsF -- "$1" {GATEWAY_UNITS}'


def why_kept(host: Host, sha256: str, needed_by: str | None) -> str | None:
    """Why an image stays, None where nobody else needs it. `needed_by` is the id of the site whose resource it is.

    A gateway that starts with it: a failed update that went back to an older image leaves that to be deleted, a program
    that asks for it again gets the same directory, and so do all gateways of a host. And one that is not there yet, but
    has its owner record: its stack may have found the image here and be about to start with it.
    """
    if host.run(["sh", "-c", IN_USE, "in-use", image_directory(sha256)], check=False).code == 0:
        return "a gateway runs by it"
    seen = answer(host, owners.QUERY) if needed_by else owners.Seen("")
    others = {f"{UNITS}/{one.paths.gateway_unit}": one for one in seen.records if one.owner.id != needed_by}
    if away := others.keys() - host.stat(list(others)).keys():
        return f"the gateway of {others[min(away)].owner} is still to come, and may need it"
    return "an owner record there can't be read" if seen.damaged.keys() - {needed_by} else None


def require_architecture(host: str, architecture: str, name: str) -> None:
    """Raises HostError for an image of another processor than its host's, by the names of both."""
    if (of := variants.architecture_of(name)).name == architecture:
        return
    said, way_out = architecture or "an unknown architecture", ""
    if right := ARCHITECTURES.get(architecture):
        kind = variants.Variant.PINNED if right in COMPILED else variants.Variant.PLAIN
        way_out = f", such as build/image/{kind.file_of(right)} (`wgnode image build --arch {right.name}`)"
    raise HostError(
        f"appliance image {name} is of {of.name}, and host {host} is of {said}: name one of its own in"
        f" `gateway.image`{way_out}"
    )
