"""The engines of the stand-in for Triton's onnxruntime backend, on the real networks."""

import shutil
from itertools import product
from pathlib import Path
from threading import Event

import numpy as np
import onnxruntime
import pytest

from drawn import psnr
from networks_for_tests import EXPORTED, PROJECT
from pictures import off, sample
from sakuga_core import protocol
from sakuga_core.networks.families import Upscaler
from sakuga_core.networks.registry import by_name
from sakuga_export.architectures import rrdb
from sakuga_export.families import graph
from sakuga_export.output import ONNX
from sakuga_server import memory
from sakuga_server.backends import engines, openvino_engine
from sakuga_server.backends.engines import EngineOptions, OnnxRuntime, engine
from sakuga_server.backends.openvino_engine import OpenVINO, tail_strips
from sakuga_server.memory import Idle
from slow import some

CPU: engines.Providers = ["CPUExecutionProvider"]


def exported(name: str) -> Path:
    return PROJECT / "model_repository" / by_name(name).folder / "1" / ONNX


def feed(name: str, pixels: np.ndarray, count: int = 1) -> dict[str, np.ndarray]:
    tensors = {protocol.NET_IMAGE: np.repeat(graph.packed(pixels[None]), count, axis=0)}
    network = by_name(name)
    if isinstance(network, Upscaler) and network.trims:
        sides = protocol.inner_shape(graph.WHOLE)
        tensors[protocol.NET_INNER] = np.zeros((count, *sides), np.uint8)
    return tensors


def expected(name: str, pixels: np.ndarray) -> np.ndarray:
    return graph.run_file(onnxruntime.InferenceSession(exported(name)), pixels[None])[0]


PICTURE = sample("heroine", (100, 150, 180, 220))


@pytest.mark.parametrize("name", EXPORTED)
def test_float32_gives_what_onnxruntime_gives(name: str) -> None:
    engine = OpenVINO(exported(name), 0, bf16=False)
    result = engine([protocol.NET_RESULT], feed(name, PICTURE))[protocol.NET_RESULT]
    assert result.dtype == np.uint8
    assert off(result[0], expected(name, PICTURE)) <= 1


@pytest.mark.parametrize("name", EXPORTED)
def test_bfloat16_stays_within_50_decibels(name: str) -> None:
    engine = OpenVINO(exported(name), 0, bf16=True)
    result = engine([protocol.NET_RESULT], feed(name, PICTURE))[protocol.NET_RESULT][0]
    assert psnr(result, expected(name, PICTURE)) >= 50


@pytest.mark.parametrize("name", EXPORTED)
def test_16_bits_are_never_computed_in_bfloat16(name: str) -> None:
    deep = PICTURE.astype(np.uint16) * 257 + 91
    engine = OpenVINO(exported(name), 0, bf16=True)
    result = engine([protocol.NET_RESULT_16], feed(name, deep))[protocol.NET_RESULT_16][0]
    assert off(result, expected(name, deep)) <= 2


def test_masks_are_onnxruntimes() -> None:
    rng = np.random.default_rng(0)
    tensors = {protocol.NET_IMAGE: rng.integers(0, 256, (1, 320, 320, 3), np.uint8)}
    engine = OpenVINO(exported("u2net"), 0, bf16=True)
    other = OnnxRuntime(exported("u2net"), 0, CPU)
    found, wanted = (
        each([protocol.NET_MASK], tensors)[protocol.NET_MASK] for each in (engine, other)
    )
    assert np.allclose(found, wanted, atol=1e-5)


def test_several_outputs_of_several_pictures_come_at_once() -> None:
    name = "realesr-animevideov3"
    both = [protocol.NET_RESULT, protocol.NET_RESULT_16]
    results = OpenVINO(exported(name), 0, bf16=False)(both, feed(name, PICTURE, count=2))
    assert list(results) == both
    assert off(results[protocol.NET_RESULT][1], expected(name, PICTURE)) <= 1
    assert np.abs(results[protocol.NET_RESULT_16] / 257 - results[protocol.NET_RESULT]).max() <= 1


