"""The checkers of lecture 7, each from a module of its own."""

from zth.check import Wrong
from zth.check.gpt_addition import addition
from zth.check.gpt_heads import heads
from zth.check.gpt_modern import modern
from zth.check.gpt_pretraining import pretraining

__all__ = ["Wrong", "addition", "heads", "modern", "pretraining"]
