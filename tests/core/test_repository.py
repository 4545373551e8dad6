import json
from pathlib import Path

import pytest
from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from sakuga import Config, load_config
from sakuga_core.networks.families import Segmenter
from sakuga_core.networks.registry import NETWORKS, SEGMENTERS, UPSCALERS, by_name
from sakuga_core.protocol import PIPELINES
from sakuga_core.repository import networks, pipelines, writer
from sakuga_core.repository.text import as_text
from sakuga_server.pipelines.settings import UpscaleSettings
from sakuga_server.runtime.inventory import Inventory

PROJECT = Path(__file__).parents[2]


def test_the_committed_files_are_what_the_generator_writes() -> None:
    config = load_config(PROJECT / "config.yaml")
    assert writer.drift(PROJECT / "model_repository", config) == []


def test_every_network_has_a_folder_and_no_other_has() -> None:
    folders = {path.parent.name for path in (PROJECT / "model_repository").glob("*/config.pbtxt")}
    networks = {network.folder for network in NETWORKS}
    ensembles = {f"rembg_{network.folder}" for network in SEGMENTERS}
    assert folders == {*networks, *ensembles, *PIPELINES}


def test_an_edited_file_is_drift_and_written_anew(tmp_path: Path) -> None:
    configs, programs = len(NETWORKS) + len(SEGMENTERS), 2 * len(PIPELINES)
    assert len(writer.write(tmp_path, Config())) == configs + programs
    edited = [tmp_path / "upscale" / "config.pbtxt", tmp_path / "upscale" / "1" / "model.py"]
    for file in edited:
        file.write_text(file.read_text() + "\n")
    assert sorted(writer.drift(tmp_path, Config())) == sorted(edited)
    assert sorted(writer.write(tmp_path, Config())) == sorted(edited)
    assert writer.drift(tmp_path, Config()) == []


@pytest.mark.parametrize("text", writer.texts(Config()).values())
def test_files_parse_as_tritons_model_config(text: str) -> None:
    config = text_format.Parse(text, ModelConfig())
    assert config.backend in ("python", "onnxruntime", "pytorch") or config.platform == "ensemble"
    assert "max_batch_size: " in text


def test_text_reads_back_as_it_was_written() -> None:
    model = {
        "name": 'quotes " and \\ and ü',
        "max_batch_size": 0,
        "input": [{"name": "X", "data_type": "TYPE_UINT8", "dims": [-1, 3], "optional": True}],
        "instance_group": [{"kind": "KIND_CPU", "count": 2}],
        "parameters": {"a": {"string_value": json.dumps({"text": "1\n2"})}},
        "default_model_filename": "TYPE_ER.onnx",
        "optimization": {"priority": 1},
    }
    parsed = text_format.Parse(as_text(model), ModelConfig())
    expected = json_format.ParseDict(model, ModelConfig())
    assert parsed == expected


def test_every_network_is_batched_by_triton() -> None:
    for network in UPSCALERS:
        assert "dynamic_batching" in networks.net(network, Config())
    for network in SEGMENTERS:
        assert "dynamic_batching" in networks.segmenter_net(network, Config())


@pytest.mark.parametrize("network", SEGMENTERS, ids=lambda network: network.name)
def test_an_ensemble_takes_and_gives_what_its_step_has(network: Segmenter) -> None:
    model = pipelines.ensemble(network)
    known = {tensor["name"] for tensor in model["input"]}
    configs = {
        name: text_format.Parse(t, ModelConfig()) for name, t in writer.texts(Config()).items()
    }
    for step in model["ensemble_scheduling"]["step"]:
        config = configs[step["model_name"]]
        assert set(step["input_map"]) == {tensor.name for tensor in config.input}
        assert set(step["input_map"].values()) <= known
        assert set(step["output_map"]) <= {tensor.name for tensor in config.output}
        assert not set(step["output_map"].values()) & known
        known |= set(step["output_map"].values())
    assert {tensor["name"] for tensor in model["output"]} <= known


def test_networks_of_one_picture_get_one_at_a_time() -> None:
    config = Config()
    config.server.batch = 8
    for network in SEGMENTERS:
        batch = networks.segmenter_net(network, config)["max_batch_size"]
        assert batch == (8 if network.batched else 1)


def test_what_nobody_has_tried_stays_with_what_it_was_compared_in() -> None:
    for network in SEGMENTERS:
        parameters = networks.segmenter_net(network, Config())["parameters"]
        chosen = json.loads(parameters["accelerator"]["string_value"])
        assert chosen == ("auto" if network.tried else "none")


