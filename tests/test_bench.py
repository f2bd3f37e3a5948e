"""What a benchmark computes, and how it is stored; `test_cli` runs one."""

from pathlib import Path

import pytest
from samples import BENCHMARK

from resnet_lib.errors import UserError
from resnet_lib.speed import bench


def test_a_malformed_benchmark_is_told(tmp_path: Path) -> None:
    path = bench.save(BENCHMARK, tmp_path)
    assert bench.committed(tmp_path) == [BENCHMARK]
    path.write_text(path.read_text().replace('"percent": 12.5', '"percent": 112.5'))
    with pytest.raises(UserError, match=r"a-processor-2-threads.json: shares.0.percent: .*less than or equal to 100"):
        bench.committed(tmp_path)


def test_the_limits_follow_from_the_net() -> None:
    """By hand for ResNet-20: seven layers put out 16 maps of 32x32, six 32 of 16x16, six 64 of 8x8."""
    values = 7 * 16 * 32**2 + 6 * 32 * 16**2 + 6 * 64 * 8**2
    found = bench.limit(20, bytes_per_second=1e9, multiply_adds_per_second=1e12, bytes_per_value=2)
    assert found.by_memory == pytest.approx(1e9 / (12 * 2 * values))
    assert found.by_arithmetic == pytest.approx(1e12 / (3 * 40.55e6), rel=0.01)


@pytest.mark.parametrize(
    ("operation", "part"),
    {
        "aten::convolution_backward": "convolutions, backward",
        "aten::mkldnn_convolution": "convolutions, forward",
        "## Call CompiledFxGraph fhfst3lk ##": "batch norm, ReLU and additions, fused",
        "resnet_lib::normalise_backward": "batch norm, ReLU and additions, fused",
        "aten::native_batch_norm_backward": "batch norm",
        "aten::threshold_backward": "ReLU and additions",
        "aten::add_": "ReLU and additions",
        "aten::_fused_sgd_": "optimiser",
        "aten::index": "choosing and cropping images",
        "aten::addmm": "everything else",
    }.items(),
)
def test_parts_of_a_step(operation: str, part: str) -> None:
    assert bench.part_of(operation) == part


def test_a_stored_benchmark_has_no_part_that_the_table_does_not_know() -> None:
    for stored in bench.committed():
        assert {share.part for share in stored.shares} <= {*bench.PARTS, bench.ELSE}
