"""Trained nets for `torch.hub`: torch.hub.load("OWNER/REPOSITORY", "resnet56", seed=0)."""

from functools import partial as _partial

from resnet_lib.nets.pretrained import NETS as _NETS
from resnet_lib.nets.pretrained import pretrained

dependencies = ["torch", "numpy", "pydantic", "yaml", "safetensors", "filelock"]

for _name in _NETS:
    globals()[_name] = _partial(pretrained, _name)
    globals()[_name].__doc__ = pretrained.__doc__
