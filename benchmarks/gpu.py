"""The networks on a GPU, in torch, torch.compile, onnxruntime and TensorRT: speed, memory, parity.

`python benchmarks/gpu.py`, in the project's checkout. It needs torch and NumPy, takes onnxruntime
and the exported networks where they are there, and downloads nothing. What can't be measured is
named with the reason. `--dry-run` takes every step on a CPU, with tiny tiles, in about a minute.
"""

import argparse
import platform
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from gpu_layers import PROJECT
from gpu_measure import Bench, matrix_rate, reason
from gpu_networks import NETWORKS, TINY
from gpu_plan import CPU, CUDA, TIME_IS_UP, Budget, Case, plan
from gpu_report import Found, line, write
from gpu_server import served
from gpu_torch import choosing, clear

MATRIX, TINY_MATRIX = 8192, 128
SECONDS = 0.5  # for which a measurement is repeated


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, with tiny tiles")
    parser.add_argument("--minutes", type=float, default=9, help="begin nothing after so many")
    parser.add_argument("--server", action="store_true", help="pictures end to end, too")
    parser.add_argument("--weights", type=Path, default=Path.home() / ".cache/sakuga/weights")
    parser.add_argument("--repository", type=Path, default=PROJECT / "model_repository")
    parser.add_argument("--out", type=Path, default=PROJECT / "benchmarks" / "results")
    return parser.parse_args()


def machine(device: torch.device) -> dict[str, str]:
    cpu = "CPU" if torch.cuda.is_available() else "CPU (no GPU is there)"
    about = {"device": cpu, "python": platform.python_version(), "torch": torch.__version__}
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability()
        about |= {"device": torch.cuda.get_device_name(), "capability": f"{major}.{minor}"}
        about |= {"CUDA": str(torch.version.cuda), "cuDNN": str(torch.backends.cudnn.version())}
    if find_spec("onnxruntime"):
        import onnxruntime

        about["onnxruntime"] = onnxruntime.__version__
    return about


def bench(arguments: argparse.Namespace, engines: Path) -> Bench:
    dry = arguments.dry_run
    device = torch.device("cpu" if dry else "cuda")
    networks = TINY if dry else NETWORKS
    return Bench(
        device,
        {network.name: network for network in networks},
        arguments.weights,
        arguments.repository,
        engines,
        rate=matrix_rate(device, TINY_MATRIX if dry else MATRIX),
        seconds=0 if dry else SECONDS,
    )


def measure(bench: Bench, cases: Iterable[Case], budget: Budget, found: Found) -> Iterator[Found]:
    """What is known after each case: a row more, or a case left out."""
    for case in cases:
        if left_out := bench.missing(case) or ("" if budget.allows(case) else TIME_IS_UP):
            found.left_out.append((case, left_out))
        else:
            found.rows.append(bench.measured(case))
            found.weights = {name: origin for name, (_, origin) in bench.loaded.items()}
            print(f"{case.network}: {line(found.rows[-1])}", flush=True)
        yield found


def end_to_end(arguments: argparse.Namespace, found: Found) -> None:
    try:
        clear(torch.device("cpu" if arguments.dry_run else "cuda"))
        found.served = served(arguments.repository, arguments.dry_run)
    except Exception as error:  # whatever it is, the networks' figures are good
        found.notes.append(f"the embedded server: {reason(error)}")


def main() -> int:
    arguments = parsed()
    if not arguments.dry_run and not torch.cuda.is_available():
        print("torch sees no GPU here; --dry-run takes every step on the CPU", file=sys.stderr)
        return 1
    if arguments.dry_run:
        torch.set_num_threads(1)  # such tiny layers only wait for more
    budget = Budget(arguments.minutes * 60, first_runs=not arguments.dry_run)
    with tempfile.TemporaryDirectory() as engines, torch.no_grad(), choosing():
        here = bench(arguments, Path(engines))
        found = Found(machine(here.device), here.rate, arguments.dry_run)
        cases = plan(list(here.networks.values()), CPU if arguments.dry_run else CUDA)
        for known in measure(here, cases, budget, found):
            write(arguments.out, known)  # at once: what ends the script loses nothing
    if arguments.server:
        end_to_end(arguments, found)
    page = write(arguments.out, found)
    print(page.read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
