"""Networks as users write them, of torch alone."""

from __future__ import annotations

import torch
from torch import nn


class LinearNet(nn.Module):
    """Mean over time, torch's dropout, one hidden layer."""

    hidden_layers = ("hidden",)
    output_layers = ("output",)

    def __init__(self, n_bins, n_outputs, width=16, dropout=0.0):
        super().__init__()
        self.hidden = nn.Linear(n_bins, width)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, n_outputs)

    def forward(self, x):
        return self.output(self.dropout(self.hidden(x.mean(2)).relu()))


class PreActivated(nn.Module):
    """Convolutions whose normalisation is called ``norm`` and comes before ``conv``."""

    def __init__(self, n_bins, n_outputs, n_steps, rate, filters=4):
        super().__init__()
        self.shape = n_bins, n_steps, rate
        self.norm = nn.BatchNorm2d(1)
        self.conv = nn.Conv2d(1, filters, 3, padding=1)
        self.gru = nn.GRU(filters * n_bins, 3, num_layers=2, dropout=0.3)
        self.output = nn.Linear(3 * n_steps, n_outputs)

    def forward(self, x):
        maps = self.conv(self.norm(x[:, None])).relu()
        flat = maps.view(len(x), -1, x.shape[2])  # needs the usual memory layout
        values, _ = self.gru(flat.permute(2, 0, 1))
        return self.output(values.permute(1, 2, 0).flatten(1))


class TwoViews(nn.Module):
    """Means of every view, side by side."""

    def __init__(self, views, n_outputs):
        super().__init__()
        self.sizes = views
        n_features = sum(of_view["n_bins"] for of_view in views.values())
        self.output = nn.Linear(n_features, n_outputs)

    def forward(self, x):
        return self.output(torch.cat([view.mean(2) for view in x.values()], 1))
