"""`wgnode key`: as `wg genkey` and `wg pubkey`, by pipes."""

from __future__ import annotations

from click.testing import CliRunner

from wgnode import recipient
from wgnode.cli.key import command


def test_a_new_recipient_key_has_the_public_half_that_the_other_command_prints() -> None:
    private = CliRunner().invoke(command, ["recipient"]).output
    public = CliRunner().invoke(command, ["public"], input=private)
    assert public.output.strip() == recipient.public_of(private)


def test_wireguards_keys_are_converted_as_wg_pubkey_does() -> None:
    """RFC 7748, section 6.1: Alice's key pair."""
    given = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n"
    assert (
        CliRunner().invoke(command, ["public"], input=given).output == "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n"
    )


def test_what_is_no_key_is_refused_without_being_shown() -> None:
    answer = CliRunner().invoke(command, ["public"], input="bm90IGEga2V5")
    assert answer.exit_code == 1
    assert "neither a recipient key" in answer.output
    assert "bm90" not in answer.output
