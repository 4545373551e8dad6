"""What tests share: networks, a repository, and a real Triton that serves it."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import onnx
import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

import families_for_tests
import lama
from families_for_tests import CUNET
from networks_for_tests import (
    EXPORTED,
    Bare,
    Once,
    add,
    generated_aura,
    generated_isnet,
    generated_states,
    is_exported,
    link,
)
from sakuga import Config, Images, connect
from sakuga_core.atomic import locked
from sakuga_core.networks.families import Enhancer, Inpainter, Segmenter
from sakuga_core.networks.registry import ENHANCERS, UPSCALERS, by_name
from sakuga_core.repository import writer
from sakuga_export.families import enhancers, inpainters, segmenters, upscalers
from sakuga_export.fetch import fetch
from sakuga_export.output import ONNX
from sakuga_server.pipelines.settings import UpscaleSettings
from sakuga_server.runtime.embedded import run_triton
from segmenters_for_tests import stand_ins

FULL = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Of several test processes each takes its share of the cores, with the servers it starts: more
    threads than cores would only wait for each other."""
    if hasattr(config, "workerinput"):
        number = int(config.workerinput["workerid"].removeprefix("gw"))
        cores = sorted(os.sched_getaffinity(0))[number :: config.workerinput["workercount"]]
        os.sched_setaffinity(0, cores or os.sched_getaffinity(0))
        torch.set_num_threads(len(os.sched_getaffinity(0)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    full = [item.nodeid for item in items if item.get_closest_marker("full")]
    config.stash[FULL] = full
    if hasattr(config, "workeroutput"):
        config.workeroutput["full"] = full
        items.sort(key=lambda item: _turn(item.nodeid))


# Files that need the session's server; to start it twice would take longer than it saves.
SERVED = ("aura", "realesrgan", "rembg", "cli", "enhance", "errors", "fix_artifacts", "full_size")
SERVED += (
    "waifu2x",
    "large",
    "readme",
    "serving",
    "showcase",
    "folders",
    "progress",
    "sync",
    "examples",
    "animated",
)

# Files that look at all drawings, which takes seconds to draw.
DRAWN = ("banding", "inpaint", "jpeg", "jpeg_grid", "specks")

# Folders whose tests take long.
FIRST = ("gateway", "parity", "integration")


def _scope(nodeid: str) -> str:
    """Tests of one scope go to one process: those of a file, or of all files that need the
    session's server, or the drawings."""
    file = Path(nodeid.partition("::")[0])
    name, room = file.stem.removeprefix("test_"), file.parent.name
    if name in SERVED and room in ("parity", "integration"):
        return "server"
    if room == "gateway":  # which share a server of their own
        return room
    return "drawings" if name in DRAWN and room == "server" else str(file)


def _turn(nodeid: str) -> int:
    """What takes long goes first, so that no process is left alone with it at the end. (Those of
    `parity` need no repository, which isn't there yet.)"""
    if _scope(nodeid) == "server":
        return 0
    room = Path(nodeid.partition("::")[0]).parent.name
    return 1 + (FIRST.index(room) if room in FIRST else len(FIRST))


class OneServer(LoadScopeScheduling):
    """Of two processes, one runs all tests that need the server; other files go to either."""

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneServer:
    config.option.loadscopereorder = False  # that would begin with the files of many tests
    return OneServer(config, log)


def pytest_testnodedown(node: Any) -> None:
    node.config.stash[FULL] = node.workeroutput.get("full", [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says of the checks that take long how many were left out."""
    reporter = terminalreporter
    reports = (report for kind in ("passed", "failed") for report in reporter.getreports(kind))
    ran = {report.nodeid for report in reports}
    left_out = [name for name in reporter.config.stash.get(FULL, []) if name not in ran]
    if left_out:
        reporter.write_line(f"{len(left_out)} slow checks were left out; make test-full runs them")


# How long an example takes says nothing on a shared machine.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def settings() -> UpscaleSettings:
    config = Config()
    return UpscaleSettings(
        networks={network.name: network.facts for network in (*UPSCALERS, *ENHANCERS)},
        defaults=config.options_for("upscale"),
        limits=config.limits,
    )


@pytest.fixture(scope="session")
def general_states() -> list[upscalers.State]:
    return generated_states(by_name("realesr-general-x4v3"))


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Once:
    """What takes long to make: of several processes one makes the folder, and all read it."""
    shared = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        shared = shared.parent

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder, whole = shared / name, shared / f"{name}.whole"
        with locked(shared / f"{name}.lock"):
            if not whole.exists():
                folder.mkdir()
                make(folder)
                whole.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def aura(once: Once) -> Path:
    """A small AuraSR's checkpoint, on generated weights."""
    return once("aura", generated_aura) / "model.safetensors"


Exported = Callable[[Enhancer], Path]


@pytest.fixture(scope="session")
def exported_aura(once: Once, aura: Path) -> Exported:
    """That AuraSR exported, as ONNX or TorchScript."""

    def exported(row: Enhancer) -> Path:
        def convert(folder: Path) -> None:
            enhancers.convert(row, enhancers.load(row, aura), folder / row.file)

        return once(row.backend, convert) / row.file

    return exported


@pytest.fixture(scope="session")
def published_segmenters(once: Once) -> dict[str, Path]:
    """Networks in rembg's own form, by its names: u2net and u2netp as published, others on weights
    that stand in for theirs."""
    published = [fetch(by_name(name).weights[0]).path for name in ("u2net", "u2netp")]
    generated = once("isnet", generated_isnet), once("segmenters", stand_ins)
    files = (*published, *(file for folder in generated for file in folder.glob("*.onnx")))
    return {file.stem: file for file in files}


@pytest.fixture(scope="session")
def family_export(once: Once) -> Callable[[str], Path]:
    """Where a network of a family is exported, from its published weights."""
    return lambda name: once(name, lambda folder: families_for_tests.export(name, folder))


@pytest.fixture(scope="session")
def served(once: Once, request: pytest.FixtureRequest) -> Path:
    """A repository with the real networks, and those on generated weights."""

    def fill(folder: Path) -> None:
        states, weights = map(request.getfixturevalue, ("general_states", "published_segmenters"))
        _fill(folder, states)
        for name in SEGMENTED:
            _segmenter(folder, name, weights[name])
        add(folder, CUNET, request.getfixturevalue("family_export")(CUNET))
        enhancer = request.getfixturevalue("exported_aura")(ENHANCERS[0])
        add(folder, ENHANCERS[0].name, enhancer.parent)
        _inpainters(folder, once("lama", lambda target: lama.write(lama.small(), target)))

    return once("repository", fill)


# One of each kind of graph; those of all others are compared without Triton.
SEGMENTED = ("isnet-anime", "u2netp", "u2net_human_seg", "silueta", "birefnet-general")


def _segmenter(folder: Path, name: str, published: Path) -> None:
    row = by_name(name)
    assert isinstance(row, Segmenter)
    target = folder / row.folder / "1" / ONNX
    target.parent.mkdir()
    onnx.save(segmenters.served(row, onnx.load(published)), target)


def _fill(folder: Path, states: list[upscalers.State]) -> None:
    exact = Config()
    exact.server.precision = "fp32"  # most tests ask for what the reference gives, to the level
    writer.write(folder, exact)
    link(folder, *EXPORTED, "u2net")
    general = by_name("realesr-general-x4v3")
    upscalers.convert(general, states, folder / general.folder / "1" / ONNX)


def _inpainters(folder: Path, weights: Path) -> None:
    """MI-GAN as it was exported, where its weights could be had, and LaMa."""
    migan, drawn = by_name("migan"), by_name("lama-anime")
    if is_exported(migan.name):
        link(folder, migan.name)
    assert isinstance(drawn, Inpainter)
    target = folder / drawn.folder / "1" / drawn.file
    inpainters.convert(drawn, weights / drawn.weights[0].file, target)


@pytest.fixture(scope="session")
def bare(served: Path) -> dict[str, Bare]:
    """Networks without Triton, by name."""
    return {name: Bare(served, name) for name in (*EXPORTED, "realesr-general-x4v3")}


@pytest.fixture(scope="session")
def config(served: Path) -> Config:
    config = Config()
    config.server.repository = served
    config.server.preload = "all"
    config.server.upscale_workers = 2
    config.server.matting_workers = config.server.fix_artifacts_workers = 1
    return config


@pytest.fixture(scope="session")
def url(config: Config) -> Iterator[str]:
    """A real Triton, for the whole session."""
    with run_triton(config) as server:
        yield server.url


@pytest.fixture(scope="session")
async def images(config: Config, url: str) -> AsyncIterator[Images]:
    async with connect(config, url=url) as images:
        yield images
