"""Which device computes, and what counts as running out of its memory."""

from __future__ import annotations

import re

import torch

from BottleneckOODLib.errors import DeviceError


def choose_device(wish: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps`` into a device that is there.

    Raises:
        DeviceError: The wish is not one of these, or that device is not available.
    """
    if wish == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    match = re.fullmatch(r"cpu|mps|cuda(?::(\d{1,3}))?", wish)
    if match is None:
        message = f'The device "{wish}" is not known; use auto, cpu, cuda, cuda:0 or mps.'
        raise DeviceError(message)
    if wish.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(match.group(1) or 0) >= count:
            seen = f"{count} CUDA devices were found" if count else "no CUDA device was found"
            message = f'The device "{wish}" is not available: {seen}; use auto or cpu.'
            raise DeviceError(message)
    if wish == "mps" and not torch.backends.mps.is_available():
        message = 'The device "mps" is not available on this computer; use auto or cpu.'
        raise DeviceError(message)
    return torch.device(wish)


def describe_device(device: torch.device) -> str:
    """Name of the device for people, such as ``"cuda:0 (NVIDIA A100)"``."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a pass failed for want of memory, on any device; other errors must not be mistaken for it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
