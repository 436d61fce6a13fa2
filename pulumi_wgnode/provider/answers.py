"""What is told the engine, in its words: what is wrong with inputs, what differs, what broke off."""

from __future__ import annotations

from typing import NoReturn, TypeAlias

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import errors_pb2, provider_pb2, status_pb2

from pulumi_wgnode.call.kind import CheckError, Diff, Partial, PropertyChange
from pulumi_wgnode.provider.codec import encode_map, keep_secrets, secret_at

Context: TypeAlias = grpc.ServicerContext
LONGEST = 1000
"""Characters of what is wrong with one value."""


def failures(error: CheckError, given: Struct) -> list[provider_pb2.CheckFailure]:
    """The engine shows the value at each path, of secrets too: what is wrong with one has no path but in its text."""
    return [
        provider_pb2.CheckFailure(reason=f"{path}: {_cut(why)}")
        if secret_at(given, path)
        else provider_pb2.CheckFailure(property=path, reason=_cut(why))
        for path, why in error.failures
    ]


def _cut(reason: str) -> str:
    """It may quote a value of any length."""
    return reason if len(reason) <= LONGEST else f"{reason[:LONGEST]} ..."


def abort_partial(context: Context, error: Partial, given: Struct, reason: str) -> NoReturn:
    """The engine keeps the state of a resource that exists but isn't finished, if it is told so by this detail."""
    detail = provider_pb2.ErrorResourceInitFailed(
        id=error.id,
        properties=keep_secrets(encode_map(error.state), given),
        inputs=keep_secrets(encode_map(error.inputs), given),
        reasons=[reason],
        refresh_before_update=True,
    )
    _abort_with(context, grpc.StatusCode.UNKNOWN, reason, detail)


def abort_inputs(context: Context, found: list[tuple[str, str]], given: Struct) -> NoReturn:
    """The engine names each by its path beside the component, with its value: what is wrong with a secret is only told,
    and none is without a path, for which the engine shows all arguments."""
    errors, said = errors_pb2.InputPropertiesError(), "these arguments can't be"
    for failure in failures(CheckError(found), given):
        if failure.property:
            errors.errors.add(property_path=failure.property, reason=failure.reason)
        else:
            said += f"\n\t\t- {failure.reason}"
    if not errors.errors:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, said)
    _abort_with(context, grpc.StatusCode.INVALID_ARGUMENT, said, errors)


def _abort_with(context: Context, status: grpc.StatusCode, text: str, detail: Message) -> NoReturn:
    packed = any_pb2.Any()
    packed.Pack(detail)
    whole = status_pb2.Status(code=status.value[0], message=text, details=[packed])
    context.set_trailing_metadata((("grpc-status-details-bin", whole.SerializeToString()),))
    context.abort(status, text)
    raise AssertionError("abort raises")


def diff_response(diff: Diff) -> provider_pb2.DiffResponse:
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if diff.changes else provider_pb2.DiffResponse.DIFF_NONE,
        replaces=[change.path for change in diff.changes if change.replace],
        diffs=sorted({change.path.split(".")[0].split("[")[0] for change in diff.changes}),
        detailedDiff={change.path: _property_diff(change) for change in diff.changes},
        hasDetailedDiff=True,
        deleteBeforeReplace=diff.delete_before_replace,
    )


def _property_diff(change: PropertyChange) -> provider_pb2.PropertyDiff:
    replaced = change.kind + "_REPLACE" if change.replace else change.kind
    kind = provider_pb2.PropertyDiff.Kind.Value(replaced)
    return provider_pb2.PropertyDiff(kind=kind, inputDiff=not change.drift)
