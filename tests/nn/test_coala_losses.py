"""Losses of COALA against closed forms, and NumPy's numbers without autograd."""

import numpy as np
import pytest
import torch

from skaudio.nn import Coala, CoalaLoss, generalized_kl, nt_xent, paired_contrast

EPSILON = 1e-5


# ------------------------------------------------- the formulas once more, in NumPy


def cosine(a, b):
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def numpy_kl(y, r):
    total = 0.0
    for clip in range(y.shape[0]):
        for band in range(y.shape[1]):
            for t in range(y.shape[2]):
                v, w = y[clip, band, t], r[clip, band, t]
                total += v * (np.log(v + EPSILON) - np.log(w + EPSILON)) + w - v
    return total / (y.shape[0] * y.shape[1])


def numpy_nt_xent(a, b, tau):
    stacked = [*a, *b]
    n, losses = len(a), []
    for i, one in enumerate(stacked):
        kernel = [
            0.0 if j == i else np.exp(cosine(one, other) / tau)
            for j, other in enumerate(stacked)
        ]
        losses.append(-np.log(kernel[(i + n) % (2 * n)] / sum(kernel) + EPSILON))
    return float(np.mean(losses))


def numpy_paired(a, b, tau):
    loss = 0.0
    for i, one in enumerate(a):
        kernel = [np.exp(cosine(one, other) / tau) for other in b]
        loss -= np.log(kernel[i] / (sum(kernel) - kernel[i]))
    return loss


def numpy_entropy(logits, tags):
    p = 1 / (1 + np.exp(-logits))
    return -np.mean(tags * np.log(p) + (1 - tags) * np.log(1 - p))


def slopes(function, *arrays, step=1e-6):
    """Gradients by central differences."""
    found = []
    for array in arrays:
        gradient = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + step
            above = function(*arrays)
            array[index] = kept - step
            below = function(*arrays)
            array[index] = kept
            gradient[index] = (above - below) / (2 * step)
        found.append(gradient)
    return found


def check(function, reference, *arrays):
    """Value and gradients of a loss are those of a reference in NumPy."""
    tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]
    loss = function(*tensors)
    assert float(loss.detach()) == pytest.approx(reference(*arrays), rel=1e-9)
    gradients = torch.autograd.grad(loss, tensors)
    for gradient, slope in zip(gradients, slopes(reference, *arrays), strict=True):
        np.testing.assert_allclose(gradient.numpy(), slope, atol=1e-7, rtol=1e-5)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("tau", [0.1, 0.5])
def test_contrasts(rng, tau):
    a, b = rng.normal(size=(2, 4, 3))
    check(lambda x, y: nt_xent(x, y, tau), lambda x, y: numpy_nt_xent(x, y, tau), a, b)
    check(
        lambda x, y: paired_contrast(x, y, tau),
        lambda x, y: numpy_paired(x, y, tau),
        *(a, b),
    )


def test_reconstruction_of_patches(rng):
    y, r = rng.uniform(0.05, 0.95, size=(2, 2, 3, 4))
    check(lambda x: generalized_kl(torch.from_numpy(y), x), lambda x: numpy_kl(y, x), r)


def test_kl_is_zero_only_where_both_are_equal(rng):
    y, r = torch.from_numpy(rng.uniform(size=(2, 2, 96, 96)))
    assert generalized_kl(y, y) == 0
    assert generalized_kl(y, r) > 0


def test_kl_sums_over_frames_and_averages_over_the_rest():
    y, r = torch.full((3, 5, 7), 0.5), torch.full((3, 5, 7), 0.25)
    value = 0.5 * np.log(0.50001 / 0.25001) + 0.25 - 0.5
    assert float(generalized_kl(y, r)) == pytest.approx(7 * value, rel=1e-5)


def test_what_lies_below_the_range_of_training_counts_as_zero():
    y = torch.tensor([[[-0.5, 0.5]]])
    assert generalized_kl(y, y.clamp(min=0)) == 0


