"""Seconds and peak memory of one window of larger networks: as MONAI makes them, with fused attention, with our tap.

Each network runs in a process of its own, so that its peak is its own. On a CPU the seconds are those of the processor,
so that other programs on the machine disturb them less. Weights are random; the work does not depend on them.

Usage: python Testing/benchmarks/bench_networks.py [--edges 96 128] [--repeats 1] [--device cpu] [--half]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

NNUNET = {
    "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "kernel_size": [3] * 6, "strides": [1, 2, 2, 2, 2, 2],
    "upsample_kernel_size": [2] * 5, "filters": [32, 64, 128, 256, 320, 320], "norm_name": "instance",
}  # fmt: skip
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "Swin UNETR 12": ("swin_unetr", {"in_channels": 1, "out_channels": 2, "feature_size": 12}),
    "nnU-Net (as DynUNet)": ("dyn_unet", NNUNET),
    "Swin UNETR 24": ("swin_unetr", {"in_channels": 1, "out_channels": 2, "feature_size": 24}),
    "Swin UNETR 48": ("swin_unetr", {"in_channels": 1, "out_channels": 2, "feature_size": 48}),
}


def one(name: str, edge: int, repeats: int, device: str, *, half: bool) -> dict[str, float | None]:
    """Fewest seconds a window of each variant, and the peak memory of all, GB."""
    import torch

    from BottleneckOODLib.model.bottleneck import BottleneckTap
    from BottleneckOODLib.model.fast_attention import use_fast_attention
    from BottleneckOODLib.model.networks import bottleneck_layer, build_network

    torch.set_num_threads(1)
    kind, arguments = NETWORKS[name]
    network = build_network(kind, arguments).eval().to(device)
    window = torch.randn(1, 1, edge, edge, edge, device=device)
    on_card = device.startswith("cuda")

    def seconds(action: Callable[[], object]) -> float:
        if on_card:
            torch.cuda.synchronize()
        clock = time.perf_counter if on_card else time.process_time
        started = clock()
        action()
        if on_card:
            torch.cuda.synchronize()
        return clock() - started

    found: dict[str, list[float]] = {"plain": [], "fused": [], "tapped": []}
    with torch.inference_mode(), torch.autocast("cuda", torch.float16) if half else nullcontext():
        network(torch.randn(1, 1, 64, 64, 64, device=device))  # what is done once only
        for _ in range(repeats):
            use_fast_attention(network, fast=False)
            found["plain"].append(seconds(lambda: network(window)))
            if use_fast_attention(network):
                found["fused"].append(seconds(lambda: network(window)))
            with BottleneckTap(network, bottleneck_layer(kind, network)) as tap:
                found["tapped"].append(seconds(lambda: (network(window), tap.take())))
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    peak = (torch.cuda.max_memory_allocated() if on_card else host) / 1e9
    return {**{key: min(values) if values else None for key, values in found.items()}, "peak": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edges", type=int, nargs="+", default=[96, 128])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--half", action="store_true", help="half precision, on a card only")
    parser.add_argument("--one", nargs=2, metavar=("NETWORK", "EDGE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, edge = arguments.one
        print(json.dumps(one(name, int(edge), arguments.repeats, arguments.device, half=arguments.half)))
        return
    print("| network | window | as MONAI has it, s | fused attention, s | with our tap, s | peak, GB |")
    print("|---|---|---|---|---|---|", flush=True)
    for edge in arguments.edges:
        for name in NETWORKS:
            command = [sys.executable, "-W", "ignore", __file__, "--one", name, str(edge)]
            command += ["--repeats", str(arguments.repeats), "--device", arguments.device]
            command += ["--half"] if arguments.half else []
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            row = json.loads(told.splitlines()[-1])
            cells = ["-" if row[key] is None else f"{row[key]:.2f}" for key in ("plain", "fused", "tapped", "peak")]
            print(f"| {name} | {edge}^3 | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
