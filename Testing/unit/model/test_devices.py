"""Which device is chosen, and why no card is: every reason from given facts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from BottleneckOODLib.errors import DeviceError
from BottleneckOODLib.model import devices
from BottleneckOODLib.model.devices import choose_device, gpu_facts, is_out_of_memory, list_devices, unused_card
from BottleneckOODLib.model.gpu_facts import Card, GpuFacts, runs_on, why_no_gpu

BLACKWELL, TURING, MAXWELL = Card("NVIDIA RTX 5090", (12, 0)), Card("NVIDIA T4", (7, 5)), Card("GTX 970", (5, 2))
CUDA_128 = ("sm_75", "sm_80", "sm_86", "sm_90")
A_PC = GpuFacts("Linux", "x86_64", "2.10.0+cu128", "CUDA 12.8", architectures=CUDA_128)


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((8, 9), ("sm_80", "sm_86"), True),
        ((8, 0), ("sm_86",), False),
        ((9, 0), ("sm_90a",), True),
        ((12, 0), ("sm_80", "sm_90"), False),
        ((12, 0), ("sm_80", "compute_90"), True),
        ((10, 3), ("sm_100a",), False),
        ((10, 3), ("sm_100f",), True),
        ((5, 2), CUDA_128, False),
        ((11, 0), ("gfx1030", "gfx90a"), True),
        ((7, 5), (), True),
    ],
)
def test_code_runs_on_the_cards_that_it_was_made_for(
    capability: tuple[int, int], architectures: tuple[str, ...], *, runs: bool
) -> None:
    assert runs_on(capability, architectures) is runs


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cards": (TURING,)}, ()),
        ({"cards": (MAXWELL, TURING)}, ()),
        ({"system": "Darwin", "machine": "arm64", "mps": True}, ()),
        ({}, ("No graphics card", "CPU")),
        ({"cards": (BLACKWELL,)}, ("RTX 5090", "too new", "2.10.0+cu128", "later torch")),
        ({"cards": (MAXWELL,)}, ("GTX 970", "too old", "earlier torch")),
        ({"nvidia_card": "NVIDIA A2", "driver": "550.1", "torch_build": "cpu"}, ("CPUs only", "PyTorch extension")),
        ({"nvidia_card": "NVIDIA A2"}, ("driver is missing", "restart")),
        (
            {
                "nvidia_card": "NVIDIA A2",
                "driver": "470.2",
                "complaint": "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040).",
            },
            ("driver 470.2", "too old", "update NVIDIA's driver"),
        ),
        ({"nvidia_card": "NVIDIA A2", "driver": "580.1"}, ("cannot reach it", "restart")),
        ({"hidden": True, "nvidia_card": "NVIDIA A2", "driver": "580.1"}, ("CUDA_VISIBLE_DEVICES", "remove")),
        ({"system": "Darwin", "machine": "x86_64"}, ("Mac", "Apple silicon")),
    ],
)
def test_each_reason_is_one_sentence_with_a_way_out(changes: dict[str, Any], said: tuple[str, ...]) -> None:
    sentence = why_no_gpu(replace(A_PC, **changes))
    assert bool(sentence) is bool(said)
    for words in said:
        assert words in sentence
    assert "\n" not in sentence
    if said:
        assert sentence.endswith(".")


@pytest.fixture
def with_cards(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets torch see cards that are not there."""

    def see(*cards: Card, memory: Exception | None = None) -> None:
        def memory_of(_index: int) -> tuple[int, int]:
            if memory is not None:
                raise memory
            return 3 * 10**9, 4 * 10**9

        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cards))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: cards[index].name)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: cards[index].capability)
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(CUDA_128))
        monkeypatch.setattr(torch.cuda, "mem_get_info", memory_of)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        monkeypatch.setattr(devices, "_nvidia_card", lambda: (cards[0].name if cards else "", "580.1"))

    return see


def test_the_first_card_with_code_is_chosen(with_cards: Any) -> None:
    with_cards(BLACKWELL, TURING)
    assert choose_device("auto") == torch.device("cuda", 1)
    assert unused_card("auto") == ""
    assert [(d.name, d.free_gb, d.total_gb) for d in list_devices() if d.name != "cpu"] == [
        ("auto", 3.0, 4.0),
        ("cuda:1", 3.0, 4.0),
    ]


def test_a_card_without_code_leaves_the_cpu_and_says_why(with_cards: Any) -> None:
    with_cards(BLACKWELL)
    assert choose_device("auto").type == "cpu"
    assert "too new" in unused_card("auto")
    assert unused_card("cpu") == ""
    assert [device.name for device in list_devices()] == ["auto", "cpu"]
    assert why_no_gpu(gpu_facts()) == unused_card("auto")


def test_without_a_card_nothing_is_noted(with_cards: Any) -> None:
    with_cards()
    assert unused_card("auto") == ""
    assert list_devices()[0].description.startswith("cpu")


def test_a_card_whose_memory_is_taken_is_still_listed(with_cards: Any) -> None:
    with_cards(TURING, memory=RuntimeError("CUDA error: out of memory"))
    assert [(d.name, d.free_gb) for d in list_devices()][-1] == ("cuda:0", None)


@pytest.mark.parametrize("wish", ["gpu", "cuda:", "cuda:x", "", "CPU", "cuda:1 "])
def test_an_unknown_device_is_refused(wish: str) -> None:
    with pytest.raises(DeviceError, match="not known"):
        choose_device(wish)


def test_a_card_that_is_not_there_is_refused(with_cards: Any) -> None:
    with_cards(TURING)
    assert choose_device("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(DeviceError, match="1 CUDA devices were found"):
        choose_device("cuda:1")


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: no kernel image is available for execution on the device"), False),
        (ValueError("shapes differ"), False),
    ],
    ids=str,
)
def test_want_of_memory_is_told_from_other_failures(error: Exception, *, is_memory: bool) -> None:
    assert is_out_of_memory(error) is is_memory


def test_the_memory_of_this_computer_is_known_and_plausible() -> None:
    cpu = next(device for device in list_devices() if device.name == "cpu")
    if cpu.total_gb is not None:
        assert 0.5 < cpu.total_gb < 1e5
    if cpu.free_gb is not None and cpu.total_gb is not None:
        assert 0 < cpu.free_gb <= cpu.total_gb


def test_the_reasons_need_no_torch(in_a_fresh_interpreter: Any) -> None:
    assert "torch" not in in_a_fresh_interpreter("BottleneckOODLib.model.gpu_facts")
