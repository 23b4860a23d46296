"""What the weights of a SwinUNETR tell about its arguments."""

from __future__ import annotations

import re
from typing import Any

from BottleneckOODLib.model.checkpoints import Weights

_STAGES = 4


def swin_arguments(weights: Weights) -> dict[str, Any]:
    """Arguments of MONAI's SwinUNETR that shapes and names of its weights leave no choice about.

    Args:
        weights: Tensors by name; a prefix before all names does not matter.

    Returns:
        Channels, feature size, depths, heads, window size and version; empty where the weights are not such.
    """
    by_end = {name[match.start() :]: value for name, value in weights.items() if (match := _OWN_NAME.search(name))}
    first, last = by_end.get("encoder1.layer.conv1.conv.weight"), by_end.get("out.conv.conv.weight")
    if first is None or last is None:
        return {}
    tables = [by_end.get(f"swinViT.layers{n}.0.blocks.0.attn.relative_position_bias_table") for n in range(1, 5)]
    heads = [int(table.shape[1]) for table in tables if table is not None]
    if len(heads) != _STAGES or tables[0] is None:
        return {}
    depths = []
    for n in range(1, _STAGES + 1):
        prefix = f"swinViT.layers{n}.0.blocks."
        depths.append(len({name.removeprefix(prefix).split(".")[0] for name in by_end if name.startswith(prefix)}))
    return {
        "in_channels": int(first.shape[1]),
        "out_channels": int(last.shape[0]),
        "feature_size": int(first.shape[0]),
        "depths": depths,
        "num_heads": heads,
        # A table has a row for each offset inside a window: (2 w - 1) to the power of 3.
        "window_size": (round(tables[0].shape[0] ** (1 / 3)) + 1) // 2,
        "use_v2": any(name.startswith("swinViT.layers1c.") for name in by_end),
        "spatial_dims": first.ndim - 2,
    }


_OWN_NAME = re.compile(r"(?:(?<=\.)|^)(?:swinViT|encoder\d+|decoder\d|out)\..*")
