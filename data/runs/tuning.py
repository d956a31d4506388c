"""The lecture's net of 11,897 weights, its recipe changed one thing at a time.

Validation loss against CPU seconds of training; evaluation is not counted.
"""

import time

import torch
import torch.nn.functional as F

from zth.data import distinct_contexts, load_names, split, windows
from zth.train import cosine, decay_groups, evaluate, sampler, train

RECIPES = {
    # name: (start, optimizer, batch, weight decay, rates, steps); the first
    # rate with three seeds, the others with one
    "exact": ("scaled", "AdamW", "all", 0.1, [0.06, 0.03], 500),
    "decay": ("scaled", "AdamW", "contexts", 0.1, [0.02, 0.01, 0.04], 2_500),
    "contexts": ("scaled", "AdamW", "contexts", 0.0, [0.02, 0.01, 0.04],
                 2_500),
    "start": ("scaled", "AdamW", 512, 0.0, [0.01, 0.005, 0.02], 2_500),
    "AdamW": ("lecture", "AdamW", 512, 0.0, [0.02, 0.01, 0.04], 2_500),
    "batch": ("lecture", "SGD", 512, 0.0, [0.5, 0.25, 1.0], 2_500),
    "cosine": ("lecture", "SGD", 32, 0.0, [0.2, 0.1, 0.4], 25_000),
    "lecture": ("lecture", "SGD", 32, 0.0, [0.1], 200_000),
}
CASES = [{"recipe": "exact", "rate": 0.06, "seed": 1, "dtype": "float64",
          "steps": 20}] + [
    {"recipe": name, "rate": rate, "seed": seed, "dtype": "float32",
     "steps": RECIPES[name][5]}
    for name in RECIPES for i, rate in enumerate(RECIPES[name][4])
    for seed in ((1, 2, 3) if i == 0 and name != "lecture" else (1,))]
