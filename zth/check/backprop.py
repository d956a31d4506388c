"""The checkers of lecture 5, each from a module of its own."""

from zth.check import Wrong
from zth.check.backprop_attention import attention
from zth.check.backprop_batch_norm import batch_norm
from zth.check.backprop_cross_entropy import cross_entropy
from zth.check.backprop_lines import lines
from zth.check.backprop_training import training

__all__ = ["Wrong", "attention", "batch_norm", "cross_entropy", "lines",
           "training"]
