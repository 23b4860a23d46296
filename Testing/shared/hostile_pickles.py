"""Pickles that leave a file behind when they are loaded as pickles, and what they can be packed into."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import timeit
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class _Calls:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


class _WithState(_Calls):
    """Pickles as a call and a state."""

    def __reduce__(self) -> Any:
        return (*self.call, {"step": 1})


def payloads(canary: Path) -> dict[str, bytes]:
    """Pickles by name; each makes ``canary`` when something unpickles it."""
    shell = f"touch {canary}"
    code = f"open({str(canary)!r}, 'w').close()"
    made = {
        "a method": _Calls(Path.touch, canary),
        "a shell": _Calls(os.system, shell),
        "exec": _Calls(builtins.exec, code),
        "eval": _Calls(builtins.eval, code),
        "a process": _Calls(subprocess.check_call, ["touch", str(canary)]),
        "open": _Calls(open, str(canary), "w"),
        "timeit": _Calls(timeit.timeit, code, "pass", timeit.default_timer, 1),
        "a state": _WithState(os.system, shell),
        "among weights": {"state_dict": {"w": torch.ones(2)}, "note": _Calls(os.system, shell)},
        "a key": {_Calls(os.system, shell): 1},
    }
    packed = {name: pickle.dumps(value, 2) for name, value in made.items()}
    packed["protocol 4"] = pickle.dumps(made["a shell"], 4)
    packed["protocol 0"] = pickle.dumps(made["a shell"], 0)
    packed["GLOBAL"] = b"cos\nsystem\n(S'" + shell.encode() + b"'\ntR."
    packed["INST"] = b"(S'" + shell.encode() + b"'\nios\nsystem\n."
    packed["OBJ"] = b"(cos\nsystem\nS'" + shell.encode() + b"'\no."
    packed["STACK_GLOBAL"] = (
        b"\x80\x04\x8c\x02os\x8c\x06system\x93X" + struct.pack("<I", len(shell)) + shell.encode() + b"\x85R."
    )
    packed["getattr"] = (
        b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n(S'os'\ntRS'system'\ntR(S'" + shell.encode() + b"'\ntR."
    )
    packed["after a harmless one"] = pickle.dumps({"w": 1}, 2)[:-1] + b"0" + packed["GLOBAL"]
    return packed


def torch_zip(payload: bytes, name: str = "archive") -> bytes:
    """As ``torch.save`` writes since 1.6, with another pickle inside."""
    plain = io.BytesIO()
    torch.save({"w": torch.ones(2)}, plain)
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain.getvalue())) as source, zipfile.ZipFile(made, "w") as target:
        for entry in source.namelist():
            content = payload if entry.endswith("data.pkl") else source.read(entry)
            target.writestr(f"{name}/{entry.partition('/')[2]}", content)
    return made.getvalue()


def torch_legacy(payload: bytes) -> bytes:
    """As ``torch.save`` wrote before 1.6: a magic number, a protocol, facts of the system, then the pickle."""
    magic, protocol = 0x1950A86A20F9469CFC6C, 1001
    facts = {"protocol_version": protocol, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    return b"".join(pickle.dumps(part, 2) for part in (magic, protocol, facts)) + payload + pickle.dumps([], 2)


def torch_tar(payload: bytes) -> bytes:
    """As ``torch.save`` wrote before 0.2."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            harmless = pickle.dumps({"little_endian": True} if name == "sys_info" else 0, 2)
            content = payload if name == "pickle" else harmless
            facts = tarfile.TarInfo(name)
            facts.size = len(content)
            archive.addfile(facts, io.BytesIO(content))
    return made.getvalue()


def zip_in_zip(payload: bytes) -> bytes:
    """A checkpoint inside of a checkpoint."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        archive.writestr("archive/inner.pt", torch_zip(payload))
        archive.writestr("archive/version", "3\n")
    return made.getvalue()


def two_pickles(payload: bytes) -> bytes:
    """An archive with two entries of one name; which of them is read is a matter of who reads."""
    made = io.BytesIO(torch_zip(pickle.dumps({"w": 1.0}, 2)))
    with zipfile.ZipFile(made, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("archive/data.pkl", payload)
    return made.getvalue()


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "bare": bytes,
    "zip": torch_zip,
    "legacy": torch_legacy,
    "tar": torch_tar,
    "zip in zip": zip_in_zip,
    "two pickles": two_pickles,
}


def unpickled_elsewhere(payload: bytes) -> None:
    """What whoever trusts such a file would do, in a process of its own."""
    code = "import pickle, sys; pickle.loads(sys.stdin.buffer.read())"
    subprocess.run([sys.executable, "-c", code], input=payload, capture_output=True, check=False, timeout=600)
