from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from BottleneckOODLib.model.gpu_facts import DeviceFacts
from BottleneckOODLib.worker import protocol
from BottleneckOODLib.worker.protocol import (
    Alive,
    Assess,
    BuildReference,
    Built,
    DevicesFound,
    Finished,
    ListDevices,
    Message,
    ProtocolError,
    Refused,
    Stop,
    Working,
    decode,
    encode,
)

MESSAGES: list[Message] = [
    Assess(1, "volume-1", "Zoë & 患者\n", "demo", None, "auto"),
    Assess(2, "volume-2", "b", "/a model", "ref", "cuda:0"),
    Stop(7),
    Alive(0, 4711),
    Working(1, "Segmenting", 0.25, None, ""),
    Working(1, "Segmenting", 1.0, 3.5, "Preliminary"),
    Finished(1, "job-1/a", warm=True),
    Refused(1, "It is wrong.", stopped=False),
    BuildReference(3, "/Fälle/cases.csv", "Größe & more", "demo", "cpu"),
    Built(3, "job-3/reference", 40, 2, ("a: no image", "b: nothing found")),
    ListDevices(4),
    DevicesFound(4, (DeviceFacts("auto", "cuda:0 (T4)", 1.5, 16.0), DeviceFacts("cpu", "x86_64", None, None)), ""),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_a_message_is_one_line_and_comes_back(message: Message) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode(line) == message


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(line)


@pytest.mark.parametrize(
    "content",
    [
        {"kind": "Stop"}, {"kind": "Stop", "job": "1"}, {"kind": "Stop", "job": True},
        {"kind": "Stop", "job": 1, "more": 1},
        {"kind": "Unknown", "job": 1}, {"kind": ["Stop"], "job": 1}, {"job": 1}, [1], 7, None,
        {"kind": "Finished", "job": 1, "folder": None, "warm": True},
        {"kind": "Working", "job": 1, "step": "", "fraction": "a", "seconds_left": None, "message": ""},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_nearly_a_message_is_refused(content: object) -> None:
    with pytest.raises(ProtocolError):
        decode(json.dumps(content).encode())


def test_a_line_that_never_ends_is_refused() -> None:
    with pytest.raises(ProtocolError):
        decode(b'{"kind": "Stop", "job": 1' + b" " * protocol.MAX_LINE_BYTES + b"}")


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ProtocolError):
        decode(b"[" * 90_000)


def test_every_kind_of_message_is_tried_here() -> None:
    assert {type(message) for message in MESSAGES} == set(get_args(Message))
