"""N-gram models: predict a character from the n - 1 before it, by counting.

Shapes: N examples, T characters of context, V symbols in the vocabulary.
Every model takes contexts ``idx`` (N, T) of at least n - 1 characters and
looks at the last n - 1; probabilities are float64.
"""

import torch


class CountTable:
    """How often each of V targets followed each context that occurred.

    contexts, targets: (N,) int64, each context written as one number.
    """

    def __init__(self, contexts, targets, vocab_size):
        self.contexts, row = contexts.unique(return_inverse=True)  # sorted
        size = (len(self.contexts) + 1) * vocab_size  # a last row of zeros
        counts = torch.bincount(row * vocab_size + targets, minlength=size)
        self.counts = counts.view(-1, vocab_size).double()

    def __getitem__(self, contexts):
        """Counts (N, V) after each context; zeros where it never occurred."""
        row = torch.searchsorted(self.contexts, contexts)
        row = row.clamp(max=len(self.contexts) - 1)
        seen = self.contexts[row] == contexts
        return self.counts[torch.where(seen, row, len(self.contexts))]


class CountModel:
    """What the counting models share: contexts as numbers, loss, sampling."""

    def __init__(self, n, *, vocab_size=27):
        if n < 1 or vocab_size**n >= 2**63:
            raise ValueError(
                f"n = {n}: must be at least 1, and vocab_size ** n below "
                f"2 ** 63 (vocab_size = {vocab_size})"
            )
        self.n, self.vocab_size = n, vocab_size

    def code(self, idx):
        """The last n - 1 characters of idx (N, T) as one number each (N,)."""
        if idx.ndim != 2 or idx.shape[1] < self.n - 1:
            raise ValueError(
                f"idx of shape {tuple(idx.shape)}: must be (N, T) with T at "
                f"least n - 1 = {self.n - 1}"
            )
        code = torch.zeros(len(idx), dtype=torch.int64)
        for column in idx[:, idx.shape[1] - (self.n - 1) :].T:
            code = code * self.vocab_size + column
        return code

    def nll(self, idx, targets):
        """Mean negative log-likelihood of targets (N,), in nats.

        Infinite when one of them has probability zero. Uniform: ln V.
        """
        p = self.probs(idx).gather(1, targets[:, None])
        return -p.log().mean().item()

    def sample(self, *, generator):
        """One name as ids, without its final 0, drawn character by character.

        Each character takes one float64 uniform through the inverse of the
        cumulative distribution, so that a seed means the same names in every
        version of torch (``torch.multinomial`` does not promise that).
        """
        ids = [0] * max(1, self.n - 1)
        while True:
            cdf = self.probs(torch.tensor([ids]))[0].cumsum(0)
            u = torch.rand(1, generator=generator, dtype=torch.float64)
            ids.append(torch.searchsorted(cdf / cdf[-1], u).item())
            if ids[-1] == 0:
                return ids[max(1, self.n - 1) : -1]


class NGram(CountModel):
    """Additive smoothing: (count + k) / (total + k V), with k = smoothing.

    smoothing 0 is maximum likelihood; a context that never occurred then has
    the limit for k to 0, the uniform distribution. Infinite smoothing would
    be uniform everywhere.
    """

    def __init__(self, n, *, smoothing=0.0, vocab_size=27):
        super().__init__(n, vocab_size=vocab_size)
        if not 0 <= smoothing < float("inf"):
            raise ValueError(f"smoothing = {smoothing}: must be 0 or more")
        self.smoothing = smoothing

    def fit(self, idx, targets):
        """Count targets (N,) after contexts idx (N, T); returns itself."""
        self.table = CountTable(self.code(idx), targets, self.vocab_size)
        return self

    def probs(self, idx):
        """P(next character | context), (N, V) for contexts idx (N, T)."""
        counts = self.table[self.code(idx)]
        total = counts.sum(1, keepdim=True)
        smoothed = counts + self.smoothing
        smoothed[total[:, 0] + self.smoothing == 0] = 1.0
        return smoothed / smoothed.sum(1, keepdim=True)


class KneserNey(CountModel):
    """Interpolated Kneser-Ney smoothing with three discounts an order.

    Each order m = n, ..., 1 takes a discount off every count and spends it on
    the order below; the last spends it on the uniform distribution. Orders
    below n count in how many different contexts a character turned up, not
    how often (``continuation=False``: how often, absolute discounting).
    Chen and Goodman (1999), "modified Kneser-Ney".
    """

    def __init__(self, n, *, continuation=True, vocab_size=27):
        super().__init__(n, vocab_size=vocab_size)
        self.continuation = continuation

    def fit(self, idx, targets):
        """Count targets (N,) after contexts idx (N, T); returns itself."""
        V = self.vocab_size
        gram = self.code(idx) * V + targets  # each n-gram as one number
        self.tables, self.discounts = [], []
        for m in range(self.n, 0, -1):
            table = CountTable(gram // V, gram % V, V)
            self.tables.append(table)
            self.discounts.append(discounts(table.counts))
            if self.continuation:
                gram = gram.unique()  # from here on each one counts once
            gram = gram % V ** (m - 1)  # forget its first character
        return self

    def probs(self, idx):
        """P(next character | context), (N, V) for contexts idx (N, T)."""
        V = self.vocab_size
        code = self.code(idx)
        p = torch.full((len(idx), V), 1 / V, dtype=torch.float64)
        for m in range(1, self.n + 1):  # shortest context first
            counts = self.tables[-m][code % V ** (m - 1)]
            total = counts.sum(1, keepdim=True)
            off = self.discounts[-m][counts.clamp(max=3).long()]
            p = torch.where(
                total > 0,
                (counts - off + off.sum(1, keepdim=True) * p) / total,
                p,  # never seen: the order below decides alone
            )
        return p


def discounts(counts):
    """What to take off a count of 0, 1, 2, and 3 or more: (4,) float64.

    Chen and Goodman's estimate from how many counts are exactly 1, 2, 3 and 4.
    Where one of these is missing, Ney's estimate of a single discount; one
    half where no count is 1.
    """
    n1, n2, n3, n4 = ((counts == r).sum().item() for r in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2) if n1 else 0.5
    if 0 in (n1, n2, n3, n4):
        return torch.tensor([0, y, y, y], dtype=torch.float64)
    off = [0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
    return torch.tensor(off, dtype=torch.float64).clamp(min=0)
