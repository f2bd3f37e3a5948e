"""The library behind 'Deep residual learning, measured'.

Chapters import its modules by their names alone (`from resnet_lib import campaign, figures`); `MODULES` says in which
room each of them is. A module is loaded when it is asked for: what reads records does not wait for torch. A trained
net is had by its name with `resnet_lib.pretrained`.
"""

from importlib import import_module
from typing import Any

MODULES = {
    name: f"resnet_lib.{room}.{name}"
    for room, names in {
        "nets": ("blocks", "geometry", "models", "others", "probes", "signals", "surgery"),
        "data": ("tabular",),
        "runs": ("experiments", "paper"),
        "jobs": ("campaign", "studies"),
        "evidence": ("challenges", "claims", "claims_log", "diagnosis", "effects", "ledger", "noise", "rule", "why"),
        "speed": ("bench", "scaling", "variants"),
        "show": ("drawings", "explore", "figures", "lab", "tables", "toys"),
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    if name == "pretrained":
        return import_module("resnet_lib.nets.pretrained").pretrained
    if name in MODULES:
        return import_module(MODULES[name])
    raise AttributeError(f"module 'resnet_lib' has no attribute {name!r}")