def test_pipelines_bound_their_queues_and_networks_do_not() -> None:
    texts = writer.texts(Config())
    for name in PIPELINES:
        assert "max_queue_size: 256" in texts[name]
    for network in NETWORKS:
        assert "max_queue_size" not in texts[network.folder]


@pytest.mark.parametrize("tile_size", [64, 512, 1024])
def test_a_batch_stays_within_tensorrts_largest_tensor(tile_size: int) -> None:
    config = Config()
    config.limits.tile_size = tile_size
    for network in UPSCALERS:
        batch = networks.largest_batch(network, config)
        side = tile_size + 2 * network.receptive_field
        widest = 64 * (16 if network.architecture == "RRDBNet" else 1)
        assert batch == 1 or batch * side**2 * widest <= 2**31
        assert batch > 1 or side > 1000


def test_the_small_networks_are_batched_at_the_default_size_of_tiles() -> None:
    assert networks.largest_batch(by_name("realesr-animevideov3"), Config()) == 7


def test_smaller_tiles_allow_larger_batches() -> None:
    config, network = Config(), by_name("realesrgan-x4plus-anime")
    before = networks.largest_batch(network, config)
    config.limits.tile_size = 128
    assert networks.largest_batch(network, config) > before


def test_operators_settings_reach_the_files() -> None:
    config = Config()
    config.server.upscale_workers, config.server.max_queue_delay_us = 7, 250
    config.limits.queue_size, config.limits.input_pixels = 33, 1234
    config.server.matting_workers = 3
    config.server.fix_artifacts_workers = 5
    config.rembg.alpha_matting = True
    texts = writer.texts(config)
    assert "count: 7" in texts["upscale"]
    assert "max_queue_size: 33" in texts["upscale"]
    assert r"\"input_pixels\": 1234" in texts["upscale"]
    assert "count: 3" in texts["rembg"]
    assert "count: 5" in texts["fix_artifacts"]
    assert r"\"alpha_matting\": true" in texts["rembg"]
    assert "max_queue_delay_microseconds: 250" in texts["realesrgan_x4plus_anime"]


def test_the_pipeline_reads_back_what_was_written() -> None:
    (model, *_) = pipelines.pipelines(Config())
    settings = UpscaleSettings.from_parameters(model["parameters"])
    facts = UPSCALERS[0].facts.model_copy(update={"block": "realesrgan"})
    assert settings.network("realesrgan-anime-6b") == facts
    assert settings.limits == Config().limits


def parsed(config: Config) -> dict[str, ModelConfig]:
    texts = writer.texts(config)
    return {name: text_format.Parse(text, ModelConfig()) for name, text in texts.items()}


def test_how_networks_run_is_set_for_all_and_for_single_ones_by_any_of_their_names() -> None:
    config = Config()
    server = config.server
    server.instances, server.batch, server.max_queue_delay_us, server.accelerator = (
        2,
        3,
        40,
        "tensorrt",
    )
    server.networks = {"realesrgan-anime-6b": {"batch": 5, "accelerator": "openvino"}}  # type: ignore[dict-item]
    models = parsed(config)
    anime, video = models["realesrgan_x4plus_anime"], models["realesr_animevideov3"]
    assert (anime.max_batch_size, video.max_batch_size) == (5, 3)
    for model in (anime, video, models["u2net"], models["migan"]):
        assert model.instance_group[0].count == 2
        assert model.dynamic_batching.max_queue_delay_microseconds == 40
    on_cpu = anime.optimization.execution_accelerators.cpu_execution_accelerator
    on_gpu = video.optimization.execution_accelerators.gpu_execution_accelerator
    assert [each.name for each in on_cpu] == ["openvino"]
    assert [each.name for each in on_gpu] == ["tensorrt"]


def test_an_accelerator_of_onnxruntime_is_none_of_torchscripts() -> None:
    config = Config()
    config.server.accelerator = "openvino"
    assert not parsed(config)["lama_anime"].HasField("optimization")
    assert not parsed(Config())["u2net"].HasField("optimization")


def test_networks_are_listed_and_loaded_by_one_process() -> None:
    config = Config()
    config.server.load_on_demand = False
    model = parsed(config)["networks"]
    assert model.instance_group[0].count == 1
    inventory = Inventory.from_parameters(Path(), pipelines.networks(config)["parameters"])
    assert not inventory.on_demand
    assert set(inventory.networks) == {network.name for network in NETWORKS}
    for network in NETWORKS:
        listing = inventory.networks[network.name]
        assert listing.source == ", ".join(weights.url for weights in network.weights)