@pytest.mark.parametrize("inner", list(product((False, True), repeat=4)))
@pytest.mark.parametrize("rows", [5, 127, 128, 300])
def test_strips_are_the_whole(rows: int, inner: protocol.Inner) -> None:
    strips = list(tail_strips(rows, inner))
    assert protocol.TAIL_PADDING == rrdb.TAIL_PADDING
    padding, windows = protocol.TAIL_PADDING, [(strip.rows, strip.inner) for strip in strips]
    kept = [
        row
        for window, (top, bottom, *_) in windows
        for row in range(window.start + padding * top, window.stop - padding * bottom)
    ]
    assert kept == list(range(padding * inner[0], rows - padding * inner[1]))
    assert [row for s in strips for row in range(s.start, s.stop)] == list(range(len(kept)))
    assert all(sides[2:] == inner[2:] for _, sides in windows)
    assert all(0 <= window.start < window.stop <= rows for window, _ in windows)


@pytest.mark.parametrize("bf16", some((False, True), (False,)))
def test_a_network_in_two_parts_gives_the_whole(bf16: bool) -> None:
    """With rows enough for several strips, and sides of both kinds."""
    name, inner = "realesrgan-x4plus-anime", (True, False, False, True)
    assert exported(name).with_name(protocol.TAIL_FILE).exists()
    pixels = sample("heroine", (100, 20, 210, 380))
    tensors = feed(name, pixels)
    tensors[protocol.NET_INNER] = np.zeros((1, *protocol.inner_shape(inner)), np.uint8)
    result = OpenVINO(exported(name), 0, bf16)([protocol.NET_RESULT], tensors)[protocol.NET_RESULT][
        0
    ]
    session = onnxruntime.InferenceSession(exported(name))
    wanted = graph.run_file(session, pixels[None], inner=inner)[0]
    assert result.shape == wanted.shape == (4 * (360 - 94), 4 * (110 - 94), 3)
    assert psnr(result, wanted) >= 50 if bf16 else off(result, wanted) <= 1


@pytest.mark.parametrize("plenty", [False, True])
def test_memory_goes_back_when_nothing_comes(monkeypatch: pytest.MonkeyPatch, plenty: bool) -> None:
    """And what comes afterwards is as before."""
    monkeypatch.setattr(memory, "available", lambda: 10**15 if plenty else 0)
    monkeypatch.setattr(openvino_engine, "IDLE", 0.05)
    monkeypatch.setattr(openvino_engine, "IDLE_WITH_PLENTY", 0.2)
    engine = OpenVINO(exported("realesr-animevideov3"), 0, bf16=False)
    release, released, held = engine.idle.release, Event(), []

    def counted() -> None:
        held.append(memory.resident())
        release()
        released.set()

    engine.idle.release = counted
    pixels = np.tile(PICTURE, (5, 5, 1))
    tensors = feed("realesr-animevideov3", pixels)
    for _ in range(2):
        result = engine([protocol.NET_RESULT], tensors)[protocol.NET_RESULT].copy()
        assert released.wait(60)
        released.clear()
        # Of its layers, which have 64 channels of 4 bytes, one at least was kept.
        assert memory.resident() < held.pop() - 64 * 4 * pixels[..., 0].size
        assert off(result[0], expected("realesr-animevideov3", pixels)) <= 1


def test_memory_goes_back_after_what_failed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 0)
    released = Event()
    idle = Idle(released.set, 0.05, 60)
    with pytest.raises(RuntimeError, match="cancelled"), idle.use():
        raise RuntimeError("cancelled")
    assert released.wait(60)


def test_memory_stays_as_long_as_there_is_plenty(monkeypatch: pytest.MonkeyPatch) -> None:
    looked, released = Event(), Event()

    def plenty() -> int:
        looked.set()
        return 10**15

    monkeypatch.setattr(memory, "available", plenty)
    idle = Idle(released.set, 0.05, 60)
    for _ in range(2):
        with idle.use():
            looked.clear()
        assert looked.wait(60)
    with idle.use():
        assert not released.is_set()


