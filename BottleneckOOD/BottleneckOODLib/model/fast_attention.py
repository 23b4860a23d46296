"""Attention of Swin UNETR through PyTorch's fused kernel: the same weights and, to rounding, the same numbers."""

from __future__ import annotations

import torch
from monai.networks.nets.swin_unetr import WindowAttention


def use_fast_attention(network: torch.nn.Module, *, fast: bool = True) -> int:
    """Switch every windowed attention of a network to ``scaled_dot_product_attention``, or back.

    Nothing of the network's weights, arguments or fingerprint changes; it acts only where no gradients are kept.

    Args:
        network: Any network; those without windowed attention stay as they are.
        fast: Whether to use the fused kernel.

    Returns:
        How many attentions were switched; 0 also with a MONAI before 1.6, which has no such switch.
    """
    switched = 0
    for module in network.modules():
        if isinstance(module, WindowAttention) and hasattr(module, "use_flash_attention"):
            module.use_flash_attention = fast
            switched += 1
    return switched
