"""The checker of the gradient of cross-entropy (L5-EX2).

A mistake's docstring is what the reader reads. Shapes: logits (n, V), targets
(n,).
"""

import torch

from zth.check.by_hand import unchanged
from zth.check.tensors import TensorCheck as Check
from zth.check.tensors import tensor

__all__ = ["cross_entropy"]


def softmax_minus_target(logits, targets):
    """The definition, example by example, in Python floats."""
    rows = []
    for z, target in zip(logits.tolist(), targets.tolist()):
        e = [torch.tensor(v - max(z)).double().exp().item() for v in z]
        rows.append([(v / sum(e) - (c == target)) / len(targets)
                     for c, v in enumerate(e)])
    return tensor(rows)


def hot(logits, targets):
    """1 at each row's target, else 0."""
    return torch.zeros_like(logits).scatter_(1, targets[:, None], 1.0)


def without_n(got, logits, targets):
    """The 1/n is missing: the loss is the mean over the n examples, so a row
    of its gradient carries 1/n."""
    yield logits.softmax(1) - hot(logits, targets)


def target_not_divided(got, logits, targets):
    """The 1/n reached the probabilities and not the one-hot target: subtract
    first, then divide."""
    yield logits.softmax(1) / len(logits) - hot(logits, targets)


def probs_not_divided(got, logits, targets):
    """The 1/n reached the one-hot target and not the probabilities: divide
    their difference."""
    yield logits.softmax(1) - hot(logits, targets) / len(logits)


def over_all_entries(got, logits, targets):
    """You divided by all n V entries: the loss is a mean over the n examples,
    each of which has one target."""
    yield (logits.softmax(1) - hot(logits, targets)) / logits.numel()


def over_symbols(got, logits, targets):
    """You divided by V: the loss is a mean over the n examples."""
    yield (logits.softmax(1) - hot(logits, targets)) / logits.shape[1]


def target_minus_probs(got, logits, targets):
    """The sign is turned: this is target minus probability, which goes down
    where the loss goes up."""
    p_minus_y = logits.softmax(1) - hot(logits, targets)
    yield from (-p_minus_y / len(logits), -p_minus_y)


def without_target(got, logits, targets):
    """The one-hot target is missing: these are the probabilities, and nothing
    pulls the target's logit up."""
    yield from (logits.softmax(1) / len(logits), logits.softmax(1))


def without_probs(got, logits, targets):
    """The probabilities are missing: this is the gradient of minus the
    target's logit, without that of log-sum-exp."""
    yield from (-hot(logits, targets) / len(logits), -hot(logits, targets))


def down_the_columns(got, logits, targets):
    """The softmax runs down the columns, over the batch: an example is a row,
    so take axis 1."""
    p = logits.softmax(0)
    yield from ((p - hot(logits, targets)) / len(logits),
                p - hot(logits, targets))


def over_everything(got, logits, targets):
    """One softmax over all entries of the batch: each row has its own."""
    p = logits.flatten().softmax(0).view_as(logits)
    yield from ((p - hot(logits, targets)) / len(logits),
                p - hot(logits, targets))


def whole_columns(got, logits, targets):
    """The 1 was subtracted in whole columns, `[:, targets] -= 1`: one entry a
    row, `[range(n), targets] -= 1`."""
    p = logits.softmax(1)
    p[:, targets] -= 1
    yield from (p / len(logits), p)


def target_as_row(got, logits, targets):
    """The target was used as a row: the one-hot 1 belongs in row i, column
    targets[i]."""
    p, n = logits.softmax(1), len(logits)
    if targets.max() < n and n <= logits.shape[1]:
        at = p.clone()
        at[targets, torch.arange(n)] -= 1
        yield from (at / n, at)
    if targets.max() < n:
        at = p.clone()
        at[targets] -= 1
        yield from (at / n, at)


def at_the_largest(got, logits, targets):
    """The 1 was subtracted at each row's largest logit: it belongs at the
    target, which the net may not have favoured."""
    largest = hot(logits, logits.argmax(1))
    yield from ((logits.softmax(1) - largest) / len(logits),
                logits.softmax(1) - largest)


def of_log_probs(got, logits, targets):
    """You took logarithms of probabilities: the gradient of log-sum-exp is the
    probabilities themselves."""
    p = logits.log_softmax(1)
    yield from ((p - hot(logits, targets)) / len(logits),
                p - hot(logits, targets))


def in_probs(got, logits, targets):
    """This is the gradient in the probabilities, -1 / (n p) at the targets: go
    on through the softmax to the logits."""
    y = hot(logits, targets)
    yield from (-y / logits.softmax(1) / len(logits), -y / logits.softmax(1))


def softmax_twice(got, logits, targets):
    """The softmax was applied to probabilities: the arguments are logits, one
    softmax is enough; or none is, if `p` is a softmax already."""
    p = logits.softmax(1).softmax(1)
    yield from ((p - hot(logits, targets)) / len(logits),
                p - hot(logits, targets))


def no_softmax(got, logits, targets):
    """The logits themselves stand where their softmax belongs."""
    yield from ((logits - hot(logits, targets)) / len(logits),
                logits - hot(logits, targets))


def overflowed(got, logits, targets):
    """Infinity over infinity: a logit of 100 is too much for exp in float32,
    and one of 1,000 in float64. Subtract each row's largest logit first."""
    if got.isnan().any() and logits.max() > 80:
        yield got


CROSS_ENTROPY_MISTAKES = [
    overflowed, without_n, target_minus_probs, without_target, without_probs,
    target_not_divided, probs_not_divided, over_all_entries, over_symbols,
    down_the_columns, over_everything, whole_columns, target_as_row,
    at_the_largest, of_log_probs, in_probs, softmax_twice, no_softmax]


def cross_entropy(dlogits_of):
    """Check the gradient of the mean cross-entropy, exercise L5-EX2.

    dlogits_of(logits (n, V) float64, targets (n,) int64) -> (n, V).
    """
    check = Check("cross_entropy")
    g = torch.Generator().manual_seed(check.seed)
    cases = [("the rows [2, 0, 1] and [0, 1, 3], both of target 1",
              torch.tensor([[2.0, 0, 1], [0, 1, 3]]), torch.tensor([1, 1])),
             ("one row of equal logits, target 0: -0.75, then 0.25 thrice",
              torch.zeros(1, 4), torch.tensor([0]))]
    cases += [(f"random logits ({n}, {V})",
               2 * torch.randn(n, V, generator=g),
               torch.randint(min(n, V), (n,), generator=g))
              for n, V in ((32, 27), (5, 5), (3, 7), (9, 4), (1, 2))]
    cases += [("a row of logits -1000, 0, 1000",
               torch.tensor([[-1000.0, 0, 1000]]), torch.tensor([1]))]
    for case, logits, targets in cases:
        logits = logits.double()
        given = logits.clone(), targets.clone()
        got = tensor(check.call(dlogits_of, *given, case=case))
        unchanged(check, (logits, targets), given, ("logits", "targets"),
                  case)
        check.expect("dlogits", got, softmax_minus_target(logits, targets),
                     CROSS_ENTROPY_MISTAKES, (logits, targets), case=case,
                     atol=1e-7, rtol=1e-5)
        check.cases += 1
    check.passed()
