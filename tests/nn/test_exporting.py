"""Networks and front ends as other runtimes get them."""

import inspect

import numpy as np
import pytest
import torch

from skaudio import views
from skaudio.nn import (
    ConstantQ,
    CRNNTagger,
    FCNTagger,
    FrameLevelCNN,
    MusiCNN,
    SampleCNN,
    SpectrogramCNN,
)
from skaudio.nn.exporting import exportable
from skaudio.views._base import BaseView

SR = 8000
NETWORKS = {
    "SampleCNN": (lambda: SampleCNN(3, sizes=(2, 2, 2), width=0.03), (1, 8)),
    "FrameLevelCNN": (lambda: FrameLevelCNN(5, 3, n_modules=2, width=0.03), (5, 9)),
    "SpectrogramCNN": (lambda: SpectrogramCNN(8, 8, 3, width=0.05), (8, 8)),
    "FCNTagger": (lambda: FCNTagger(3, width=0.05), (1, 2048)),
    "CRNNTagger": (lambda: CRNNTagger(3, width=0.05, n_hidden=2), (1, 2048)),
    "MusiCNN": (lambda: MusiCNN(3, n_high=2, n_long=1, n_middle=2), (1, 2048)),
}
# what changes how samples are taken, on top of the defaults
FRAMES = [
    {},
    {"pad_mode": "reflect", "preemphasis": 0.97},
    {"center": "start", "pad_mode": "edge"},
    {"center": False},
    {"window": "boxcar"},
]
VIEWS = [
    (cls, options)
    for _, cls in sorted(inspect.getmembers(views, inspect.isclass))
    if issubclass(cls, BaseView) and cls is not views.RawView
    for options in FRAMES
    if options.keys() <= inspect.signature(cls).parameters.keys()
]


@pytest.mark.filterwarnings("ignore")  # the older of both exporters is deprecated
@pytest.mark.parametrize("name", NETWORKS)
def test_batches_of_any_size_keep_their_rows(name):
    make, shape = NETWORKS[name]
    torch_rng = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = make().eval()
    rows = torch.randn(3, *shape, generator=torch_rng)
    batch = torch.export.Dim("batch")
    with torch.no_grad():
        program = torch.export.export(
            network, (rows[:2],), dynamic_shapes=({0: batch},), strict=False
        )
        traced = torch.jit.trace(network, rows[:2], check_trace=False)
        wanted = torch.cat([network(row[None]) for row in rows])
        assert wanted.std() > 0
        for exported in (program.module(), traced):
            assert exported(rows).shape == (3, 3)
            torch.testing.assert_close(exported(rows), wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("cls", "options"), VIEWS)
def test_front_ends_for_export_compute_the_same(cls, options):
    bins = {"n_bins": 60} if cls is views.CQTView else {}
    view = cls(**{"sr": SR, **options, **bins})
    front_end = view._front_end("float32", "cpu")
    exported = exportable(torch.nn.Sequential(front_end))[0]
    assert front_end is not exported
    rng = np.random.default_rng(0)
    for n_samples in (view._shortest, view._shortest + 1, 700, 9001):
        decay = np.exp(-np.arange(max(n_samples, view._shortest)) / 900)
        waves = rng.standard_normal((2, len(decay))) * decay
        x = torch.from_numpy(waves.astype(np.float32))
        with torch.no_grad():
            found, wanted = exported(x), front_end(x)
        assert found.shape == wanted.shape
        # decibels more than 60 below the top are mostly rounding errors
        torch.testing.assert_close(found, wanted, atol=5e-3, rtol=1e-4)


def test_constant_q_does_not_depend_on_what_comes_later():
    rng = np.random.default_rng(0)
    t = np.arange(2 * 22050) / 22050
    tones = [np.sin(2 * np.pi * f * t) * np.exp(-5 * (t % 0.5)) for f in (110, 220)]
    clip = np.sum(tones, axis=0) + 1e-3 * rng.standard_normal(len(t))
    front_end = ConstantQ(sr=22050, hop_length=512, top_db=None, dtype=torch.float64)
    short = front_end(torch.from_numpy(clip)[None])[0]
    for seconds in (3, 7, 20):
        silence = np.zeros(seconds * 22050)
        longer = front_end(torch.from_numpy(np.append(clip, silence))[None])[0]
        n_frames = short.shape[1]
        torch.testing.assert_close(
            longer[:, :n_frames], short, atol=1e-4, rtol=0
        )  # dB; with blocks of other sizes 0.26
