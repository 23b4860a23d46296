"""The weights in files that others saved, as tensors by name; nothing in a file is run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.saved_by_torch import HoldsCodeError, UnreadableError, load_without_code
from BottleneckOODLib.tensor_file import TensorFileError, check_tensor_file

Weights = dict[str, torch.Tensor]

WRAPPINGS = ("state_dict", "model_state_dict", "model", "network_weights", "net", "network", "weights")
"""Where training scripts keep the weights inside of a checkpoint, in the order in which they are looked for."""
EMA_WRAPPINGS = ("ema_state_dict", "state_dict_ema", "model_ema", "ema_model", "ema")
PREFIXES = ("module.", "model.", "net.", "network.", "_orig_mod.", "ema_model.")
_DEEPEST_WRAPPING = 4
_NAMED = 3
# Counters of wrappers around the network, which are no weights of it.
_NO_WEIGHTS = {"n_averaged", "initted", "step", "num_updates", "decay"}


def read_checkpoint(path: Path, *, ema: bool = False) -> Weights:
    """The weights in a safetensors file or in a checkpoint that PyTorch saved.

    Usual wrappings around the weights are taken off; what stands before their names is left to ``fitted``.

    Args:
        path: The file. Not modified.
        ema: Take the moving average of the weights that the training kept, instead of the weights themselves.

    Returns:
        Tensors by name, on the CPU.

    Raises:
        ModelError: The file is missing, damaged, wants to run code, or holds no weights.
        DependencyError: The file is pickled and the installed PyTorch is too old to read such files safely.
    """
    if not path.is_file():
        message = f"The weights {path} were not found; give the file that the training saved."
        raise ModelError(message)
    holder = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickled(path)
    found = _unwrapped(holder, path, ema=ema)
    return {name: value for name, value in found.items() if name not in _NO_WEIGHTS}


def fitted(network: torch.nn.Module, weights: Weights, path: Path, network_type: str) -> Weights:
    """The weights in the network's own order and types, when every one of them fits.

    Args:
        network: A network of the type that the weights are said to be of. Not modified.
        weights: Tensors by name; one of ``PREFIXES`` before all of the names, or several, is taken off.
        path: Their file, for the sentence.
        network_type: The network's type, for the sentence.

    Raises:
        ModelError: A weight is missing, is left over, or has another shape.
    """
    expected = network.state_dict()
    weights = _without_prefix(weights, expected)
    missing = [name for name in expected if name not in weights]
    left_over = [name for name in weights if name not in expected]
    if missing or left_over:
        parts = [_some(missing, "missing")] * bool(missing) + [_some(left_over, "left over")] * bool(left_over)
        message = (
            f"The weights in {path} do not fit the network {network_type} with these arguments: "
            f"{' and '.join(parts)}; give the network and the arguments that it was trained with."
        )
        raise ModelError(message)
    for name, value in expected.items():
        if weights[name].shape != value.shape:
            message = (
                f"The weights in {path} do not fit the network {network_type} with these arguments: {name} has the "
                f"shape {tuple(weights[name].shape)} instead of {tuple(value.shape)}; give the arguments that it was "
                "trained with."
            )
            raise ModelError(message)
    odd = [name for name, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]
    if odd:
        message = f"The weights in {path} hold values that are not numbers, in {odd[0]}; take another checkpoint."
        raise ModelError(message)
    return {name: weights[name].detach().to(value.dtype, copy=True).contiguous() for name, value in expected.items()}


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    try:
        check_tensor_file(path)
        loaded: Weights = safetensors.torch.load_file(path)
    except TensorFileError as error:
        message = f"The weights {path} are damaged: {error}; copy the file again."
        raise ModelError(message) from None
    except (OSError, SafetensorError):
        message = f"The weights {path} cannot be read; check the file and its permissions."
        raise ModelError(message) from None
    return loaded


def _read_pickled(path: Path) -> Mapping[str, Any]:
    try:
        loaded = load_without_code(path)
    except HoldsCodeError as error:
        named = f" ({error})" if str(error) else ""
        message = (
            f"The checkpoint {path} holds more than tensors and plain values{named}, perhaps code, and was not loaded; "
            "save the state_dict alone with torch.save, or as safetensors."
        )
        raise ModelError(message) from None
    except UnreadableError:
        message = f"The checkpoint {path} cannot be read; it may be cut off or be no checkpoint: copy it again."
        raise ModelError(message) from None
    if not isinstance(loaded, Mapping):
        message = f"The checkpoint {path} holds a {type(loaded).__name__} and no weights by name; save the state_dict."
        raise ModelError(message)
    return loaded


def _unwrapped(holder: Mapping[str, Any], path: Path, *, ema: bool) -> Weights:
    if ema:
        holder = _averages(holder, path)
    for _ in range(_DEEPEST_WRAPPING):
        tensors = {name: value for name, value in holder.items() if isinstance(value, torch.Tensor)}
        inner = next((holder[key] for key in WRAPPINGS if isinstance(holder.get(key), Mapping)), None)
        if inner is None:
            break
        holder = inner
    if not tensors:
        found = ", ".join(str(key) for key in list(holder)[:_NAMED]) or "nothing"
        message = f"The checkpoint {path} holds no weights by name (but {found}); save the state_dict of the network."
        raise ModelError(message)
    return {str(name): value for name, value in tensors.items()}


def _averages(holder: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    kept = next((holder[key] for key in EMA_WRAPPINGS if isinstance(holder.get(key), Mapping)), None)
    if kept is None:
        # Where the average is a twin of the network inside of one state, its weights have a prefix.
        kept = {name: value for name, value in holder.items() if str(name).startswith("ema_model.")}
    if not kept:
        message = f"The checkpoint {path} keeps no moving average of its weights; leave out --ema."
        raise ModelError(message)
    return kept


def _without_prefix(weights: Weights, expected: Mapping[str, Any]) -> Weights:
    """Names without what wrappers put before all of them; of all ways to shorten them the one that fits best.

    A network's own names may begin with such a prefix: all of UNet's begin with ``model.``.
    """
    candidates = [weights]
    for candidate in candidates:
        for prefix in PREFIXES:
            if candidate and all(name.startswith(prefix) for name in candidate):
                candidates.append({name.removeprefix(prefix): value for name, value in candidate.items()})
    return max(candidates, key=lambda candidate: len(candidate.keys() & expected.keys()))


def _some(names: list[str], what: str) -> str:
    shown = ", ".join(names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{shown}{more} {'is' if len(names) == 1 else 'are'} {what}"
