"""Runs: what they are (`config`), which there are (`experiments`), what they left behind (`records`, `store`).

Nothing here needs torch.
"""

from resnet_lib.runs.config import DataConfig, NetConfig, Recipe, RunConfig
from resnet_lib.runs.records import RunRecord, Study
from resnet_lib.runs.store import Records, committed_dir, local_dir

__all__ = [
    "DataConfig",
    "NetConfig",
    "Recipe",
    "Records",
    "RunConfig",
    "RunRecord",
    "Study",
    "committed_dir",
    "local_dir",
]
