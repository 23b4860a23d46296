"""The network of an nnU-Net, made by nnU-Net from checked plans."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import torch

from BottleneckOODLib.errors import DependencyError, ModelError
from BottleneckOODLib.model.nnunet_plans import ARCHITECTURES, NnunetPlans

Weights = dict[str, torch.Tensor]


def require_nnunet() -> None:
    """Say in a sentence that nnunetv2 is missing.

    Raises:
        DependencyError: It is not installed.
    """
    if importlib.util.find_spec("nnunetv2") is None:
        message = 'This model needs nnU-Net, which is not installed; run: pip install "bottleneck-ood[nnunet]".'
        raise DependencyError(message)


def managers(plans: NnunetPlans) -> tuple[Any, Any]:
    """nnU-Net's own view of checked plans: its ``PlansManager`` and the ``ConfigurationManager``."""
    from BottleneckOODLib.model.nnunet_predictor import PlansManager  # noqa: PLC0415 - imports nnunetv2

    plans_manager = PlansManager(dict(plans.plans))
    with warnings.catch_warnings():
        # Plans of before nnU-Net 2.4 are brought into the newer form.
        warnings.simplefilter("ignore")
        return plans_manager, plans_manager.get_configuration(plans.configuration)


def network_of(plans: NnunetPlans, configuration: Any) -> torch.nn.Module:
    """The network of checked plans, by nnU-Net's own function, with fresh weights.

    Raises:
        ModelError: nnU-Net cannot make it.
    """
    from BottleneckOODLib.model.nnunet_predictor import get_network_from_plans  # noqa: PLC0415 - imports nnunetv2

    try:
        network: torch.nn.Module = get_network_from_plans(
            ARCHITECTURES[plans.architecture],
            configuration.network_arch_init_kwargs,
            configuration.network_arch_init_kwargs_req_import,
            1,
            len(plans.labels) + 1,
            allow_init=False,
            deep_supervision=False,
        )
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, AssertionError, RuntimeError) as error:
        message = f"The network {plans.architecture} cannot be made from the plans: {error}; copy the model again."
        raise ModelError(message) from error
    return network.requires_grad_(False).eval()


def own_names(network: torch.nn.Module) -> dict[str, str]:
    """For each name in the network's state the first name of the same memory: nnU-Net's layers have several."""
    first: dict[int, str] = {}
    return {name: first.setdefault(value.data_ptr(), name) for name, value in network.state_dict().items()}


def load_weights(network: torch.nn.Module, weights: Weights, name: str) -> None:
    """Put weights, each under its own name alone, into the network.

    Raises:
        ModelError: They do not fit.
    """
    owners = own_names(network)
    try:
        network.load_state_dict({alias: weights[owner] for alias, owner in owners.items()})
    except (RuntimeError, KeyError):
        message = f"The weights of the model {name} do not fit its network; add the model again."
        raise ModelError(message) from None
