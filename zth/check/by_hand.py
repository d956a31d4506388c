"""What checkers of gradients by hand share: how they call the answer.

Autograd is locked out meanwhile, and what was handed over stays as it is.
"""

import contextlib
from unittest import mock

import torch

from zth.check import Wrong


class Asked(Exception):
    """Autograd was asked for a gradient."""


@contextlib.contextmanager
def without_autograd():
    """Nothing is recorded, and a call of backward or grad raises `Asked`."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        for owner, name in ((torch.Tensor, "backward"),
                            (torch.autograd, "backward"),
                            (torch.autograd, "grad")):
            def refuse(*args, **kwargs):
                raise Asked

            stack.enter_context(mock.patch.object(owner, name, refuse))
        yield


def by_hand(check, function, *args, case):
    """What the answer returns, if it gets there without autograd."""
    try:
        with without_autograd():
            return check.call(function, *args, case=case)
    except Wrong as error:
        if not isinstance(error.__cause__, Asked):
            raise
    check.fail("autograd was asked: a call of backward() or of autograd.grad "
               "is left in. Here every gradient is your own", input=case)


def unchanged(check, before, after, names, case):
    """`Wrong` if the answer wrote into what it was given."""
    for old, new, name in zip(before, after, names):
        if not torch.equal(old, new):
            check.fail(f"{name} was changed in place: work on a copy (clone), "
                       "the caller goes on using it", input=case)
