"""docs/ makes a site, and a link that leads nowhere fails it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import ROOT, site
from tools.progress import StepFailed


@pytest.mark.sampled(0)  # installs Sphinx, half a minute
def test_the_documentation_makes_a_site_in_which_every_page_can_be_found(tmp_path: Path) -> None:
    site.build(ROOT / "docs", tmp_path / "site")
    index = (tmp_path / "site" / "index.html").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        made = page.relative_to(ROOT / "docs").with_suffix(".html")
        assert (tmp_path / "site" / made).is_file()
        assert page.name == "index.md" or f'href="{made}"' in index


@pytest.mark.sampled(0)
@pytest.mark.parametrize("link", ["gone.md", "other.md#gone", "gone.svg", "#gone", "../gone/"])
def test_a_link_that_leads_nowhere_fails_it(link: str, tmp_path: Path) -> None:
    pages = tmp_path / "docs"
    pages.mkdir()
    index = "# One\n\nA [link]({}).\n\n```{{toctree}}\nother\n```\n"
    (pages / "other.md").write_text("# Two\n\n## Part\n")
    (pages / "index.md").write_text(index.format("other.md#part"))
    site.build(pages, tmp_path / "site")
    (pages / "index.md").write_text(index.format(link))
    with pytest.raises(StepFailed, match="gone"):
        site.build(pages, tmp_path / "site")
