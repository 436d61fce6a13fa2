import pytest

from wgnode.image.build import PROJECT
from wgnode.image.errors import ImageError
from wgnode.image.wheels import pinned

LOCK = """\
cffi==2.1.1 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via cryptography
cffi-more==1.0 \\
    --hash=sha256:cc
"""


def test_exactly_the_pinned_entries_are_taken_with_all_hashes() -> None:
    assert pinned(LOCK, ("cffi",)) == "cffi==2.1.1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"


def test_a_package_without_a_pin_is_refused() -> None:
    with pytest.raises(ImageError, match="does not pin cryptography"):
        pinned(LOCK, ("cffi", "cryptography"))


def test_the_projects_own_lock_pins_what_the_image_needs() -> None:
    text = pinned((PROJECT / "requirements.lock").read_text())
    assert text.count("==") == 2
    assert text.count("--hash=sha256:") > 10
