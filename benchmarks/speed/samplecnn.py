"""Size and speed of SampleCNN: against a plain implementation, and by sampling rate.

    python benchmarks/speed/samplecnn.py [--rounds 5] [--device cpu] [--output ...]

The plain network is written the usual way, layer by layer as in Table 1 and as public
ports in PyTorch have it. It gets the weights of a fitted `SampleCNNClassifier`, and
both predict the same 8 segments in the same run, turn by turn: the classifier through
its public ``predict_proba``, data handling included. The share of the machine's matrix
rate is two operations per multiplication, against one large product of matrices.

Training times are those of one step on 8 segments at every rate of Table 3, relative to
22,050 Hz (Table 5), one after the other in every round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _machine import matrix_rate
from _provenance import provenance

from skaudio.neural_network import SampleCNNClassifier
from skaudio.nn import SampleCNN
from skaudio.nn.samplecnn import SIZES_BY_RATE

N_SEGMENTS = 8
N_TAGS = 50
PUBLISHED_RATIO = {
    **{2000: 0.23, 4000: 0.41, 8000: 0.55, 12000: 0.69},
    **{16000: 0.79, 20000: 0.86, 22050: 1.0},
}


class PlainSampleCNN(nn.Module):
    """Convolution, batch normalisation, ReLU, pooling, one module after the other."""

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        widths = [128, 128, 256, 256, 256, 256, 256, 512, 512]
        self.first = self._block(1, 128, 3, stride=3, padding=0, pool=False)
        blocks, n_in = [], 128
        for n_out in widths:
            blocks.append(self._block(n_in, n_out, 3, stride=1, padding=1, pool=True))
            n_in = n_out
        self.blocks = nn.Sequential(*blocks)
        self.top = self._block(n_in, 512, 1, stride=1, padding=0, pool=False)
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(512, n_outputs)

    @staticmethod
    def _block(
        n_in: int, n_out: int, kernel: int, *, stride: int, padding: int, pool: bool
    ) -> nn.Sequential:
        layers: list[nn.Module] = [
            nn.Conv1d(n_in, n_out, kernel, stride=stride, padding=padding),
            nn.BatchNorm1d(n_out),
            nn.ReLU(),
        ]
        return nn.Sequential(*layers, *([nn.MaxPool1d(3)] if pool else []))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.top(self.blocks(self.first(x)))
        return self.output(self.dropout(x.squeeze(-1)))


def with_weights_of(network: SampleCNN) -> PlainSampleCNN:
    """Return the plain network with the weights of ours."""
    plain = PlainSampleCNN(network.output.out_features)
    for ours, theirs in zip(
        network.blocks, [plain.first, *plain.blocks, plain.top], strict=True
    ):
        theirs[0].load_state_dict(ours.conv.state_dict())
        theirs[1].load_state_dict(ours.norm.state_dict())
    plain.output.load_state_dict(network.output.state_dict())
    return plain.eval()


def multiplications(network: SampleCNN) -> int:
    """Multiplications of the convolutions and of the output for one segment."""
    steps, total = network.n_samples, network.output.weight.numel()
    for block in network.blocks:
        steps //= block.conv.stride[0]
        total += steps * block.conv.weight.numel()
        steps //= block.pool.kernel_size if hasattr(block, "pool") else 1
    return total


def seconds(function: Callable[[], Any], device: str) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


def sizes() -> list[dict[str, Any]]:
    """Return parameters and multiplications of the networks of Table 3."""
    rows = []
    for sr, numbers in SIZES_BY_RATE.items():
        network = SampleCNN(N_TAGS, sizes=numbers)
        total = sum(p.numel() for p in network.parameters())
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d)]
        of_norms = sum(p.numel() for m in norms for p in m.parameters())
        rows.append(
            {
                "sr": sr,
                "sizes": "".join(map(str, numbers)),
                "samples": network.n_samples,
                "parameters": total - of_norms,
                "with_batch_norm": total,
                "multiplications": multiplications(network),
                "published_time": PUBLISHED_RATIO[sr],
            }
        )
    return rows


def training_step(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """Forward, backward and update."""
    loss = nn.functional.binary_cross_entropy_with_logits(network(x), y)
    loss.backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= 0.01 * parameter.grad
            parameter.grad = None


def step_of(network: nn.Module, n_samples: int, device: str) -> Callable[[], None]:
    x = torch.randn(N_SEGMENTS, 1, n_samples, device=device)
    y = (torch.rand(N_SEGMENTS, N_TAGS, device=device) < 0.1).float()
    network = network.to(device).train()
    return lambda: training_step(network, x, y)


def fitted(device: str) -> tuple[SampleCNNClassifier, np.ndarray]:
    """Return a classifier of the full width, and segments."""
    rng = np.random.default_rng(0)
    X = 0.1 * rng.standard_normal((N_SEGMENTS, 59049)).astype(np.float32)
    y = (rng.random((N_SEGMENTS, N_TAGS)) < 0.3).astype(int)
    clf = SampleCNNClassifier(
        max_epochs=1,
        lr_schedule="constant",
        validation_fraction=None,
        device=device,
        random_state=0,
    )
    return clf.fit(X, y), X


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).resolve().parents[1]
        / "results"
        / "samplecnn_speed.json",
    )
    args = parser.parse_args()
    source = provenance(0)
    torch.manual_seed(0)
    clf, X = fitted(args.device)
    plain = with_weights_of(clf.net_.module_.network).to(args.device)
    x = torch.from_numpy(X)[:, None].to(args.device)
    with torch.inference_mode():
        difference = np.abs(clf.predict_proba(X) - plain(x).sigmoid().cpu().numpy())
    steps = {
        sr: step_of(
            SampleCNN(N_TAGS, sizes=numbers), int(np.prod(numbers)), args.device
        )
        for sr, numbers in SIZES_BY_RATE.items()
    }
    plain_step = step_of(PlainSampleCNN(N_TAGS), 59049, args.device)
    rounds: list[dict[str, Any]] = []
    for turn in range(args.rounds + 1):
        with torch.inference_mode():
            row: dict[str, Any] = {
                "plain": seconds(lambda: plain(x).sigmoid().cpu(), args.device),
                "ours": seconds(lambda: clf.predict_proba(X), args.device),
            }
        row["plain_step"] = seconds(plain_step, args.device)
        row["steps"] = {sr: seconds(step, args.device) for sr, step in steps.items()}
        if turn:  # the first round warms up
            rounds.append(row)
    rate = matrix_rate(args.device)

    def median(key: str) -> float:
        return statistics.median(row[key] for row in rounds)

    table = sizes()
    for row in table:
        times = [r["steps"][row["sr"]] for r in rounds]
        ratios = [r["steps"][row["sr"]] / r["steps"][22050] for r in rounds]
        row["step_seconds"] = statistics.median(times)
        row["step_ratio"] = statistics.median(ratios)
    operations = 2 * N_SEGMENTS * table[-1]["multiplications"]
    report = {
        "provenance": source,
        "settings": {
            "rounds": args.rounds,
            "device": args.device,
            "segments": N_SEGMENTS,
            "threads": torch.get_num_threads(),
        },
        "matrix_rate": rate,
        "inference": {
            "plain_seconds": median("plain"),
            "seconds": median("ours"),
            "speedup": statistics.median(r["plain"] / r["ours"] for r in rounds),
            "all_speedups": [r["plain"] / r["ours"] for r in rounds],
            "share_of_matrix_rate": operations / median("ours") / rate,
            "largest_difference": float(difference.max()),
        },
        "training": {
            "plain_step_seconds": median("plain_step"),
            "speedup": statistics.median(
                r["plain_step"] / r["steps"][22050] for r in rounds
            ),
        },
        "rates": table,
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(report, indent=1) + "\n")
    sys.stdout.write(json.dumps({k: report[k] for k in ("inference", "training")}))
    for row in table:
        sys.stdout.write(
            f"\n{row['sr']:6d} {row['sizes']} {row['with_batch_norm']:8d} "
            f"{row['multiplications'] / 1e6:7.0f} M  {row['step_ratio']:.2f} "
            f"(paper {row['published_time']:.2f})"
        )
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
