"""check.lines; oracle: autograd, and each usual mistake planted in its line."""

import pytest
import torch
from answers import passes, refuses

from zth.check import backprop as check
from zth.check import backprop_lines as of_lines

FORWARD = """
emb = C[Xb]
embcat = emb.view(emb.shape[0], -1)
hprebn = embcat @ W1 + b1
bnmeani = 1/n*hprebn.sum(0, keepdim=True)
bndiff = hprebn - bnmeani
bndiff2 = bndiff**2
bnvar = 1/(n-1)*(bndiff2).sum(0, keepdim=True)
bnvar_inv = (bnvar + 1e-5)**-0.5
bnraw = bndiff * bnvar_inv
hpreact = bngain * bnraw + bnbias
h = torch.tanh(hpreact)
logits = h @ W2 + b2
logit_maxes = logits.max(1, keepdim=True).values
norm_logits = logits - logit_maxes
counts = norm_logits.exp()
counts_sum = counts.sum(1, keepdims=True)
counts_sum_inv = counts_sum**-1
probs = counts * counts_sum_inv
logprobs = probs.log()
loss = -logprobs[range(n), Yb].mean()
"""
# name: the line or lines of a reader who is right
LINES = {
    "logprobs": "dlogprobs = torch.zeros_like(logprobs)\n"
                "dlogprobs[range(n), Yb] = -1.0/n",
    "probs": "dprobs = dlogprobs / probs",
    "counts_sum_inv": "dcounts_sum_inv = (counts*dprobs).sum(1, "
                      "keepdim=True)",
    "counts_sum": "dcounts_sum = -counts_sum**-2 * dcounts_sum_inv",
    "counts": "dcounts = counts_sum_inv*dprobs + "
              "torch.ones_like(counts)*dcounts_sum",
    "norm_logits": "dnorm_logits = counts*dcounts",
    "logit_maxes": "dlogit_maxes = (-dnorm_logits).sum(1, keepdim=True)",
    "logits": "best = torch.zeros_like(logits)\n"
              "best[range(n), logits.argmax(1)] = 1\n"
              "dlogits = dnorm_logits + best*dlogit_maxes",
    "h": "dh = dlogits @ W2.T",
    "W2": "dW2 = h.T @ dlogits",
    "b2": "db2 = dlogits.sum(0)",
    "hpreact": "dhpreact = (1.0 - h**2)*dh",
    "bngain": "dbngain = (bnraw*dhpreact).sum(0, keepdim=True)",
    "bnbias": "dbnbias = dhpreact.sum(0, keepdim=True)",
    "bnraw": "dbnraw = bngain*dhpreact",
    "bnvar_inv": "dbnvar_inv = (bndiff*dbnraw).sum(0, keepdim=True)",
    "bnvar": "dbnvar = (-0.5*(bnvar + 1e-5)**-1.5)*dbnvar_inv",
    "bndiff2": "dbndiff2 = (1.0/(n-1))*torch.ones_like(bndiff2)*dbnvar",
    "bndiff": "dbndiff = bnvar_inv*dbnraw + (2*bndiff)*dbndiff2",
    "bnmeani": "dbnmeani = (-dbndiff).sum(0, keepdim=True)",
    "hprebn": "dhprebn = dbndiff + 1.0/n*torch.ones_like(hprebn)*dbnmeani",
    "embcat": "dembcat = dhprebn @ W1.T",
    "W1": "dW1 = embcat.T @ dhprebn",
    "b1": "db1 = dhprebn.sum(0)",
    "emb": "demb = dembcat.view(emb.shape)",
    "C": "dC = torch.zeros_like(C)\n"
         "dC.index_add_(0, Xb.flatten(), demb.flatten(0, 1))",
}


