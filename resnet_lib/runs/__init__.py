"""Runs: what they are (`config`), at which scales (`profiles`), which there are (`settings`, `experiments`).

And what they left behind (`records`, `store`). Nothing here needs torch.
"""

from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.settings import fully_connected, plain, resnet, table1, transformer
from resnet_lib.runs.store import Records, committed_dir, local_dir
