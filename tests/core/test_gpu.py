"""What config.pbtxt tells a Triton that has GPUs."""

import re
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from sakuga import Config, load_config
from sakuga_core.networks.families import HALF_FILE
from sakuga_core.networks.registry import NETWORKS, UPSCALERS
from sakuga_core.repository import gpu, writer
from sakuga_server.imaging import tiling

Shapes = dict[str, tuple[int, ...]]


def configs(**settings: object) -> dict[str, ModelConfig]:
    config = Config.model_validate({"server": settings})
    texts = writer.texts(config)
    return {name: text_format.Parse(text, ModelConfig()) for name, text in texts.items()}


def accelerator(model: ModelConfig) -> dict[str, str]:
    (found,) = model.optimization.execution_accelerators.gpu_execution_accelerator
    return dict(found.parameters)


def profile(model: ModelConfig, which: str) -> Shapes:
    text = accelerator(model)[f"trt_profile_{which}_shapes"]
    pairs = (each.split(":") for each in text.split(","))
    return {name: tuple(map(int, dims.split("x"))) for name, dims in pairs}


@pytest.mark.parametrize("precision", ["auto", "fp16"])
def test_gpus_take_the_half_precision_graph_and_cpus_the_other(precision: str) -> None:
    models = configs(precision=precision)
    for network in NETWORKS:
        model = models[network.folder]
        assert model.default_model_filename == network.file
        chosen = set(model.cc_model_filenames.values())
        assert chosen == ({HALF_FILE} if network.half else set())
        assert {"7.0", "7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0"} <= set(
            model.cc_model_filenames
        ) or not network.half


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_other_precisions_have_one_graph_for_all(precision: str) -> None:
    for model in configs(precision=precision).values():
        assert not model.cc_model_filenames


def test_a_networks_own_precision_goes_before_that_of_all() -> None:
    models = configs(precision="fp32", networks={"u2net": {"precision": "fp16"}})
    assert models["u2net"].cc_model_filenames
    assert not models["isnet_anime"].cc_model_filenames


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_tensorrts_profiles_name_every_input_in_its_order_of_size(network: object) -> None:
    model = configs(accelerator="tensorrt")[network.folder]  # type: ignore[attr-defined]
    if model.backend != "onnxruntime":
        assert not model.HasField("optimization")
        return
    least, usual, most = (profile(model, which) for which in ("min", "opt", "max"))
    for tensor in model.input:
        sizes = np.array([each[tensor.name] for each in (least, usual, most)])
        assert (np.diff(sizes, axis=0) >= 0).all()
        assert tuple(sizes[[0, 2], 0]) == (1, model.max_batch_size)
        fixed = sizes[0, 1:] == sizes[2, 1:]
        assert list(tensor.dims) == list(np.where(fixed, sizes[0, 1:], -1))


@pytest.mark.parametrize("network", UPSCALERS, ids=lambda network: network.name)
def test_every_tile_of_every_picture_lies_within_tensorrts_profile(network: object) -> None:
    model = configs(accelerator="tensorrt")[network.folder]  # type: ignore[attr-defined]
    least, most = profile(model, "min")["IMAGE"], profile(model, "max")["IMAGE"]
    padding = network.receptive_field  # type: ignore[attr-defined]
    random, limit = np.random.default_rng(0), Config().limits.tile_size
    for length in (1, *random.integers(1, 16384, 300)):
        for span in tiling.spans(int(length), int(random.integers(32, limit + 1)), padding):
            assert least[1] <= span.stop - span.start <= most[1]


def test_engines_are_kept_by_the_weights_they_were_built_of(tmp_path: Path) -> None:
    models = configs(accelerator="tensorrt", engine_cache=str(tmp_path))
    paths = {
        name: Path(accelerator(m)["trt_engine_cache_path"])
        for name, m in models.items()
        if m.HasField("optimization")
    }
    assert len(set(paths.values())) == len(paths)
    assert all(path.parent == tmp_path for path in paths.values())
    config = Config.model_validate({"server": {"engine_cache": str(tmp_path)}})
    (first, *_) = UPSCALERS
    again = gpu.engine_folder(first, config)
    assert again == paths[first.folder]
    assert gpu.engine_folder(UPSCALERS[1], config) != again


def test_only_networks_under_tensorrt_need_folders_for_engines(tmp_path: Path) -> None:
    server = {"repository": str(tmp_path), "engine_cache": str(tmp_path)}
    config = Config.model_validate({"server": server})
    assert writer.engine_folders(config) == []
    config.server.networks = {"u2net": {"accelerator": "tensorrt"}}  # type: ignore[dict-item]
    (folder,) = writer.engine_folders(config)
    assert re.fullmatch(r"u2net-[0-9a-f]{12}", folder.name)


def test_the_cache_of_engines_starts_at_the_folder_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("server: {engine_cache: engines}")
    assert load_config(file).server.engine_cache == tmp_path / "engines"


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_a_server_is_ready_when_the_usual_sizes_have_run(name: str) -> None:
    for model in configs(accelerator=name).values():
        if model.backend != "onnxruntime":
            assert not model.model_warmup
            continue
        batches = [request.batch_size for request in model.model_warmup]
        assert {1, model.max_batch_size} <= set(batches)
        for request in model.model_warmup:
            assert set(request.inputs) == {tensor.name for tensor in model.input}
            for tensor in model.input:
                pairs = zip(tensor.dims, request.inputs[tensor.name].dims, strict=True)
                assert all(declared in (-1, dim) for declared, dim in pairs)


@pytest.mark.parametrize("name", ["auto", "none", "openvino"])
def test_elsewhere_nothing_delays_the_start(name: str) -> None:
    assert not any(model.model_warmup for model in configs(accelerator=name).values())


def test_a_bound_on_memory_is_passed_on_in_bytes() -> None:
    limited = configs(gpu_memory=8, networks={"u2net": {"gpu_memory": 1.5}})
    limits = {
        name: m.parameters["gpu_mem_limit"].string_value
        for name, m in limited.items()
        if m.backend == "onnxruntime"
    }
    assert limits.pop("u2net") == "1500000000"
    assert set(limits.values()) == {"8000000000"}
    assert "gpu_mem_limit" not in configs()["u2net"].parameters