def ready(dtype=torch.float64, small=True, seed=0):
    """A net's names after its forward pass, as in a notebook."""
    g = torch.Generator().manual_seed(seed)
    n, vocab_size, n_embd, n_hidden = (11, 9, 4, 7) if small else (
        32, 27, 10, 64)

    def randn(*shape):
        return torch.randn(shape, generator=g).to(dtype)

    net = {
        "torch": torch, "n": n, "C": randn(vocab_size, n_embd),
        "W1": randn(3 * n_embd, n_hidden) * 0.3, "b1": randn(n_hidden) * 0.1,
        "W2": randn(n_hidden, vocab_size) * 0.3, "b2": randn(vocab_size) * 0.1,
        "bngain": randn(1, n_hidden) * 0.1 + 1,
        "bnbias": randn(1, n_hidden) * 0.1,
        "Xb": torch.randint(vocab_size, (n, 3), generator=g),
        "Yb": torch.randint(vocab_size, (n,), generator=g)}
    exec(FORWARD, net)
    return net


def write(net, **instead):
    """Run the backward lines in the net, some of them with other code."""
    for name, code in {**LINES, **instead}.items():
        exec(code or "", net)
    return net


# What is right ------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("small", [True, False])
def test_lines_accepts_all_26(capsys, dtype, small):
    for seed in range(5):
        net = write(ready(dtype, small, seed))
        assert "all 26" in passes(capsys, check.lines, net)


@torch.no_grad()
def test_lines_needs_no_grad_mode(capsys):
    passes(capsys, check.lines, write(ready()))


def test_the_rules_are_autograds():
    """Each rule on autograd's gradients gives autograd's gradient."""
    judged = of_lines.Lines(of_lines.forward_pass(ready()), {})
    for name, (_, line) in of_lines.LINES.items():
        got, want = line(judged.t, judged.truth), getattr(judged.truth, name)
        assert got.shape == want.shape
        if name in of_lines.CANCEL:
            assert max(got.abs().max(), want.abs().max()) < 1e-15
        else:
            assert (got - want).abs().max() <= 1e-12 * want.abs().max()


def test_every_tensor_has_its_mistakes():
    for names in (of_lines.LINES, of_lines.MISTAKES):
        assert list(names) == list(LINES)


def test_lines_accepts_any_subset(capsys):
    net = write(ready())
    for name in LINES:
        passes(capsys, check.lines, net, {name: net[f"d{name}"]})
        passes(capsys, check.lines, net, **{f"d{name}": net[f"d{name}"]})
    assert "2 gradients" in passes(capsys, check.lines, net, {
        "probs": net["dprobs"].numpy(), "dC": net["dC"].tolist()})


@pytest.mark.parametrize("code", [
    {"logprobs": "dlogprobs = -torch.nn.functional.one_hot(Yb, 9)/n"},
    {"counts": "dcounts = counts_sum_inv*dprobs + dcounts_sum"},
    {"logit_maxes": "dlogit_maxes = torch.zeros_like(logit_maxes)"},
    {"logits": "dlogits = (probs - torch.nn.functional.one_hot(Yb, 9))/n"},
    {"logits": "dlogits = dnorm_logits.clone()"},  # what is left out is zero
    {"hpreact": "dhpreact = torch.ops.aten.tanh_backward(dh, h)"},
    {"hprebn": "dhprebn = bngain*bnvar_inv/n*(n*dhpreact - dhpreact.sum(0)"
               " - n/(n-1)*bnraw*(dhpreact*bnraw).sum(0))"},
    {"b1": "db1 = torch.zeros_like(b1)"},
    {"C": "dC = torch.nn.functional.one_hot(Xb, 9).flatten(0, 1)"
          ".to(demb).T @ demb.flatten(0, 1)"},
    {"C": "dC = torch.zeros_like(C)\nfor i in range(n):\n"
          "    for k in range(3):\n        dC[Xb[i, k]] += demb[i, k]"},
])
def test_lines_accepts_another_way(capsys, code):
    passes(capsys, check.lines, write(ready(), **code))


