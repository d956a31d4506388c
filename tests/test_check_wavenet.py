"""zth.check.wavenet; oracle: answers planted right and wrong, each named."""

import numpy as np
import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from answers import passes, refuses

from zth.check import wavenet as check
from zth.layers import BatchNorm1d, Linear
from zth.wavenet import convolution


def starter(*args):
    raise NotImplementedError


def returns_nothing(*args):
    pass


@pytest.mark.parametrize("unwritten", [starter, returns_nothing])
@pytest.mark.parametrize("name", ["axes", "convolution"])
def test_the_starter_is_not_written_yet(name, unwritten):
    said = refuses(getattr(check, name), unwritten)
    assert f"{name}: not written yet" in said


# axes ---------------------------------------------------------------------


class Norm:
    """The exercise's layer, each part of it to be done otherwise."""

    def __init__(self, dim, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = torch.ones(dim), torch.zeros(dim)
        self.running_mean, self.running_var = torch.zeros(dim), torch.ones(dim)

    axes = staticmethod(lambda x: tuple(range(x.ndim - 1)))
    divided, stored, keepdim = 1, 1, False

    def statistics(self, x):
        axes = self.axes(x)
        return (x.mean(axes, keepdim=self.keepdim),
                x.var(axes, correction=self.divided, keepdim=self.keepdim))

    def move(self, x, mean, var):
        axes, m = self.axes(x), self.momentum
        var = x.var(axes, correction=self.stored, keepdim=self.keepdim)
        self.running_mean = (1 - m) * self.running_mean + m * mean
        self.running_var = (1 - m) * self.running_var + m * var

    def result(self, x, mean, var):
        return self.gamma * (x - mean) / torch.sqrt(var + self.eps) + self.beta

    def __call__(self, x):
        if not self.training:
            return self.result(x, self.running_mean, self.running_var)
        mean, var = self.statistics(x)
        with torch.no_grad():
            self.move(x, mean, var)
        return self.result(x, mean, var)


class Unwritten(Norm):
    def __call__(self, x):
        raise NotImplementedError


def with_(axes=Norm.axes, **parts):
    return type("Other", (Norm,), {"axes": staticmethod(axes), **parts})


class Unrolled(Norm):
    """Flattened first, as a matrix."""

    def __call__(self, x):
        return super().__call__(x.reshape(-1, x.shape[-1])).view(x.shape)


class Torchs(nn.Module):
    """torch's own, with the channels turned to where it wants them."""

    def __init__(self, dim):
        super().__init__()
        self.norm = nn.BatchNorm1d(dim)
        self.gamma, self.beta = self.norm.weight, self.norm.bias

    running_mean = property(lambda self: self.norm.running_mean)
    running_var = property(lambda self: self.norm.running_var)

    def forward(self, x):
        if x.ndim == 2:
            return self.norm(x)
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


@pytest.mark.parametrize("norm", [
    Norm, with_(keepdim=True), with_(divided=0), BatchNorm1d, Torchs,
    Unrolled, lambda dim: Norm(dim)])
def test_axes_accepts(capsys, norm):
    passes(capsys, check.axes, norm)


def test_a_class_with_an_unwritten_call_is_not_written_yet():
    assert "axes: not written yet" in refuses(check.axes, Unwritten)


def moved(mean, var):
    """A layer whose running statistics move to these, of (old, batch's)."""
    def move(self, x, batch_mean, batch_var):
        unbiased = x.var(self.axes(x), correction=1)
        self.running_mean = mean(self.running_mean, batch_mean.detach())
        self.running_var = var(self.running_var, unbiased)

    return with_(move=move)


def mix(old, new, m=0.1):
    return (1 - m) * old + m * new


def eval_with(call):
    def __call__(self, x):
        return Norm.__call__(self, x) if self.training else call(self, x)

    return with_(__call__=__call__)


def batch_in_eval(self, x):
    if x.numel() == x.shape[-1]:  # a single example has no variance
        return Norm.__call__(self, x)
    return self.result(x, *self.statistics(x))


def moves_in_eval(self, x):
    if x.numel() > x.shape[-1]:
        self.move(x, *self.statistics(x))
    return Norm.__call__(self, x)


def graph(self, x):
    if not self.training:
        return self.result(x, self.running_mean, self.running_var)
    mean, var = self.statistics(x)
    self.move(x, mean, var)
    return self.result(x, mean, var)


def detached(self, x):
    if not self.training:
        return self.result(x, self.running_mean, self.running_var)
    mean, var = self.statistics(x.detach())
    self.move(x.detach(), mean, var)
    return self.result(x, mean, var)


def no_grad(self, x):
    with torch.no_grad():
        return Norm.__call__(self, x)


def of_running(self, x):
    y = self.result(x, self.running_mean, self.running_var)
    Norm.__call__(self, x)
    return y


def two_axes_only(self, x):
    B, C = x.shape
    return Norm.__call__(self, x)


def without_names(dim):
    layer = Norm(dim)
    layer.scale = layer.gamma
    del layer.gamma
    return layer


AXES_WRONG = [
    (with_(axes=lambda x: (0,), keepdim=True),
     "You average over the examples alone"),
    (with_(axes=lambda x: (0,)), "You average over the examples alone"),
    (with_(axes=lambda x: tuple(range(x.ndim))),
     "One mean for all the numbers"),
    (with_(axes=lambda x: (0, 1)), "In x (B, C) that is axis 0 alone"),
    (with_(axes=lambda x: (-1,), keepdim=True), "which is layer norm"),
    (with_(axes=lambda x: (x.ndim - 2,), keepdim=True),
     "over the positions, one example at a time"),
    (with_(axes=lambda x: (0, 2) if x.ndim == 3 else (0,), keepdim=True),
     "as torch does with (N, C, L)"),
    (with_(__call__=of_running), "In training mode you used the running"),
    (with_(result=lambda self, x, mean, var: self.gamma * (x - mean)
           / (var + self.eps) + self.beta), "The square root is missing"),
    (with_(result=lambda self, x, mean, var: self.gamma * (x - mean)
           / var.sqrt() + self.beta), "The epsilon is missing"),
    (with_(result=lambda self, x, mean, var: (x - mean)
           / (var + self.eps).sqrt()), "gamma or beta is missing"),
    (moved(lambda a, b: a, lambda a, b: a), "It did not move"),
    (moved(lambda a, b: mix(a, b, 0.9), lambda a, b: mix(a, b, 0.9)),
     "The momentum is the wrong way round"),
    (moved(mix, lambda a, b: mix(a, b, 0.9)),
     "The momentum is the wrong way round"),
    (moved(lambda a, b: b, lambda a, b: b), "It is the last batch's alone"),
    (with_(stored=0), "You store the biased variance"),
    (moved(mix, lambda a, b: mix(a, b.sqrt())),
     "You store a standard deviation"),
    (eval_with(batch_in_eval), "you still use the batch's statistics"),
    (eval_with(moves_in_eval), "move outside training mode"),
    (eval_with(lambda self, x: (x - self.running_mean) / torch.sqrt(
        self.running_var + self.eps)), "missing outside training mode"),
    (with_(__call__=graph), "is part of the graph"),
    (with_(__call__=detached), "the result is right, its gradient is not"),
    (with_(__call__=no_grad), "the result has no gradient in x"),
    (with_(__call__=two_axes_only), "your code raised ValueError: too many"),
    (without_names, "the layer keeps its gamma under that name"),
    (moved(lambda a, b: mix(a, b).expand(4, -1), mix),
     "a number for each position and channel"),
    (moved(lambda a, b: mix(a, b).mean(), mix),
     "one number for all channels"),
]


@pytest.mark.parametrize("norm, why", AXES_WRONG,
                         ids=[why for _, why in AXES_WRONG])
def test_axes_names(norm, why):
    assert why in refuses(check.axes, norm)


def test_axes_shows_the_case():
    said = refuses(check.axes, with_(axes=lambda x: (0,), keepdim=True))
    assert "x of shape (4, 3, 5), training, batch 1" in said


# convolution --------------------------------------------------------------


def everywhere(model, idx, *, pad=None, dilations=None, taps=None, turn=None,
               fill=None, each=False, norm=None, tail=None):
    """The exercise's answer, each part of it to be done otherwise."""
    embedding, *layers, last = model.layers
    levels = sum(isinstance(layer, Linear) for layer in layers)
    ds = dilations(levels) if dilations else [2**i for i in range(levels)]
    left, right = pad(sum(ds)) if pad else (sum(ds), 0)
    if fill is None and not each:
        idx = F.pad(idx, (left, right))
    x = embedding(idx)
    x = turn(x) if turn else x.transpose(1, 2)
    if fill == "zeros":
        x = F.pad(x, (left, right))
    ds = iter(ds)
    for layer in layers:
        if isinstance(layer, Linear):
            W, d = layer.weight, next(ds)
            W = taps(W) if taps else W.view(2, -1, W.shape[1]).permute(2, 1, 0)
            if each:
                x = F.conv1d(x, W, dilation=d, padding=d)[..., :-d]
            else:
                x = F.conv1d(x, W, dilation=d)
        elif isinstance(layer, BatchNorm1d):
            x = norm(x, layer) if norm else F.batch_norm(
                x, layer.running_mean, layer.running_var, layer.gamma,
                layer.beta, eps=layer.eps)
        elif type(layer).__name__ == "Tanh":
            x = x.tanh()
    logits = last(x.transpose(1, 2))
    return tail(logits) if tail else logits


def size_of(model):
    return 2 ** (sum(isinstance(x, Linear) for x in model.layers) - 1)


def by_windows(model, idx):
    size = size_of(model)
    windows = F.pad(idx, (size - 1, 0)).unfold(1, size, 1)
    return model(windows.reshape(-1, size)).view(*idx.shape, -1)


def with_the_package(model, idx):
    return convolution(model)(F.pad(idx, (size_of(model) - 1, 0)))


def with_modules(model, idx):
    """torch.nn's layers, filled from the tree."""
    layers, d = [], 1
    for layer in model.layers[1:]:
        if isinstance(layer, Linear):
            last = layer.bias is not None
            C, H = layer.weight.shape
            conv = nn.Conv1d(C if last else C // 2, H, 1 if last else 2,
                             dilation=1 if last else d, bias=last).double()
            W = layer.weight.T
            conv.weight.data = W[..., None] if last else torch.stack(
                [W[:, :C // 2], W[:, C // 2:]], -1)
            if last:
                conv.bias.data = layer.bias
            layers.append(conv)
            d *= 1 if last else 2
        elif isinstance(layer, BatchNorm1d):
            norm = nn.BatchNorm1d(len(layer.gamma)).double()
            norm.weight.data, norm.bias.data = layer.gamma, layer.beta
            norm.running_mean, norm.running_var = layer.buffers()
            layers.append(norm)
        elif type(layer).__name__ == "Tanh":
            layers.append(nn.Tanh())
    net = nn.Sequential(*layers).eval()
    x = model.layers[0](F.pad(idx, (d - 1, 0)))
    return net(x.transpose(1, 2)).transpose(1, 2)


def in_numpy_shape(model, idx):
    return everywhere(model, idx).detach().numpy().astype(np.float64)


@pytest.mark.parametrize("answer", [
    everywhere, by_windows, with_the_package, with_modules, in_numpy_shape,
    lambda model, idx: everywhere(model, idx).flatten(0, 1),
    lambda model, idx: everywhere(model, idx).tolist()])
def test_convolution_accepts(capsys, answer):
    passes(capsys, check.convolution, answer)


def other(**parts):
    return lambda model, idx: everywhere(model, idx, **parts)


def batch_norm(x, layer):
    return F.batch_norm(x, None, None, layer.gamma, layer.beta, training=True,
                        eps=layer.eps)


def in_training(model, idx):
    return with_the_package(model.train(), idx)


def touched(model, idx):
    for b in model.buffers():
        b.mul_(1 + 1e-9)
    return by_windows(model.eval(), idx)


def late(model, idx):
    return everywhere(model, F.pad(idx, (1, -1)))


def ahead(model, idx):
    """The row of the next position, the text's own last '.' included."""
    return everywhere(model, F.pad(idx, (0, 1)))[:, 1:]


def as_they_lie(model, idx):
    """conv1d takes (N, L, C) for (N, C, L)."""
    return F.conv1d(model.layers[0](idx), model.layers[2].weight[..., None])


CONVOLUTION_WRONG = [
    (other(pad=lambda n: (0, n)), "The padding is on the right"),
    (other(pad=lambda n: (n // 2, n - n // 2)),
     "The padding is on both sides"),
    (other(pad=lambda n: (n - n // 2, n // 2)),
     "The padding is on both sides"),
    (other(fill="zeros"), "You padded with zeros after the embedding"),
    (other(each=True), "You padded each level with zeros"),
    (other(taps=lambda W: W.view(2, -1, W.shape[1]).permute(2, 1, 0).flip(2)),
     "The two taps are swapped"),
    (other(dilations=lambda n: [2**i for i in range(n)][::-1]),
     "The dilations come in reverse"),
    (other(dilations=lambda n: [1] * n), "Every level has dilation 1"),
    (lambda model, idx: everywhere(
        model, F.pad(idx, (size_of(model) - 1, 0)), pad=lambda n: (0, 0),
        dilations=lambda n: [1] * n)[:, -idx.shape[1]:],
     "Every level has dilation 1"),
    (other(dilations=lambda n: [2**(i + 1) for i in range(n)]),
     "The dilations start at 2"),
    (late, "and you left that one out"),
    (ahead, "and yours reads the one after it as well"),
    (other(taps=lambda W: W.T.reshape(W.shape[1], -1, 2)),
     "The weight was cut up across its channels"),
    (other(taps=lambda W: W.reshape(W.shape[1], -1, 2)),
     "The weight was cut up across its channels"),
    (other(tail=lambda x: x.transpose(1, 2)),
     "has the channels in the middle, (N, C, L)"),
    (other(turn=lambda x: x.reshape(len(x), x.shape[2], x.shape[1])),
     "view or reshape made (N, C, L) of (N, L, C)"),
    (other(norm=batch_norm), "Batch norm used the batch's statistics"),
    (other(norm=lambda x, layer: x), "The batch norm layers were left out"),
    (in_training, "Batch norm used the batch's statistics"),
    (touched, "the running statistics have moved"),
    (other(pad=lambda n: (0, 0)), "rows that lack a whole context"),
    (other(tail=lambda x: x[:, -1]), "that is one row a text"),
    (as_they_lie, "batch_norm want the channels in the middle"),
    (other(tail=lambda x: x @ x), "your code raised RuntimeError"),
    (lambda model, idx: model.layers[0](idx), "expected shape (2, 12, 27)"),
]


@pytest.mark.parametrize("answer, why", CONVOLUTION_WRONG,
                         ids=[why for _, why in CONVOLUTION_WRONG])
def test_convolution_names(answer, why):
    assert why in refuses(check.convolution, answer)


def test_transposed_logits_are_found_where_the_shape_does_not_tell():
    def answer(model, idx):
        logits = everywhere(model, idx)
        return logits.transpose(1, 2) if idx.shape[1] == 27 else logits

    said = refuses(check.convolution, answer)
    assert "ids of shape (3, 27)" in said and "channels in the middle" in said
