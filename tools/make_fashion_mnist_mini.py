"""Cuts `fashion-mnist-mini` from the four IDX files of Fashion-MNIST.

    python tools/make_fashion_mnist_mini.py FOLDER

FOLDER holds `train-images-idx3-ubyte.gz` and its three companions; Debian's package `dataset-fashion-mnist` installs
them in /usr/share/datasets/fashion-mnist. The first 600 training and 200 test images of each class are kept, in the
order of the original files.
"""

import gzip
import struct
import sys
from pathlib import Path

import numpy as np

TARGET = Path(__file__).resolve().parent.parent / "resnet_lib" / "datasets" / "fashion-mnist-mini.npz"


def read_idx(path: Path) -> np.ndarray:
    """An IDX file: two zero bytes, a type byte (8: uint8), the number of dimensions, the dimensions, the values."""
    with gzip.open(path) as file:
        _, kind, num_dims = struct.unpack(">HBB", file.read(4))
        assert kind == 8, f"{path} does not hold uint8 values"
        shape = struct.unpack(f">{num_dims}I", file.read(4 * num_dims))
        return np.frombuffer(file.read(), dtype=np.uint8).reshape(shape)


def main(folder: Path) -> None:
    """Writes the archive into the package."""
    arrays = {}
    for split, prefix, per_class in (("train", "train", 600), ("test", "t10k", 200)):
        images = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
        kept = np.sort(np.concatenate([np.flatnonzero(labels == c)[:per_class] for c in range(10)]))
        arrays[f"x_{split}"] = images[kept][..., None]
        arrays[f"y_{split}"] = labels[kept]
    np.savez_compressed(TARGET, **arrays)
    print(f"{TARGET}: {TARGET.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
