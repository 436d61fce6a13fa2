"""What the classes of sdk/ share, which are written out of the contracts: how a resource is registered."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, ClassVar

import pulumi
from pulumi import Input, Output, ResourceOptions

from pulumi_wgnode.call.options import DESCRIPTIONS
from pulumi_wgnode.contracts.contract import PACKAGE, Contract
from pulumi_wgnode.model import Model, snake, wire_name

VERSION = version("wgnode")


class Provider(pulumi.ProviderResource):
    """The provider with options of its own, for resources whose `opts` name it; the others have the stack's."""

    def __init__(self, resource_name: str, /, opts: ResourceOptions | None = None, **options: Input[bool]) -> None:
        given = _on_wire({snake(name): name for name in DESCRIPTIONS}, options, PACKAGE)
        super().__init__(PACKAGE, resource_name, given, ResourceOptions.merge(ResourceOptions(version=VERSION), opts))


class Resource(pulumi.CustomResource):
    """A resource of ours. `inputs` are by their names in Python."""

    contract: ClassVar[Contract]

    def __init__(
        self, resource_name: str, opts: ResourceOptions | None, inputs: Mapping[str, Input[Any] | None]
    ) -> None:
        contract = self.contract
        ours = ResourceOptions(version=VERSION, additional_secret_outputs=list(contract.secrets))
        known = {name: wire_name(name, field) for name, field in contract.inputs.model_fields.items()}
        given = _on_wire(known, inputs, contract.name)
        sealed = {name: Output.secret(value) for name, value in given.items() if name in contract.secrets}
        all_of_it = {**dict.fromkeys(contract.produced), **given, **sealed}
        super().__init__(contract.token, resource_name, all_of_it, ResourceOptions.merge(ours, opts))

    def output(self, wire: str) -> Output[Any]:
        """An input or output by its name on the wire."""
        found: Output[Any] = pulumi.get(self, wire)
        return found


def _on_wire(names: Mapping[str, str], given: Mapping[str, Any], of: str) -> dict[str, Any]:
    """What is given, by the names of the wire. Raises TypeError for a name that there is not."""
    if unknown := given.keys() - names.keys():
        raise TypeError(f"{of} has no input {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    return {names[name]: _plain(value) for name, value in given.items() if value is not None}


def _plain(value: Any) -> Any:
    """With mappings in place of models, wherever they are."""
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
