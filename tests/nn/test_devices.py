"""Devices: which there are, and what happens where they are not."""

import os

import pytest
import torch

from skaudio.nn.devices import (
    available_device,
    by_batches,
    is_available,
    resolve_device,
)

MISSING = [
    name
    for name in ("cuda", "cuda:1", "cuda:99", "mps", "xpu", "hpu", "vulkan", "meta")
    if not is_available(name)
]


@pytest.mark.parametrize("device", MISSING)
def test_a_model_of_a_missing_device_predicts_on_the_cpu(device):
    assert available_device(device) == "cpu"
    with pytest.raises(ValueError, match=f"{device!r}.*does not find"):
        resolve_device(device)


@pytest.mark.parametrize("device", ["gpu", "GPU", "", "cuda:one"])
def test_what_is_no_device_is_refused(device):
    for choose in (available_device, resolve_device):
        with pytest.raises(ValueError, match="is not a device of torch"):
            choose(device)


def test_automatic():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert resolve_device("auto") == available_device("auto") == expected
    assert resolve_device("cpu") == available_device("cpu") == "cpu"


def test_tests_compute_on_a_cpu_unless_they_are_for_a_gpu():
    assert (resolve_device("auto"), os.environ["CUDA_VISIBLE_DEVICES"]) == ("cpu", "")


def test_batches_are_computed_in_the_type_of_the_tensors():
    x = torch.ones(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
        (inside,) = by_batches(
            lambda batch: x @ x, [0], batch_size=1, device="cpu", what="clips"
        )
    assert inside.dtype == torch.float32