def test_a_line_may_be_right_though_an_earlier_one_is_not_there(capsys):
    net = write(ready(), logits="dlogits = (probs - torch.nn.functional."
                "one_hot(Yb, 9))/n")
    net["dprobs"] = None
    said = refuses(check.lines, net)
    assert "25 of 26 are right missing dprobs" in said


# What is wrong ------------------------------------------------------------


def dot(name, new):
    """A planted line: d of the name = new."""
    return name, f"d{name} = {new}"


TARGET = "torch.nn.functional.one_hot(Yb, 9)"
PLANTED = [
    (*dot("logprobs", f"{TARGET}/n"), "the sign is turned: the loss is"),
    (*dot("logprobs", f"-{TARGET}*1.0"), "1/n is missing: the loss is a"),
    (*dot("logprobs", f"-{TARGET}/n/9"), "divided by all entries, n V"),
    (*dot("logprobs", "torch.full_like(logprobs, -1/n)"),
     "all entries are filled"),
    (*dot("probs", "dlogprobs * probs"), "you multiplied by probs"),
    (*dot("probs", "1 / probs"), "this is 1/probs, the local"),
    (*dot("probs", "dlogprobs / logprobs"), "you divided by logprobs"),
    (*dot("probs", "-dlogprobs / probs**2"), "-1/p^2 is the derivative"),
    (*dot("counts_sum_inv", "dprobs.sum(1, keepdim=True)"),
     "the factor counts is missing"),
    (*dot("counts_sum_inv", "(counts*dprobs).mean(1, keepdim=True)"),
     "this is the mean over the row"),
    (*dot("counts_sum_inv", "(probs*dprobs).sum(1, keepdim=True)"),
     "the factor is counts, not probs"),
    (*dot("counts_sum", "counts_sum**-2 * dcounts_sum_inv"),
     "the sign is turned: the derivative of s**-1"),
    (*dot("counts_sum", "-counts_sum**-1 * dcounts_sum_inv"),
     "the power is -1"),
    (*dot("counts_sum", "counts_sum**-1 * dcounts_sum_inv"),
     "1/s is the derivative of log s"),
    (*dot("counts_sum", "-counts_sum**-2"),
     "local derivative alone: multiply it by dcounts_sum_inv"),
    (*dot("counts", "counts_sum_inv*dprobs"),
     "second contribution is missing: counts goes into probs and into"),
    (*dot("counts", "torch.ones_like(counts)*dcounts_sum"),
     "only the second contribution is left: `=`"),
    (*dot("counts", "counts_sum_inv*dprobs - dcounts_sum"),
     "the two contributions were subtracted: where paths meet, gradients"),
    (*dot("counts", "counts_sum_inv*dprobs + counts*dcounts_sum"),
     "got a factor counts"),
    (*dot("counts", "counts_sum_inv*dprobs + dcounts_sum/9"),
     "was divided by V"),
    (*dot("norm_logits", "dcounts.clone()"),
     "the derivative of exp is missing"),
    (*dot("norm_logits", "norm_logits*dcounts"), "the factor is norm_logits"),
    (*dot("norm_logits", "probs*dcounts"), "the factor is probs"),
    (*dot("norm_logits", "counts.clone()"),
     "local derivative alone: multiply it by dcounts"),
    (*dot("h", "(1 - h**2) * (dlogits @ W2.T)"),
     "this is the gradient in hpreact already"),
    (*dot("W2", "hpreact.T @ dlogits"), "is h, not hpreact"),
    (*dot("W2", "h.T @ dlogits / n"), "dlogits holds the 1/n"),
    (*dot("b2", "dlogits.mean(0)"), "b2 was added to each of the n rows"),
    (*dot("hpreact", "(1 - hpreact**2)*dh"), "slope is taken at its input"),
    (*dot("hpreact", "(1 - torch.tanh(h)**2)*dh"), "tanh was applied twice"),
    (*dot("hpreact", "(1 - h)*dh"), "the square is missing"),
    (*dot("hpreact", "h*(1 - h)*dh"), "slope of the sigmoid"),
    (*dot("hpreact", "h**2*dh"), "1 - h**2, not h**2"),
    (*dot("hpreact", "dh.clone()"), "this is dh: multiply it"),
    (*dot("hpreact", "1 - h**2"), "this is tanh's slope alone"),
    (*dot("bngain", "dhpreact.sum(0, keepdim=True)"),
     "the factor bnraw is missing"),
    (*dot("bngain", "(bnraw*dhpreact).mean(0, keepdim=True)"),
     "mean over the examples: the gain was used"),
    (*dot("bngain", "(bndiff*dhpreact).sum(0, keepdim=True)"),
     "what the gain multiplies, bnraw, not bndiff"),
    (*dot("bngain", "(hprebn*dhpreact).sum(0, keepdim=True)"),
     "what the gain multiplies, bnraw, not hprebn"),
    (*dot("bnbias", "dhpreact.mean(0, keepdim=True)"),
     "mean over the examples: the bias was added"),
    (*dot("bnbias", "(bngain*dhpreact).sum(0, keepdim=True)"),
     "the gain does not multiply the bias"),
    (*dot("bnraw", "dhpreact.clone()"), "the factor bngain is missing"),
    (*dot("bnraw", "bnraw*dhpreact"), "the factor is bnraw itself"),
    (*dot("bnvar_inv", "dbnraw.sum(0, keepdim=True)"),
     "the factor bndiff is missing: in"),
    (*dot("bnvar_inv", "(bndiff*dbnraw).mean(0, keepdim=True)"),
     "mean over the examples: bnvar_inv was used"),
    (*dot("bnvar_inv", "(bnraw*dbnraw).sum(0, keepdim=True)"),
     "the factor is bndiff, not bnraw"),
    (*dot("bnvar", "0.5*(bnvar + 1e-5)**-1.5*dbnvar_inv"),
     "the sign is turned: the derivative of v**-0.5"),
    (*dot("bnvar", "-(bnvar + 1e-5)**-1.5*dbnvar_inv"),
     "the factor 0.5 is missing"),
    (*dot("bnvar", "-0.5*(bnvar + 1e-5)**-0.5*dbnvar_inv"),
     "the power was not lowered"),
    (*dot("bnvar", "-0.5*(bnvar + 1e-5)**0.5*dbnvar_inv"),
     "the power went up"),
    (*dot("bnvar", "-0.5*bnvar**-1.5*dbnvar_inv"), "the epsilon is missing"),
    (*dot("bnvar", "-0.5*(bnvar + 1e-5)**-1.5"),
     "local derivative alone: multiply it by dbnvar_inv"),
    (*dot("bndiff2", "1/n*torch.ones_like(bndiff2)*dbnvar"),
     "this is the biased variance, over n"),
    (*dot("bndiff2", "torch.ones_like(bndiff2)*dbnvar"),
     "the factor 1/(n - 1) is missing"),
    (*dot("bndiff", "bnvar_inv*dbnraw"),
     "second contribution is missing: bndiff goes into bnraw and into"),
    (*dot("bndiff", "2*bndiff*dbndiff2"),
     "only the contribution through the variance is left: `=`"),
    (*dot("bndiff", "bnvar_inv*dbnraw + bndiff*dbndiff2"),
     "the factor 2 is missing"),
    (*dot("bndiff", "bnvar_inv*dbnraw + 2*dbndiff2"),
     "the factor x, bndiff, is missing"),
    (*dot("bndiff", "bnvar_inv*dbnraw + 2*bndiff*dbndiff2\n"
          "dbndiff -= dbndiff.mean(0)"), "a later line changed it"),
    (*dot("bndiff", "bnvar_inv*dbnraw - 2*bndiff*dbndiff2"),
     "the two contributions were subtracted: where paths meet, their"),
    (*dot("bnmeani", "dbndiff.sum(0, keepdim=True)"),
     "the sign is turned: the mean is subtracted"),
    (*dot("bnmeani", "-dbndiff.mean(0, keepdim=True)"),
     "the factor 1/n comes a line later"),
    (*dot("hprebn", "dbndiff.clone()"),
     "second contribution is missing: hprebn goes into bndiff and into"),
    (*dot("hprebn", "1/n*torch.ones_like(hprebn)*dbnmeani"),
     "only the contribution through the mean is left: `=`"),
    (*dot("hprebn", "dbndiff + torch.ones_like(hprebn)*dbnmeani"),
     "the factor 1/n is missing: bnmeani is"),
    (*dot("hprebn", "dbndiff - 1/n*torch.ones_like(hprebn)*dbnmeani"),
     "the contribution through the mean was subtracted"),
    (*dot("hprebn", "bnvar_inv*dbnraw"), "mean and variance were taken"),
    (*dot("hprebn", "bnvar_inv*(dbnraw - dbnraw.mean(0))"),
     "the variance was taken for a constant"),
    (*dot("hprebn", "bngain*bnvar_inv/n*(n*dhpreact - dhpreact.sum(0)"
          " - bnraw*(dhpreact*bnraw).sum(0))"),
     "this belongs to the biased variance"),
    (*dot("embcat", "dhpreact @ W1.T"), "batch norm was left out"),
    (*dot("W1", "embcat.T @ dhpreact"),
     "batch norm is left out: this is made with dhpreact"),
    (*dot("W1", "embcat.T @ dhprebn / n"), "the gradients hold the 1/n"),
    (*dot("b1", "dhpreact.sum(0)"), "this is the sum of dhpreact"),
    (*dot("b1", "dbndiff.sum(0)"), "this is the sum of dbndiff"),
    (*dot("b1", "dbnraw.sum(0)"), "this is the sum of dbnraw"),
    (*dot("emb", "dembcat.view(n, 4, 3).transpose(1, 2)"),
     "the numbers of a row are in another order"),
    (*dot("emb", "dembcat.view(3, n, 4).transpose(0, 1)"),
     "examples and positions are mixed up"),
    ("C", "dC = torch.zeros_like(C)\ndC[Xb] = demb", "assigned, not added"),
    ("C", "dC = torch.zeros_like(C)\ndC[Xb] += demb", "assigned, not added"),
    ("C", "dC = torch.zeros_like(C)\nfor k in range(3):\n"
     "    dC[Xb[:, k]] += demb[:, k]", "added position by position"),
    ("C", "dC = torch.zeros_like(C)\nfor i in range(n):\n"
     "    dC[Xb[i, 0]] += demb[i, 0]", "only the first position"),
    ("C", "dC = torch.zeros_like(C)\n"
     "dC.index_add_(0, Xb.flatten(), demb.flatten(0, 1))\n"
     "dC /= torch.bincount(Xb.flatten(), minlength=9).clamp(min=1)[:, None]",
     "this is the mean over a character's"),
    ("C", "dC = torch.zeros_like(C)\n"
     "for k in range(3): dC.index_add_(0, Yb, demb[:, k])",
     "the rows went to the targets' characters"),
    # logits' own mistakes, with the gradient in logit_maxes as it is: zero
    (*dot("logits", f"probs - {TARGET}"), "1/n is missing: the loss is a"),
    (*dot("logits", "probs/n"), "1 at the target was not subtracted"),
    (*dot("logits", f"({TARGET} - probs)/n"), "targets turned round"),
]
# what does not let the later lines run as they are, or run at all
SHAPES = [
    (*dot("counts_sum_inv", "(counts*dprobs).sum(1)"),
     "shape (11,), but counts_sum_inv is (11, 1): the numbers are right; "
     "keepdim=True keeps the axis"),
    (*dot("counts_sum_inv", "counts*dprobs"),
     "shape (11, 9), but counts_sum_inv is (11, 1): counts_sum_inv was "
     "broadcast going forward"),
    (*dot("counts_sum_inv", "(counts*dprobs).sum(0, keepdim=True)"),
     "shape (1, 9), but counts_sum_inv is (11, 1): the sum ran over the "
     "wrong axis"),
    (*dot("logit_maxes", "-dnorm_logits"), "logit_maxes was broadcast"),
    (*dot("logit_maxes", "-dnorm_logits.sum(0, keepdim=True)"),
     "the sum ran over the wrong axis"),
    (*dot("h", "(dlogits @ W2.T).T"), "the product is transposed"),
    (*dot("W2", "dlogits.T @ h"), "the product is transposed"),
    (*dot("W1", "dhprebn.T @ embcat"), "the product is transposed"),
    (*dot("embcat", "W1 @ dhprebn.T"), "the product is transposed"),
    (*dot("b2", "dlogits.sum(1)"), "the sum ran over the wrong axis"),
    (*dot("b2", "dlogits.clone()"), "b2 was broadcast going forward"),
    (*dot("b2", "dlogits.sum(0, keepdim=True)"),
     "the numbers are right, the axes are not"),
    (*dot("bngain", "bnraw*dhpreact"), "bngain was broadcast"),
    (*dot("bnbias", "dhpreact.sum(0)"), "keepdim=True keeps the axis"),
    (*dot("bndiff2", "dbnvar/(n - 1)"),
     "its entries were summed, so each of them gets the gradient"),
    (*dot("emb", "dembcat.clone()"), "(11, 12), but emb is (11, 3, 4): the "
     "numbers are right"),
    (*dot("C", "demb.clone()"), "a gradient has the shape of its tensor"),
]
# what any tensor may be
PLANTED += [
    (*dot("W1", "-embcat.T @ dhprebn"), "dW1: the sign is turned"),
    (*dot("embcat", "n*(dhprebn @ W1.T)"), "it is n times too large"),
    (*dot("embcat", "dhprebn @ W1.T / n"), "it is n times too small"),
    (*dot("W1", "3*embcat.T @ dhprebn"), "it is 3 times what it must be"),
    (*dot("W1", "torch.zeros_like(W1)"), "it is zero everywhere"),
    (*dot("W1", "embcat.T @ dhprebn / 0"), "it holds NaN or infinity"),
    (*dot("W1", "torch.ones_like(W1)"), "no mistake known here"),
]


