"""Gateway: the node in its virtual machine, its companion on the host, and what the running node says of itself.

What `read` brings back is what `diff` compares: the files on the host, the state of both units, and of the running
node the configuration in force (`applied`), the digest that it computes from its device at each request (`live`), and
its keys and peers one by one. `loaded`, the configuration that it booted, is told beside them: a live change makes it
another one than `applied`. Its shape: gateway_state.py; how a change gets there: gateway_change.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from infra.hosts import pool
from infra.hosts import units as services
from infra.hosts.host import Connection, Host, HostError
from infra.provider.codec import has_unknown
from infra.provider.kind import Diff, Partial, Properties
from infra.resources import gateway_change
from infra.resources.compare import changed_inputs
from infra.resources.gateway_state import SILENT, UNITS, Desired, desired, differences, observed
from infra.resources.inputs import HostInputs, Inputs, Sha256, connection, validated
from wgnode.image import paths
from wgnode.image.machine import SMALLEST_MEMORY
from wgnode.nodeconfig import ConfigError, NodeConfig, NodeSecrets, encode_key


def _config_text(text: str) -> str:
    NodeConfig.from_json(text.encode())  # raises ConfigError, which is a ValueError, with the reason
    return text


def _secrets_text(text: str) -> str:
    NodeSecrets.from_json(text.encode())  # its ConfigError does not quote the text
    return text


class MachineInputs(Inputs):
    memory: int = Field(SMALLEST_MEMORY, ge=SMALLEST_MEMORY, description="MiB")
    cpus: int = Field(1, ge=1)
    accelerator: Literal["kvm", "tcg"] = "tcg"


class ImageInputs(Inputs):
    directory: str
    sha256: Sha256


class GatewayInputs(HostInputs):
    name: str
    image: ImageInputs
    machine: MachineInputs
    config: Annotated[str, AfterValidator(_config_text)] = Field(description="the node's configuration, canonical JSON")
    secrets: Annotated[str, AfterValidator(_secrets_text)] = Field(
        description="its private and pre-shared keys, canonical JSON; a secret"
    )
    bundle: str | None = Field(None, description="the site's sealed bundle, kept on the host for `wgnode mesh recover`")


class Gateway:
    def __init__(self, connect: Callable[[Connection], Host] = pool.connect) -> None:
        self._connect = connect

    def check(self, news: Properties, olds: Properties) -> Properties:
        """Also with what is wanted of the host, so that a preview shows drift against it."""
        checked = validated(GatewayInputs, news)
        return checked if has_unknown(checked) else {**checked, **_planned(checked)}

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        changes = changed_inputs(old_inputs, news, GatewayInputs.wire_names(), replace=("connection.address", "name"))
        if not has_unknown(news):
            changes += differences(desired(news).properties(), state)
        return Diff(tuple(changes))

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        if preview:
            return "", inputs
        return inputs["name"], self._apply(inputs["name"], inputs)

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | None:
        try:
            found = observed(self._connect(connection(inputs)), desired(inputs))
        except ConfigError:  # of another version of wgnode: this one can't judge what is there, so all of it is drift
            return {**inputs, "files": {}, "units": {}, **SILENT}, inputs
        if not found["files"] and not found["units"]:
            return None
        return {**inputs, **found}, {**inputs, **_planned(inputs)}

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        return inputs if preview else self._apply(id, inputs)

    def delete(self, id: str, state: Properties) -> None:
        host = self._connect(connection(state))
        for unit in UNITS:
            services.uninstall(host, unit)
        host.run(["rm", "-rf", paths.GATEWAY, paths.HOSTD_DIRECTORY, paths.RUN])  # the last has the secrets too

    def _apply(self, id: str, inputs: Properties) -> Properties:
        host = self._connect(connection(inputs))
        wanted = desired(inputs)
        try:
            gateway_change.apply(host, wanted)
            return {**inputs, **observed(host, wanted)}
        except HostError as error:
            raise Partial(id, {**inputs, **_observed_if_possible(host, wanted)}, inputs, str(error)) from error


def _planned(inputs: Properties) -> Properties:
    """What the host and the node will say once they are as the inputs want them."""
    config = NodeConfig.from_json(inputs["config"].encode())
    return {
        **desired(inputs).properties(),
        "publicKey": encode_key(config.public_keys[0]),
        "addresses": list(config.addresses),
    }


def _observed_if_possible(host: Host, wanted: Desired) -> Properties:
    """What a failure left; nothing, hence all of it drift, where the host cannot be asked any more."""
    try:
        return observed(host, wanted)
    except HostError:
        return {"files": {}, "units": {}, **SILENT}
