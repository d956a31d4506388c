"""Muon: a step for matrices that moves all their directions equally far."""

import torch


class Muon(torch.optim.AdamW):
    """AdamW, but Muon for the groups that have ``muon=True``.

    Muon keeps an average of a matrix's gradients and steps by the nearest
    matrix whose singular values are all equal, of a root mean square of 0.2:
    about that of AdamW's steps, so that one rate and one weight decay serve
    both. Jordan et al. (2024); the size by Liu et al. (2025).
    """

    def __init__(self, groups, *, momentum=0.95, **adamw):
        super().__init__(groups, **adamw)
        self.momentum = momentum

    @torch.no_grad()
    def step(self):
        """Take the step; the gradients of Muon's matrices are dropped."""
        for group in self.param_groups:
            for p in group["params"]:
                if not group.get("muon") or p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["mean"] = torch.zeros_like(p)
                    state["step"] = torch.tensor(0.0)  # AdamW loads no other
                mean = state["mean"].lerp_(p.grad, 1 - self.momentum)
                ahead = p.grad.lerp(mean, self.momentum)  # Nesterov's
                rows, columns = p.shape
                size = 0.2 * max(rows, columns) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(orthogonal(ahead), alpha=group["lr"] * size)
                p.grad = None  # AdamW passes it over
        super().step()


def orthogonal(G, steps=5):
    """Nearly U Vᵀ where G = U S Vᵀ (..., n, m): singular values near 1.

    Each step applies the polynomial a s + b s³ + c s⁵ to every singular
    value s in (0, 1], which it drives to between about 0.7 and 1.2, fast for
    the smallest. Matrix products alone: on a GPU in bfloat16.
    """
    X = G.bfloat16() if G.is_cuda else G
    X = X / (X.norm(dim=(-2, -1), keepdim=True) + 1e-7)  # s at most 1
    wide = X.shape[-2] <= X.shape[-1]
    X = X if wide else X.mT
    for _ in range(steps):
        A = X @ X.mT
        X = 3.4445 * X + (-4.7750 * A + 2.0315 * A @ A) @ X
    return (X if wide else X.mT).to(G.dtype)


def muon_groups(model, weight_decay):
    """Muon for the matrices in `model.h`, AdamW for all else.

    Embeddings and the head stay with AdamW, though matrices: a row of theirs
    belongs to one token. Vectors do not decay.
    """
    inside = {id(p) for p in model.h.parameters() if p.ndim == 2}
    groups = [{"params": [], "muon": True, "weight_decay": weight_decay},
              {"params": [], "muon": False, "weight_decay": weight_decay},
              {"params": [], "muon": False, "weight_decay": 0.0}]
    for p in model.parameters():
        groups[0 if id(p) in inside else 1 if p.ndim == 2 else 2][
            "params"].append(p)
    return groups