def test_its_two_parts_go_first(tmp_path: Path) -> None:
    for part in (protocol.OPENVINO_FILE, protocol.TAIL_FILE):
        shutil.copy(exported("realesrgan-x4plus-anime").with_name(part), tmp_path)
    (tmp_path / ONNX).write_bytes(b"not a network")
    assert OpenVINO(tmp_path / ONNX, 1, bf16=False)
    (tmp_path / protocol.TAIL_FILE).unlink()
    with pytest.raises(RuntimeError):
        OpenVINO(tmp_path / ONNX, 1, bf16=False)


def test_the_fastest_engine_is_chosen_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, warnings = exported("realesr-animevideov3"), []
    for options in (EngineOptions(), EngineOptions({"openvino": {}}, any_engine=False)):
        assert isinstance(engine(file, options, warnings.append), OpenVINO)
    assert isinstance(engine(file, EngineOptions(any_engine=False), warnings.append), OnnxRuntime)
    assert not warnings
    monkeypatch.setattr(engines, "has_openvino", lambda: False)
    assert isinstance(engine(file, EngineOptions(bf16=True), warnings.append), OnnxRuntime)
    assert not warnings
    assert isinstance(engine(file, EngineOptions({"openvino": {}}), warnings.append), OnnxRuntime)
    assert warnings == ["openvino isn't installed here; onnxruntime runs it"]


Options = dict[str, dict[str, str]]


def chosen(monkeypatch: pytest.MonkeyPatch, options: EngineOptions) -> tuple[list[str], Options]:
    """The execution providers on a machine that has all of them, and their options."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", engines.PROVIDERS.values)
    *found, last = engines.providers(options, print)
    assert last == "CPUExecutionProvider"
    pairs = [each for each in found if isinstance(each, tuple)]
    return [name for name, _ in pairs], dict(pairs)


def test_on_a_gpu_cuda_searches_by_heuristics_within_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accelerators: Options = {"tensorrt": {"trt_engine_cache_enable": "true"}}
    gpu = EngineOptions(accelerators=accelerators, gpu="1", gpu_memory=8_000_000_000)
    names, options = chosen(monkeypatch, gpu)
    assert names == ["TensorrtExecutionProvider", "CUDAExecutionProvider"]
    assert options[names[0]] == {"device_id": "1", "trt_engine_cache_enable": "true"}
    assert options[names[1]] == {
        "device_id": "1",
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "gpu_mem_limit": "8000000000",
    }


def test_cuda_stands_once_with_its_own_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = EngineOptions(accelerators={"cuda": {"prefer_nhwc": "1"}}, gpu="0")
    names, options = chosen(monkeypatch, gpu)
    assert names == ["CUDAExecutionProvider"]
    assert options[names[0]]["prefer_nhwc"] == "1"
    assert "gpu_mem_limit" not in options[names[0]]


def test_on_a_cpu_there_is_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, EngineOptions(any_engine=False)) == ([], {})


def test_on_a_gpu_openvino_is_never_chosen() -> None:
    found = engine(exported("realesr-animevideov3"), EngineOptions(gpu="0"), print)
    assert isinstance(found, OnnxRuntime)


def test_a_cpu_without_bfloat16_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    import openvino

    real = openvino.Core.get_property

    def without(core: object, device: str, name: str) -> object:
        found = real(core, device, name)
        return [each for each in found if each != "BF16"] if "CAPABILITIES" in name else found

    monkeypatch.setattr(openvino.Core, "get_property", without)
    name = "realesr-animevideov3"
    result = OpenVINO(exported(name), 0, bf16=True)([protocol.NET_RESULT], feed(name, PICTURE))
    assert off(result[protocol.NET_RESULT][0], expected(name, PICTURE)) <= 1


def test_an_engine_takes_only_the_cores_that_its_process_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    for cores, threads in ((range(3), 3), (range(8), 0)):  # 0: the engine's own choice
        monkeypatch.setattr("os.sched_getaffinity", lambda process, cores=cores: set(cores))
        made = engine(exported("realesr-animevideov3"), EngineOptions(), print)
        assert isinstance(made, OpenVINO)
        assert made.network.settings["INFERENCE_NUM_THREADS"] == threads
