"""torchvision, importable beside a torch for which its compiled operators were not built.

torchvision's published wheel links against the CUDA build of torch. Beside a CPU-only torch its operator library
cannot load, and `import torchvision` then fails with "operator torchvision::nms does not exist", because two Python
modules register shape functions for operators that nobody has declared. Declaring the two schemas first lets the
import finish; data sets, models and transforms work, and only box operators and quantised ones (unused here) do not.
Where the real operators load, nothing is declared.

    from resnet_lib.data.torchvision_compat import torchvision
"""

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

try:
    import torchvision
except RuntimeError as error:
    if "operator torchvision::" not in str(error):
        raise
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]  # the failed import leaves half-made modules behind
    # Kept alive at module level: a library that is garbage-collected takes its schemas with it.
    declared = torch.library.Library("torchvision", "FRAGMENT")
    for schema in SCHEMAS:
        declared.define(schema)
    import torchvision

__all__ = ["torchvision"]
