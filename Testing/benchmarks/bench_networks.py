"""Seconds and peak memory of one window of larger networks: as MONAI makes them, with fused attention, with our tap.

Each network runs in a process of its own, and the peak is begun anew for each variant (where the system lets a process
do that: Linux, and cards; elsewhere it is that of the variants so far). On a CPU the seconds are the processor's own,
so that other programs on the machine disturb them less. Weights are random; the work does not depend on them.

Usage: python Testing/benchmarks/bench_networks.py [--edges 96 128] [--repeats 1] [--device cpu] [--half]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
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
VARIANTS = "plain", "fused", "tapped"


def begin_peak_anew() -> None:
    """The process's peak becomes what it holds now (proc(5), ``clear_refs``), and so do the cards'."""
    from BottleneckOODLib.model.peak_memory import forget_card_peak

    forget_card_peak()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def one(name: str, edge: int, repeats: int, device: str, *, half: bool) -> dict[str, tuple[float, float]]:
    """Fewest seconds a window of each variant, and its peak memory, GB."""
    import torch

    from BottleneckOODLib.model.bottleneck import BottleneckTap
    from BottleneckOODLib.model.fast_attention import use_fast_attention
    from BottleneckOODLib.model.networks import bottleneck_layer, build_network
    from BottleneckOODLib.model.peak_memory import card_peak_bytes, process_peak_bytes

    torch.set_num_threads(1)
    kind, arguments = NETWORKS[name]
    network = build_network(kind, arguments).eval().to(device)
    window = torch.randn(1, 1, edge, edge, edge, device=device)
    on_card = device.startswith("cuda")
    clock = time.perf_counter if on_card else time.process_time
    found: dict[str, tuple[float, float]] = {}

    def measure(variant: str, action: Callable[[], object]) -> None:
        begin_peak_anew()
        if on_card:
            torch.cuda.synchronize()
        started = clock()
        action()
        if on_card:
            torch.cuda.synchronize()
        seconds = clock() - started
        peak = ((card_peak_bytes() if on_card else process_peak_bytes()) or 0) / 1e9
        before = found.get(variant, (seconds, peak))
        found[variant] = min(before[0], seconds), max(before[1], peak)

    precision = torch.autocast("cuda", torch.float16) if on_card else torch.autocast("cpu", torch.bfloat16)
    with torch.inference_mode(), precision if half else nullcontext():
        network(torch.randn(1, 1, 64, 64, 64, device=device))  # what is done once only
        for _ in range(repeats):
            use_fast_attention(network, fast=False)
            measure("plain", lambda: network(window))
            if use_fast_attention(network):
                measure("fused", lambda: network(window))
            with BottleneckTap(network, bottleneck_layer(kind, network)) as tap:
                measure("tapped", lambda: (network(window), tap.take()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edges", type=int, nargs="+", default=[96, 128])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--half", action="store_true", help="half precision: float16 on a card, bfloat16 on a CPU")
    parser.add_argument("--one", nargs=2, metavar=("NETWORK", "EDGE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, edge = arguments.one
        print(json.dumps(one(name, int(edge), arguments.repeats, arguments.device, half=arguments.half)))
        return
    print("| network | window | precision | as MONAI has it, s (GB) | fused attention, s (GB) | with our tap, s (GB) |")
    print("|---|---|---|---|---|---|", flush=True)
    precision = "full" if not arguments.half else "half"
    for edge in arguments.edges:
        for name in NETWORKS:
            command = [sys.executable, "-W", "ignore", __file__, "--one", name, str(edge)]
            command += ["--repeats", str(arguments.repeats), "--device", arguments.device]
            command += ["--half"] if arguments.half else []
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            row = json.loads(told.splitlines()[-1])
            cells = [f"{row[key][0]:.2f} ({row[key][1]:.2f})" if key in row else "-" for key in VARIANTS]
            print(f"| {name} | {edge}^3 | {precision} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
