"""Which device computes, which there are, and what counts as running out of its memory."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
import warnings
from pathlib import Path

import torch

from BottleneckOODLib.errors import DeviceError
from BottleneckOODLib.model.gpu_facts import Card, DeviceFacts, GpuFacts, runs_on, why_no_gpu

_GB = 1e9
_NVIDIA_VENDOR = "0x10de"
_ANSWER_WITHIN_S = 10.0


def choose_device(wish: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps`` into a device that is there.

    ``auto`` takes the first card that this torch has code for.

    Raises:
        DeviceError: The wish is not one of these, or that device is not available.
    """
    if wish == "auto":
        for index, card in enumerate(_cards()):
            if runs_on(card.capability, _architectures()):
                return torch.device("cuda", index)
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


def unused_card(wish: str) -> str:
    """Why ``auto`` computes on the CPU although torch sees a card, in one sentence; empty when it does not."""
    if wish != "auto" or not _cards() or choose_device(wish).type != "cpu":
        return ""
    return why_no_gpu(gpu_facts())


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
    # CUDA's libraries report a full card in their own words.
    signs = ("out of memory", "can't allocate memory", "not enough memory", "_status_alloc_failed")
    return any(sign in text for sign in signs)


def list_devices() -> tuple[DeviceFacts, ...]:
    """Every device that can be asked for, ``auto`` first."""
    free, total = _memory_of_the_computer()
    devices = [DeviceFacts("cpu", platform.processor() or platform.machine() or "CPU", free, total)]
    architectures = _architectures()
    for index, card in enumerate(_cards()):
        if not runs_on(card.capability, architectures):
            continue
        try:
            card_free, card_total = torch.cuda.mem_get_info(index)
            devices.append(DeviceFacts(f"cuda:{index}", card.name, card_free / _GB, card_total / _GB))
        except RuntimeError:
            # Another program has all of it.
            devices.append(DeviceFacts(f"cuda:{index}", card.name, None, None))
    if torch.backends.mps.is_available():
        devices.append(DeviceFacts("mps", "Apple Metal", free, total))
    chosen = str(choose_device("auto"))
    auto = next((device for device in devices if device.name == chosen), devices[0])
    return (DeviceFacts("auto", f"{auto.name} ({auto.description})", auto.free_gb, auto.total_gb), *devices)


def gpu_facts() -> GpuFacts:
    """What this computer and this torch say about graphics cards; asks the driver's own tool, which takes a moment."""
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        cards = _cards()
    name, driver = _nvidia_card()
    return GpuFacts(
        system=platform.system(),
        machine=platform.machine(),
        torch_version=torch.__version__,
        torch_build=_build(),
        architectures=_architectures(),
        cards=cards,
        mps=torch.backends.mps.is_available(),
        nvidia_card=name,
        driver=driver,
        complaint=" ".join(str(complaint.message) for complaint in complaints),
        hidden=os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"),
    )


def _build() -> str:
    if torch.version.cuda is not None:
        return f"CUDA {torch.version.cuda}"
    return "cpu" if torch.version.hip is None else f"ROCm {torch.version.hip}"


def _cards() -> tuple[Card, ...]:
    if not torch.cuda.is_available():
        return ()
    return tuple(
        Card(torch.cuda.get_device_name(index), torch.cuda.get_device_capability(index))
        for index in range(torch.cuda.device_count())
    )


def _architectures() -> tuple[str, ...]:
    return tuple(torch.cuda.get_arch_list()) if torch.cuda.is_available() else ()


def _nvidia_card() -> tuple[str, str]:
    """Name of an NVIDIA card and version of its driver, without torch; empty where not known."""
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        try:
            told = subprocess.run(
                [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"],
                capture_output=True,
                text=True,
                timeout=_ANSWER_WITHIN_S,
                check=True,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            ).stdout
            name, _, driver = (told.splitlines() or [""])[0].partition(",")
            if name.strip() and driver.strip():
                return name.strip(), driver.strip()
        except (OSError, subprocess.SubprocessError):
            pass
    if platform.system() == "Windows":
        return ("NVIDIA graphics card", "") if _loads("nvcuda.dll") else ("", "")
    for device in Path("/sys/bus/pci/devices").glob("*"):
        try:
            kind, vendor = (device / "class").read_text(), (device / "vendor").read_text()
        except OSError:
            continue
        if vendor.strip() == _NVIDIA_VENDOR and kind.startswith("0x03"):
            return "NVIDIA graphics card", ""
    return ("NVIDIA graphics card", "") if Path("/proc/driver/nvidia/version").exists() else ("", "")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _memory_of_the_computer() -> tuple[float | None, float | None]:
    """Free and total memory, in GB."""
    if platform.system() == "Windows":
        return _memory_of_windows()
    try:
        page, total = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None, None
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None, page * total / _GB
    # What caches hold is given back when it is needed.
    match = re.search(r"^MemAvailable:\s+(\d+) kB$", told, re.MULTILINE)
    return None if match is None else int(match.group(1)) * 1024 / _GB, page * total / _GB


def _memory_of_windows() -> tuple[float | None, float | None]:
    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "free", "a", "b", "c", "d", "e")),
        )

    status = Status()
    status.length = ctypes.sizeof(Status)
    kernel = getattr(ctypes, "windll", None)
    if kernel is None or not kernel.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None, None
    return status.free / _GB, status.total / _GB