def test_reconstruction_of_tags(rng):
    logits = rng.normal(size=(3, 5))
    tags = rng.integers(0, 2, size=(3, 5)).astype(float)
    both = {k: torch.eye(3) for k in ("aligned", "aligned_tags")}

    def loss(x):
        targets = {"tags": torch.from_numpy(tags)}
        return CoalaLoss()(both | {"tag_logits": x}, targets)["tags"]

    check(loss, lambda x: numpy_entropy(x, tags), logits)


# -------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("n", [2, 3, 8])
@pytest.mark.parametrize("tau", [0.1, 0.3])
def test_orthonormal_pairs(n, tau):
    pairs = torch.eye(n, dtype=torch.float64)
    paper = n * (-1 / tau + np.log(n - 1))
    share = np.exp(1 / tau) / (np.exp(1 / tau) + 2 * (n - 1))
    assert float(paired_contrast(pairs, pairs, tau)) == pytest.approx(paper)
    assert float(nt_xent(pairs, pairs, tau)) == pytest.approx(-np.log(share + EPSILON))


def test_two_pairs():
    pairs = torch.eye(2)
    assert float(paired_contrast(pairs, pairs)) == pytest.approx(-20)
    assert float(nt_xent(pairs, pairs)) == pytest.approx(8.08e-5, abs=1e-7)


def test_only_directions_count(rng):
    a, b = torch.from_numpy(rng.normal(size=(2, 5, 3)))
    scales = torch.from_numpy(rng.uniform(0.1, 9, size=(5, 1)))
    for contrast in (nt_xent, paired_contrast):
        assert torch.allclose(contrast(scales * a, b), contrast(a, b))


def test_one_way_and_both_ways(rng):
    a, b = torch.from_numpy(rng.normal(size=(2, 5, 3)))
    assert torch.allclose(nt_xent(a, b), nt_xent(b, a))
    assert not torch.allclose(paired_contrast(a, b), paired_contrast(b, a))


@pytest.mark.parametrize("contrast", [nt_xent, paired_contrast])
def test_no_overflow_at_low_temperatures(contrast):
    pairs = torch.eye(4).requires_grad_()
    loss = contrast(pairs, pairs, 1e-3)
    (gradient,) = torch.autograd.grad(loss, [pairs])
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("contrast", [nt_xent, paired_contrast])
def test_one_pair_has_nothing_to_be_compared_with(contrast):
    assert float(contrast(torch.ones(1, 3), torch.eye(3)[:1])) == pytest.approx(
        0, abs=2e-5
    )


def test_dead_embeddings_give_no_nan():
    zeros = torch.zeros(4, 3, requires_grad=True)
    loss = nt_xent(zeros, torch.eye(4)[:, :3])
    (gradient,) = torch.autograd.grad(loss, [zeros])
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


# ------------------------------------------------------------------ the whole network


def outputs_of(**options):
    net = Coala({"mel": (96, 43.0)}, n_tags=6, width=0.05, **options).eval()
    tags = torch.eye(6)[:4]
    inputs = {"mel": torch.rand(4, 96, 96), "tags": tags}
    with torch.no_grad():
        return net(inputs), inputs


@pytest.mark.parametrize("contrastive", ["nt-xent", "paper"])
def test_terms_of_the_loss(contrastive):
    outputs, inputs = outputs_of()
    losses = CoalaLoss(contrastive, tau=0.2)(outputs, inputs)
    compare = {"nt-xent": nt_xent, "paper": paired_contrast}[contrastive]
    both = outputs["aligned"], outputs["aligned_tags"]
    assert losses["contrast"] == compare(*both, 0.2)
    assert losses["audio"] == generalized_kl(outputs["scaled"], outputs["patch"])
    assert list(losses) == ["audio", "tags", "contrast"]


def test_what_is_not_decoded_has_no_term():
    outputs, inputs = outputs_of(decodes_audio=False)
    assert list(CoalaLoss()(outputs, inputs)) == ["tags", "contrast"]
    outputs, inputs = outputs_of(decodes_audio=False, decodes_tags=False)
    assert list(CoalaLoss()(outputs, inputs)) == ["contrast"]