@pytest.mark.parametrize("name, code, why", PLANTED)
def test_lines_names_the_mistake(name, code, why):
    said = refuses(check.lines, write(ready(), **{name: code}))
    assert f"wrong d{name}: " in said and why in said
    assert said.count(" wrong d") == 1  # the others follow, or are right


@pytest.mark.parametrize("name, code, why", [
    p for p in PLANTED + SHAPES if "epsilon" not in p[2]])  # that: float64
def test_lines_names_the_mistake_alone_and_in_float32(name, code, why):
    net = write(ready(torch.float32))
    exec(code, net)
    said = refuses(check.lines, net, {name: net[f"d{name}"]})
    assert said.startswith(f"lines: 0 of 1 are right wrong d{name}: ")
    assert why in said


@pytest.mark.parametrize("name, code, why", SHAPES)
def test_lines_names_a_wrong_shape(name, code, why):
    net = write(ready())
    exec(code, net)
    said = refuses(check.lines, net)
    assert f"wrong d{name}: shape (" in said and why in said


def test_messages_differ():
    for name in LINES:
        planted = [why for other, _, why in [*PLANTED, *SHAPES, *HIDDEN]
                   if other == name]
        assert planted and len({*planted}) >= len(of_lines.MISTAKES[name])


# Where the gradient in logit_maxes is zero, no value tells its sign or its
# way; it is not zero where an earlier gradient is wrong.


