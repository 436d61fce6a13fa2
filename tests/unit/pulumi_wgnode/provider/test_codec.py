from __future__ import annotations

import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime import rpc

from pulumi_wgnode.call.kind import UNKNOWN, CheckError, Secret, has_unknown
from pulumi_wgnode.provider import codec

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda key: key != codec.SIGNATURE), inner),
    max_leaves=20,
)


@given(values)
def test_what_is_encoded_decodes_to_the_same(value):
    assert codec.decode(codec.encode(value)) == value


def test_the_markers_are_those_of_the_sdk():
    assert codec.UNKNOWN_TEXT == rpc.UNKNOWN
    assert rpc._special_sig_key == codec.SIGNATURE
    assert rpc._special_secret_sig == codec.SECRET_SIGNATURE
    assert rpc._special_output_value_sig == codec.OUTPUT_SIGNATURE


def test_an_unknown_survives_both_ways_at_any_depth():
    value = codec.encode({"a": [UNKNOWN]})
    assert value.struct_value.fields["a"].list_value.values[0].string_value == rpc.UNKNOWN
    assert codec.decode(value) == {"a": [UNKNOWN]}
    assert has_unknown({"a": [Secret(UNKNOWN)]})
    assert not has_unknown({"a": [1, None, ""]})


def test_a_secret_is_marked_for_the_engine_and_unwrapped_from_it():
    value = codec.encode(Secret({"key": "hunter2"}))
    assert value.struct_value.fields[rpc._special_sig_key].string_value == rpc._special_secret_sig
    assert codec.decode(value) == {"key": "hunter2"}
    assert "hunter2" not in repr(Secret("hunter2"))


def test_an_output_without_a_value_is_unknown():
    output = {rpc._special_sig_key: rpc._special_output_value_sig}
    assert codec.decode(codec.encode(output)) is UNKNOWN
    assert codec.decode(codec.encode({**output, "value": "here"})) == "here"


def test_assets_are_refused():
    with pytest.raises(CheckError, match="an asset, an archive or a resource"):
        codec.decode(codec.encode({rpc._special_sig_key: rpc._special_asset_sig}))


def test_an_asset_is_refused_where_it_is():
    asset = {rpc._special_sig_key: rpc._special_asset_sig}
    with pytest.raises(CheckError) as refused:
        codec.decode_map(codec.encode_map({"keys": [{"file": "x"}, {"file": asset}]}))
    assert [path for path, _ in refused.value.failures] == ["keys[1].file"]


def test_what_is_no_property_value_is_refused():
    with pytest.raises(TypeError, match="bytes"):
        codec.encode({"key": b"raw"})


def test_whole_numbers_come_as_int():
    assert isinstance(codec.decode(struct_pb2.Value(number_value=5.0)), int)
    assert codec.decode(struct_pb2.Value(number_value=0.5)) == 0.5
