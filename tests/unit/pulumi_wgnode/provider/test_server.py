"""The provider's server over real gRPC, driven as the engine does it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2, status_pb2

from pulumi_wgnode.call import log as provider_log
from pulumi_wgnode.call.kind import UNKNOWN, Imported, Secret
from pulumi_wgnode.provider.codec import SECRET_SIGNATURE, SIGNATURE, decode_map, encode, encode_map
from pulumi_wgnode.provider.servicer import Servicer

URN = "urn:pulumi:dev::wgmesh::wgnode:index:Site$toy:index:Toy::one::two"
PropertyDiff = provider_pb2.PropertyDiff


def create(engine, *, preview=False, **inputs):
    return engine.Create(provider_pb2.CreateRequest(urn=URN, properties=encode_map(inputs), preview=preview))


def test_handshake_and_configure_want_secrets_and_outputs_as_components_need_them(engine):
    for told in (
        engine.Handshake(provider_pb2.ProviderHandshakeRequest()),
        engine.Configure(provider_pb2.ConfigureRequest()),
    ):
        words = {name.name.replace("_", "").lower() for name, value in told.ListFields() if value}
        assert {"acceptsecrets", "acceptoutputs"} <= words
        assert "acceptresources" not in words
    assert engine.Configure(provider_pb2.ConfigureRequest()).supportsPreview
    assert engine.GetPluginInfo(empty_pb2.Empty()).version == "1.2.3"
    assert engine.GetSchema(provider_pb2.GetSchemaRequest()).schema == '{"name": "toy"}'


def test_check_fills_in_defaults(engine):
    answer = engine.Check(provider_pb2.CheckRequest(urn=URN, news=encode_map({"place": "here"})))
    assert decode_map(answer.inputs) == {"place": "here", "size": 1}


def test_check_reports_every_failure_by_path(engine):
    answer = engine.Check(provider_pb2.CheckRequest(urn=URN, news=encode_map({"size": "big"})))
    assert [(failure.property, failure.reason) for failure in answer.failures] == [
        ("size", "must be a number"),
        ("parts[0].name", "is taken"),
    ]


def test_check_does_not_judge_an_unknown(engine):
    answer = engine.Check(provider_pb2.CheckRequest(urn=URN, news=encode_map({"size": UNKNOWN})))
    assert decode_map(answer.inputs) == {"size": UNKNOWN}


def test_create_gets_the_name_and_returns_state_with_secrets_marked(engine, toy):
    answer = create(engine, place="here")
    assert toy.seen == [("create", "one::two", {"place": "here"}, False)]
    assert answer.id == "one::two"
    assert answer.properties.fields["token"].struct_value.fields[SIGNATURE].string_value == SECRET_SIGNATURE
    assert decode_map(answer.properties)["list"] == [1, 2.5, True]


def test_every_answer_asks_for_a_refresh_before_the_next_update(engine):
    assert create(engine).refresh_before_update
    assert engine.Read(provider_pb2.ReadRequest(urn=URN, id="one::two")).refresh_before_update
    assert engine.Update(provider_pb2.UpdateRequest(urn=URN, id="one::two")).refresh_before_update


def test_a_preview_with_unknowns_never_reaches_the_kind(engine, toy):
    answer = create(engine, preview=True, size=UNKNOWN)
    assert toy.seen == []
    assert decode_map(answer.properties) == {"size": UNKNOWN}
    updated = engine.Update(
        provider_pb2.UpdateRequest(
            urn=URN, id="x", olds=encode_map({"size": 1, "found": 2}), news=encode_map({"size": UNKNOWN}), preview=True
        )
    )
    assert toy.things == {}
    assert decode_map(updated.properties) == {"size": UNKNOWN, "found": UNKNOWN}


def test_diff_is_by_path_and_says_what_replaces(engine):
    request = provider_pb2.DiffRequest(
        urn=URN,
        id="x",
        olds=encode_map({"size": 1, "place": "here"}),
        old_inputs=encode_map({"size": 1}),
        news=encode_map({"size": 2, "place": "there"}),
    )
    answer = engine.Diff(request)
    assert answer.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert list(answer.replaces) == ["place"]
    assert answer.detailedDiff["size"].kind == PropertyDiff.UPDATE
    assert answer.detailedDiff["place"].kind == PropertyDiff.UPDATE_REPLACE
    assert answer.deleteBeforeReplace


def test_no_change_is_no_diff(engine):
    same = encode_map({"size": 1})
    answer = engine.Diff(provider_pb2.DiffRequest(urn=URN, id="x", olds=same, old_inputs=same, news=same))
    assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE
    assert answer.hasDetailedDiff


def test_what_is_gone_reads_as_no_id(engine):
    assert engine.Read(provider_pb2.ReadRequest(urn=URN, id="never")).id == ""


def test_read_gives_state_and_inputs(engine):
    create(engine, size=3)
    answer = engine.Read(provider_pb2.ReadRequest(urn=URN, id="one::two"))
    assert (answer.id, decode_map(answer.properties)) == ("one::two", {"size": 3, "found": True})
    assert decode_map(answer.inputs) == {"size": 3}


def test_an_import_whose_id_only_says_where_to_look_gives_the_resources_own(engine):
    answer = engine.Read(provider_pb2.ReadRequest(urn=URN, id="elsewhere:/a/file"))
    assert answer.id == "own"
    assert decode_map(answer.inputs) == {"size": 3}
    assert answer.properties["token"]["value"] == "hunter2", "as a secret, which decoding would unwrap"


def test_delete_is_passed_on(engine, toy):
    create(engine)
    engine.Delete(provider_pb2.DeleteRequest(urn=URN, id="one::two"))
    assert toy.things == {}


@pytest.mark.parametrize("padding", ["", "x" * 300_000])
def test_a_half_made_resource_keeps_its_state(engine, padding):
    with pytest.raises(grpc.RpcError) as raised:
        create(engine, behave="half", padding=padding)
    assert raised.value.details() == "half done"
    metadata = dict(raised.value.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    failed = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(failed)
    assert (failed.id, list(failed.reasons)) == ("one::two", ["half done"])
    assert decode_map(failed.properties)["padding"] == padding
    assert decode_map(failed.inputs)["behave"] == "half"
    assert failed.refresh_before_update


def test_custom_timeouts_are_the_operations_own_time_and_no_others(engine, toy):
    properties = encode_map({"size": 1})
    of = {
        "create": lambda **more: engine.Create(provider_pb2.CreateRequest(urn=URN, properties=properties, **more)),
        "update": lambda **more: engine.Update(
            provider_pb2.UpdateRequest(urn=URN, id="x", olds=properties, news=properties, **more)
        ),
        "delete": lambda **more: engine.Delete(provider_pb2.DeleteRequest(urn=URN, id="x", **more)),
    }
    for operation in of.values():
        operation(timeout=30)
        assert 29 < toy.remaining <= 30
        operation()
        assert toy.remaining is None
    of["create"](timeout=30, preview=True)
    assert toy.remaining is None, "a preview changes nothing that could take long"


def test_a_bug_is_an_error_with_a_traceback_on_stderr_only(engine, capfd):
    with pytest.raises(grpc.RpcError, match="RuntimeError: a bug") as raised:
        create(engine, behave="raise")
    assert "Traceback" not in raised.value.details()
    assert "RuntimeError: a bug" in capfd.readouterr().err


def test_an_unknown_type_is_named(engine):
    with pytest.raises(grpc.RpcError, match="toy has no resource type toy:index:Other"):
        engine.Delete(provider_pb2.DeleteRequest(urn="urn:pulumi:dev::wgmesh::toy:index:Other::x"))


def test_messages_may_be_as_large_as_the_engine_sends(engine):
    big = {"blob": "x" * (20 << 20)}
    answer = engine.Check(provider_pb2.CheckRequest(urn=URN, news=encode_map(big)))
    assert len(answer.inputs.fields["blob"].string_value) == 20 << 20


@pytest.fixture
def terminal(engine):
    """What the engine is told: (resource's name or "", text, severity, whether it goes again)."""
    seen = []

    class Engine(engine_pb2_grpc.EngineServicer):
        def Log(self, request, context):
            name = request.urn.rpartition("::")[2]
            seen.append((name, request.message, request.severity, request.ephemeral))
            return empty_pb2.Empty()

    server = grpc.server(ThreadPoolExecutor(2))
    engine_pb2_grpc.add_EngineServicer_to_server(Engine(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    engine.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address=f"127.0.0.1:{port}"))
    yield seen
    server.stop(None)
    create(engine)  # an engine that has gone away is no error


def test_progress_reaches_the_engine_beside_its_resource(engine, terminal):
    create(engine)
    assert terminal == [("two", "making it", 1, True), ("two", "look out", 2, False)]


def urn(name):
    return URN.rpartition("::")[0] + f"::{name}"


def failed(engine, name, **inputs):
    with pytest.raises(grpc.RpcError) as raised:
        engine.Create(provider_pb2.CreateRequest(urn=urn(name), properties=encode_map(inputs)))
    return raised.value.details()


def read(engine, name, **inputs):
    engine.Read(provider_pb2.ReadRequest(urn=urn(name), id="x", inputs=encode_map(inputs)))


def test_a_warning_is_given_once_in_a_run(engine, terminal):
    for name in ("one", "two", "two"):
        engine.Create(provider_pb2.CreateRequest(urn=urn(name)))
    assert [line for line in terminal if line[2] == 2] == [("one", "look out", 2, False)]
    engine.Configure(provider_pb2.ConfigureRequest())
    create(engine)
    assert [text for _, text, severity, _ in terminal if severity == 2] == ["look out"] * 2, "of a run"


def test_a_host_that_is_away_is_told_once_for_all_that_is_on_it(engine, terminal):
    """By the stack, since it is no single resource's; whatever each attempt saw of it."""
    for name in ("one", "two"):
        read(engine, name, behave="away", place="a")
    short = "host root@a cannot be reached"
    assert terminal == [
        ("", "host root@a: cannot connect", 2, False),
        ("one", f"{short}; skipped", 1, False),
        ("two", f"{short}; skipped", 1, False),
    ]
    assert failed(engine, "two", behave="away", place="a") == f"{short}, as told in full above"
    assert failed(engine, "two", behave="away", place="b").startswith("host root@b: cannot connect (attempt"), "another"
    assert failed(engine, "three", behave="away", place="b") == "host root@b cannot be reached, as told in full above"


def test_any_other_cause_too_and_the_way_out_stays(engine):
    first, second = (failed(engine, name, behave="refuse", place="a") for name in ("one", "two"))
    assert first == f"host root@a: {'a long story ' * 20}; and the way out"
    assert second.startswith("host root@a: a long story")
    assert second.endswith("..., as told in full above; and the way out")
    assert len(second) < len(first)


def test_drain_waits_for_a_change_that_has_begun(engine, toy, servicer):
    begun, go_on = threading.Event(), threading.Event()

    def slow(name, inputs, preview):
        begun.set()
        go_on.wait(10)
        return name, inputs

    toy.create = slow
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(create, engine)
        begun.wait(10)
        assert not servicer.drain(0.05)
        go_on.set()
        assert servicer.drain(5)
        assert answer.result().id == "one::two"


def test_cancel_is_seen_by_what_waits(engine, monkeypatch):
    monkeypatch.setattr(provider_log, "_cancelled", threading.Event())
    assert not provider_log.cancelled()
    engine.Cancel(empty_pb2.Empty())
    assert provider_log.cancelled()


SECRET_PLACE = Secret("a place that nobody may know")


def test_a_kind_sees_no_secret_and_what_came_as_one_goes_back_as_one(engine, toy):
    given = encode_map({"place": SECRET_PLACE, "parts": {"key": Secret("k"), "name": "n"}, "list": [1, Secret(2)]})
    answers = [
        engine.Check(provider_pb2.CheckRequest(urn=URN, news=given)).inputs,
        engine.Create(provider_pb2.CreateRequest(urn=URN, properties=given)).properties,
        engine.Update(provider_pb2.UpdateRequest(urn=URN, id="thing", news=given)).properties,
        engine.Read(provider_pb2.ReadRequest(urn=URN, id="thing", properties=given, inputs=given)).properties,
        engine.Read(provider_pb2.ReadRequest(urn=URN, id="thing", inputs=given)).inputs,
    ]
    for made in answers:
        assert made.fields["place"] == encode(SECRET_PLACE)
        assert made.fields["parts"] == encode({"key": Secret("k"), "name": "n"})
        assert made.fields["list"] in (encode(Secret([1, 2])), encode(Secret((1, 2.5, True))))
    assert toy.things["thing"]["place"] == SECRET_PLACE.value


def test_a_half_made_resource_keeps_its_secrets(engine):
    given = encode_map({"behave": "half", "place": SECRET_PLACE})
    with pytest.raises(grpc.RpcError) as caught:
        engine.Create(provider_pb2.CreateRequest(urn=URN, properties=given))
    details = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    (detail,) = status_pb2.Status.FromString(details).details
    partial = provider_pb2.ErrorResourceInitFailed()
    assert detail.Unpack(partial)
    assert partial.properties.fields["place"] == partial.inputs.fields["place"] == encode(SECRET_PLACE)


@pytest.mark.parametrize(
    ("size", "parts", "properties"),
    [
        ("large", [{"name": "a"}], ["size", "parts[0].name"]),
        (Secret("large"), [{"name": "a"}], ["", "parts[0].name"]),
        ("large", [{"name": Secret("a")}], ["size", ""]),
        ("large", Secret([{"name": "a"}]), ["size", ""]),
        ("large", [Secret({"name": "a"})], ["size", ""]),
    ],
)
def test_of_a_secret_that_can_not_be_the_engine_is_given_no_path_since_it_shows_what_is_there(
    engine, size, parts, properties
):
    news = encode_map({"size": size, "parts": parts})
    failures = engine.Check(provider_pb2.CheckRequest(urn=URN, news=news)).failures
    assert [failure.property for failure in failures] == properties
    for failure, path in zip(failures, ("size", "parts[0].name"), strict=True):
        assert bool(failure.property) != failure.reason.startswith(f"{path}: ")


def test_what_is_imported_has_its_secrets_marked_though_nothing_that_came_was_one(engine, toy, monkeypatch):
    monkeypatch.setattr(toy, "read", lambda id, state, inputs: Imported("own", {"secrets": "s"}, {"secrets": "s"}))
    urn = URN.replace("toy:index:Toy", "wgnode:index:Gateway")
    monkeypatch.setattr(Servicer, "_kind", lambda *_: toy)
    found = engine.Read(provider_pb2.ReadRequest(urn=urn, id="elsewhere"))
    for said in (found.properties, found.inputs):
        assert said.fields["secrets"].struct_value.fields[SIGNATURE].string_value == SECRET_SIGNATURE