HIDDEN = [
    (*dot("logit_maxes", "dnorm_logits.sum(1, keepdim=True)"),
     "the sign is turned: logit_maxes is subtracted"),
    (*dot("logits", "dnorm_logits.clone()"),
     "the second path is missing: the logits also go into"),
    (*dot("logits", "dnorm_logits + dlogit_maxes"),
     "dlogit_maxes went to the whole row"),
    (*dot("logits", f"dnorm_logits + {TARGET}*dlogit_maxes"),
     "dlogit_maxes went to the target's place"),
]


@pytest.mark.parametrize("name, code, why", HIDDEN)
def test_what_a_zero_hides_is_seen_behind_another_mistake(name, code, why):
    net = write(ready(), counts="dcounts = counts_sum_inv*dprobs",
                **{name: code})
    said = refuses(check.lines, net)
    assert f"wrong d{name}: " in said and why in said
    assert "wrong dcounts: the second contribution is missing" in said


# What rests on a wrong line -------------------------------------------------


def test_lines_that_follow_are_told_apart_from_wrong_ones():
    net = write(ready(), counts="dcounts = counts_sum_inv*dprobs")
    said = refuses(check.lines, net)
    assert said.startswith("lines: 5 of 26 are right wrong dcounts: ")
    assert "follows dnorm_logits, dlogit_maxes, dlogits, dh, dW2" in said
    assert "dC: right, given your dcounts; mend dcounts first" in said


