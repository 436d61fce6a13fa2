"""The best image that this machine can build, for who has to have one: the demo, the tests, the benchmark.

A site's gateway gets a lesser one only where its stack file names that file, so nothing here is silent, or in the
pinned image's place.
"""

from __future__ import annotations

from pathlib import Path

from wgnode.image import extension
from wgnode.image.build import PROJECT, Built, Report, build, finished, outdated
from wgnode.image.inputs import Inputs
from wgnode.image.variants import Variant

FOLDER = PROJECT / "build" / "image"


def find(folder: Path = FOLDER) -> Path:
    """The best that is there; where there is none, the place of the pinned one."""
    found = [folder / each.file_name for each in Variant if (folder / each.file_name).is_file()]
    return found[0] if found else folder / Variant.PINNED.file_name


def build_best(
    lock_file: Path = PROJECT / "image.lock",
    requirements_file: Path = PROJECT / "requirements.lock",
    *,
    folder: Path = FOLDER,
    renew_if_gone: bool = False,
    report: Report = print,
) -> Built:
    """The pinned one, or why not and another one under a name of its own. Raises ImageError."""

    def built(variant: Variant) -> Built:
        output = folder / variant.file_name
        return build(output, lock_file, requirements_file, variant=variant, renew_if_gone=renew_if_gone, report=report)

    try:
        return built(Variant.PINNED)
    except extension.ExtensionError as error:
        why = str(error)
    lesser = Variant.LOCAL if extension.files() else Variant.PLAIN
    if finished(folder / lesser.file_name, Inputs.read(lock_file, requirements_file, lesser).digest, renew_if_gone):
        report(f"image: it is {lesser.about}; `wgnode image build` says why")
    else:
        report(f"image: WARNING: {why}")
        report(f"image: WARNING: building {lesser.file_name} instead, {lesser.about}")
    done = built(lesser)
    _sweep(folder, lesser, lock_file, requirements_file, report)
    return done


def _sweep(folder: Path, lesser: Variant, lock_file: Path, requirements_file: Path, report: Report) -> None:
    """Better ones that were built here from other sources would be taken for those of now."""
    for variant in list(Variant)[: list(Variant).index(lesser)]:
        output = folder / variant.file_name
        if outdated(output, Inputs.read(lock_file, requirements_file, variant).digest):
            output.unlink()
            report(f"image: {output} was of other sources and is removed")
