"""The Pulumi provider protocol over `Kind`s: one method a call, plain values on the other side.

Synchronous gRPC and a thread pool, so a kind may block on SSH. Why not pulumi.provider.experimental:
docs/decisions/own-provider-server.md.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import grpc
from google.protobuf import empty_pb2
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from pulumi_wgnode import contracts
from pulumi_wgnode.call import deadline, options, told
from pulumi_wgnode.call.kind import (
    UNKNOWN,
    CheckError,
    Diff,
    Imported,
    Kind,
    Partial,
    Properties,
    PropertyChange,
    has_unknown,
)
from pulumi_wgnode.call.log import cancel
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.provider import answers, engine_log, light
from pulumi_wgnode.provider.answers import Context
from pulumi_wgnode.provider.codec import decode_map, encode_map, keep_secrets

Empty = empty_pb2.Empty
NOTHING = Struct()


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """`kinds(token)` gives a resource kind or raises KeyError; `schema()` the package's schema as JSON."""

    def __init__(self, name: str, version: str, kinds: Callable[[str], Kind], schema: Callable[[], str]) -> None:
        self._name, self._version, self._kinds, self._schema = name, version, kinds, schema
        self._in_flight = 0
        self._idle = threading.Condition()

    # What the engine asks of every plugin.

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: Context
    ) -> provider_pb2.ProviderHandshakeResponse:
        engine_log.connect(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=False, accept_outputs=True)

    def GetPluginInfo(self, request: Empty, context: Context) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(self, request: provider_pb2.GetSchemaRequest, context: Context) -> provider_pb2.GetSchemaResponse:
        light.import_the_rest()
        return provider_pb2.GetSchemaResponse(schema=self._schema())

    def Attach(self, request: plugin_pb2.PluginAttach, context: Context) -> Empty:
        engine_log.connect(request.address)
        return Empty()

    def CheckConfig(self, request: provider_pb2.CheckRequest, context: Context) -> provider_pb2.CheckResponse:
        try:
            options.parse(decode_map(request.news), os.environ)
        except CheckError as error:
            return provider_pb2.CheckResponse(failures=answers.failures(error, request.news))
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: Context) -> provider_pb2.DiffResponse:
        """Other options are an update of the provider; they never replace it, nor anything that it made."""
        changed = options.changed(decode_map(request.olds), decode_map(request.news))
        return answers.diff_response(Diff(tuple(PropertyChange(name) for name in changed)))

    def Configure(self, request: provider_pb2.ConfigureRequest, context: Context) -> provider_pb2.ConfigureResponse:
        try:
            options.configure(decode_map(request.args))
            told.forget()
        except CheckError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=False, acceptOutputs=True
        )

    def Cancel(self, request: Empty, context: Context) -> Empty:
        """Ctrl-C: the engine starts nothing new and waits for what runs; long waits may end early."""
        cancel()
        return Empty()

    # One resource.

    def Check(self, request: provider_pb2.CheckRequest, context: Context) -> provider_pb2.CheckResponse:
        with self._call(request.urn, context):
            kind = self._kind(request.urn, context)
            try:
                inputs = kind.check(decode_map(request.news), decode_map(request.olds))
            except CheckError as error:
                return provider_pb2.CheckResponse(failures=answers.failures(error, request.news))
            sealed = encode_map(_sealed(request.urn, inputs))
            return provider_pb2.CheckResponse(inputs=keep_secrets(sealed, request.news))

    def Diff(self, request: provider_pb2.DiffRequest, context: Context) -> provider_pb2.DiffResponse:
        with self._call(request.urn, context):
            news, old_inputs = decode_map(request.news), decode_map(request.old_inputs)
            return answers.diff_response(
                self._kind(request.urn, context).diff(decode_map(request.olds), old_inputs, news)
            )

    def Create(self, request: provider_pb2.CreateRequest, context: Context) -> provider_pb2.CreateResponse:
        with (
            self._call(request.urn, context, request.properties, changes=not request.preview),
            _in_time("create", request, request.preview),
        ):
            kind, inputs = self._kind(request.urn, context), decode_map(request.properties)
            _foresee(kind, request.preview, inputs, None)
            if request.preview and has_unknown(inputs):
                id, state = "", inputs
            else:
                id, state = kind.create(resource_name(request.urn), inputs, request.preview)
            made = keep_secrets(encode_map(state), request.properties)
            return provider_pb2.CreateResponse(id=id, properties=made, refresh_before_update=True)

    def Read(self, request: provider_pb2.ReadRequest, context: Context) -> provider_pb2.ReadResponse:
        with self._call(request.urn, context):
            kind = self._kind(request.urn, context)
            found = kind.read(request.id, decode_map(request.properties), decode_map(request.inputs))
            if found is None:
                return provider_pb2.ReadResponse(id="")
            if not isinstance(found, Imported):
                found = Imported(request.id, *found)
            return provider_pb2.ReadResponse(
                id=found.id,
                properties=keep_secrets(encode_map(_sealed(request.urn, found.state)), request.properties),
                inputs=keep_secrets(encode_map(_sealed(request.urn, found.inputs)), request.inputs),
                refresh_before_update=True,
            )

    def Update(self, request: provider_pb2.UpdateRequest, context: Context) -> provider_pb2.UpdateResponse:
        with (
            self._call(request.urn, context, request.news, changes=not request.preview),
            _in_time("update", request, request.preview),
        ):
            kind, inputs = self._kind(request.urn, context), decode_map(request.news)
            old = decode_map(request.olds)
            _foresee(kind, request.preview, inputs, old)
            if request.preview and has_unknown(inputs):
                state = {**dict.fromkeys(old, UNKNOWN), **inputs}
            else:
                state = kind.update(request.id, old, inputs, request.preview)
            made = keep_secrets(encode_map(state), request.news)
            return provider_pb2.UpdateResponse(properties=made, refresh_before_update=True)

    def Delete(self, request: provider_pb2.DeleteRequest, context: Context) -> Empty:
        with self._call(request.urn, context, changes=True), _in_time("delete", request):
            self._kind(request.urn, context).delete(request.id, decode_map(request.properties))
            return Empty()

    # One component, whose resources come back as calls of their own.

    def Construct(self, request: provider_pb2.ConstructRequest, context: Context) -> provider_pb2.ConstructResponse:
        light.import_the_rest()
        from pulumi_wgnode.provider import construct

        urn = f"urn:pulumi:{request.stack}::{request.project}::{request.type}::{request.name}"
        with self._call(urn, context):
            try:
                failures = construct.failures(request.type, decode_map(request.inputs))
            except CheckError as error:
                failures = error.failures
            except KeyError:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{self._name} has no component {request.type}")
            if failures:
                answers.abort_inputs(context, failures, request.inputs)
            try:
                return construct.construct(request, engine_log.address())
            except construct.ConstructError as error:
                context.abort(grpc.StatusCode.UNKNOWN, str(error))
                raise AssertionError("abort raises") from None

    # A function of the package.

    def Invoke(self, request: provider_pb2.InvokeRequest, context: Context) -> provider_pb2.InvokeResponse:
        light.import_the_rest()
        from pulumi_wgnode.components.site_configuration import FUNCTION, site_configuration

        if request.tok != FUNCTION.token:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{self._name} has no function {request.tok}")
        with self._call("", context):
            try:
                made = encode_map(site_configuration(decode_map(request.args)))
            except CheckError as error:
                return provider_pb2.InvokeResponse(failures=answers.failures(error, request.args))
            response = provider_pb2.InvokeResponse()
            getattr(response, "return").CopyFrom(made)
            return response

    # What the calls share.

    def drain(self, timeout: float) -> bool:
        """Wait, at most `timeout` seconds, until no resource is being changed; whether that came true."""
        with self._idle:
            return self._idle.wait_for(lambda: self._in_flight == 0, timeout)

    def _kind(self, urn: str, context: Context) -> Kind:
        token = resource_token(urn)
        try:
            return self._kinds(token)
        except KeyError:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{self._name} has no resource type {token}")
            raise AssertionError("abort raises") from None

    @contextmanager
    def _call(self, urn: str, context: Context, given: Struct = NOTHING, *, changes: bool = False) -> Iterator[None]:
        """Progress goes to this resource's line, errors to the engine in the form that it expects.

        What is a secret in `given` is one in a half made state too.
        """
        with engine_log.for_resource(urn), self._counted(changes):
            try:
                yield
            except Partial as error:
                origin = error.__cause__ if isinstance(error.__cause__, ExplainedError) else error
                answers.abort_partial(context, error, given, told.text_of(origin, resource_name(urn)))
            except ExplainedError as error:
                context.abort(grpc.StatusCode.UNKNOWN, told.text_of(error, resource_name(urn)))
            except Exception as error:
                if context.code() is not None:  # already aborted
                    raise
                print("".join(traceback.format_exception(error, limit=-6)), file=sys.stderr, flush=True)
                context.abort(grpc.StatusCode.UNKNOWN, f"{type(error).__name__}: {error}")

    @contextmanager
    def _counted(self, changes: bool) -> Iterator[None]:
        with self._idle:
            self._in_flight += changes
        try:
            yield
        finally:
            with self._idle:
                self._in_flight -= changes
                self._idle.notify_all()


def _in_time(
    operation: str,
    request: provider_pb2.CreateRequest | provider_pb2.UpdateRequest | provider_pb2.DeleteRequest,
    preview: bool = False,
) -> AbstractContextManager[None]:
    """The program's customTimeouts: the engine only passes them on."""
    return deadline.within(0 if preview else request.timeout, f"{operation} of {resource_name(request.urn)}")


def _foresee(kind: Kind, preview: bool, inputs: Properties, state: Properties | None) -> None:
    """A preview tells what the update would refuse, as far as a kind can foresee it, also with unknowns."""
    if preview and (foresee := getattr(kind, "foresee", None)):
        foresee(inputs, state)


def _sealed(urn: str, properties: Properties) -> Properties:
    """With secrets marked also where nothing that came says so, as at an import."""
    contract = contracts.ALL.get(resource_token(urn))
    return contract.sealed(properties) if contract else properties


def resource_token(urn: str) -> str:
    """ "urn:pulumi:stack::project::parent$wgnode:index:Gateway::name" -> "wgnode:index:Gateway"."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def resource_name(urn: str) -> str:
    return urn.split("::", 3)[3]