def test_one_tensor_under_two_names_is_told():
    said = refuses(check.lines, write(ready(), hprebn=(
        "dhprebn = dbndiff\ndhprebn += 1.0/n*dbnmeani")))
    assert said.startswith("lines: 25 of 26 are right wrong dbndiff: a later")


@pytest.mark.parametrize("code", [
    "counts*dprobs", "(counts*dprobs).sum(0, keepdim=True)",
    "(counts*dprobs).sum(1, keepdim=True) / 0"])
def test_what_follows_from_a_wrong_shape_or_nan(code):
    said = refuses(check.lines, write(
        ready(), counts_sum_inv=f"dcounts_sum_inv = {code}"))
    assert said.count(" wrong d") == 1
    assert "follows dcounts_sum, dcounts, dnorm_logits, " in said
    assert "given your dcounts_sum_inv; mend" in said


def test_two_mistakes_are_told_apart():
    net = write(ready(), counts="dcounts = counts_sum_inv*dprobs",
                hpreact="dhpreact = (1 - hpreact**2)*dh")
    said = refuses(check.lines, net)
    assert said.count(" wrong d") == 2
    assert "dW2, db2: right, given your dcounts; mend dcounts first" in said
    assert "dC: right, given your dhpreact; mend dhpreact first" in said


