"""The table of carriers: what is shipped, what is refused and how, and the guess for a name."""

from __future__ import annotations

import pytest

from wgnode.carriersfile import FILE, shipped
from wgnode.pathmtu.carriers import CarrierError, Direction, parse
from wgnode.pathmtu.known import Evidence, Guess

ROW = {
    "name": '"x"',
    "networks": '"X"',
    "wire": "1400",
    "direction": '"both"',
    "source": '"somebody"',
    "sure": '"report"',
}


def table(*rows: dict[str, str]) -> str:
    return "\n".join("[[carrier]]\n" + "\n".join(f"{key} = {value}" for key, value in row.items()) for row in rows)


def test_what_is_shipped_is_right_and_each_row_has_a_source() -> None:
    carriers = shipped()
    assert len(carriers.rows) >= 30
    assert all(row.source and row.networks for row in carriers.rows)
    assert FILE.name == "carriers.toml"


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("t-mobile-us", 1440),
        ("att", 1430),
        ("verizon", 1428),
        ("pppoe", 1492),
        ("ds-lite-pppoe", 1452),
        ("gcp", 1460),
        ("aws-vpc", 9001),
        ("starlink", 1472),
        ("mobile", 1400),
    ],
)
def test_the_guess_for_a_name(name: str, wire: int) -> None:
    assert shipped().guess(name, Direction.UP) == Guess(wire, Evidence.PROFILE)


def test_the_surest_row_is_the_guess_whatever_their_order() -> None:
    weak, sure = ROW | {"sure": '"weak"', "wire": "1500"}, ROW | {"sure": '"operator"', "wire": "1300"}
    for rows in ((weak, sure), (sure, weak)):
        carriers = parse(table(*rows))
        assert carriers.guess("x", Direction.UP) == Guess(1300, Evidence.PROFILE)
        assert [row.wire for row in carriers.about("x")] == [1300, 1500]


def test_a_row_for_one_way_says_nothing_of_the_other() -> None:
    carriers = parse(table(ROW | {"direction": '"up"', "wire": "1280"}))
    assert carriers.guess("x", Direction.UP) == Guess(1280, Evidence.PROFILE)
    assert carriers.guess("x", Direction.DOWN) is None


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("tmobile-us", "t-mobile-us"),
        ("T-Mobile", "t-mobile-us"),
        ("AT&T", "att"),
        ("GCP", "gcp"),
        ("Verizon", "verizon"),
        ("MetroPCS", "t-mobile-us"),
        ("310-260", "t-mobile-us"),
        ("PPPOE", "pppoe"),
    ],
)
def test_an_unknown_name_is_answered_with_near_ones(written: str, near: str) -> None:
    with pytest.raises(CarrierError, match=f"carrier '{written}' is not known: give one of ") as raised:
        shipped().about(written)
    said = str(raised.value).partition("give one of ")[2].split(", ")
    assert near in said
    assert len(said) < 10


@pytest.mark.parametrize("written", ["", "x", "carrier pigeon"])
def test_a_name_that_is_near_none_is_answered_with_all(written: str) -> None:
    with pytest.raises(CarrierError, match=", ".join(shipped().names())):
        shipped().about(written)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"wire": "60"}, "wire is 60: give bytes of the largest IP packet, 576 to 65535"),
        ({"wire": "65536"}, "wire is 65536"),
        ({"wire": '"1400"'}, "wire is '1400': give a number of bytes"),
        ({"wire": "true"}, "wire is True: give a number of bytes"),
        ({"wire": "1400.0"}, "wire is 1400.0: give a number of bytes"),
        ({"direction": '"sideways"'}, "direction is 'sideways': give one of both, up, down"),
        ({"sure": '"certain"'}, "sure is 'certain': give one of standard, operator"),
        ({"source": '""'}, "source is '': give a text"),
        ({"name": "7"}, "name is 7: give a text"),
        ({"mtu": "1400"}, "mtu is not known: give name, networks, wire"),
    ],
)
def test_a_wrong_row_is_named_with_its_value_and_the_way_out(change: dict[str, str], said: str) -> None:
    with pytest.raises(CarrierError) as raised:
        parse(table(ROW, ROW | change), "mine.toml")
    assert str(raised.value).startswith("mine.toml: [[carrier]] number 2 (")
    assert said in str(raised.value)


@pytest.mark.parametrize("missing", sorted(ROW))
def test_a_missing_value_is_named(missing: str) -> None:
    with pytest.raises(CarrierError, match=f"number 1 .*: {missing} is None: give a"):
        parse(table({key: value for key, value in ROW.items() if key != missing}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "give [[carrier]] tables only"),
        ("carrier = 7", "give [[carrier]] tables only"),
        ("[carrier]", "give [[carrier]] tables only"),
        ("carrier = [7]", "give [[carrier]] tables only"),
        (table(ROW) + "\n[other]", "give [[carrier]] tables only, not other"),
        ("carrier = [", "carriers.toml is not TOML: "),
    ],
)
def test_a_file_that_is_no_table_is_refused(text: str, said: str) -> None:
    with pytest.raises(CarrierError) as raised:
        parse(text)
    assert said in str(raised.value)