def test_a_group_is_held_against_the_gradient_before_it():
    net = write(ready(), logits="dlogits = probs/n")
    said = refuses(check.lines, net, dh=net["dh"], dW2=net["dW2"], db2=None)
    assert said == ("lines: 0 of 3 are right follows dh, dW2: right, given "
                    "your dlogits; mend dlogits first missing db2")


# What is not there, or is no gradient --------------------------------------


def test_the_starter_is_not_written_yet():
    net = ready()
    assert "lines: not written yet: fill in dprobs, dC" in refuses(
        check.lines, net, dprobs=None, dC=None)
    assert "lines: not written yet: fill in dlogprobs, dprobs" in refuses(
        check.lines, net)


def test_a_net_without_its_names_is_refused():
    assert "Xb, W1 not found: run the cells of the forward pass" in refuses(
        check.lines, {**ready(), "Xb": None, "W1": None}, probs=[1.0])


def test_a_tensor_changed_in_place_is_named():
    net = write(ready())
    net["counts"] /= 2
    assert "lines: counts is not what the forward pass gives" in refuses(
        check.lines, net)


def test_an_unknown_name_is_refused():
    assert "there is no tensor for dprob" in refuses(
        check.lines, ready(), dprob=1)


def test_the_net_is_left_as_it_was():
    net = write(ready())
    kept = {name: value.clone() for name, value in net.items()
            if isinstance(value, torch.Tensor)}
    check.lines(net)
    assert all(torch.equal(net[name], kept[name]) for name in kept)
    assert not net["C"].requires_grad
