"""zth.check.micrograd, softmax; oracle: answers planted right and wrong."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from answers import passes, refuses

from zth import engine
from zth.check import micrograd as check

ROOT = Path(__file__).resolve().parents[1]


# Engines: right ones, written differently ------------------------------------


class Closures:
    """The lecture's engine: each node knows how to pass its gradient back."""

    def __init__(self, data, _children=(), _op=""):
        self.data = data
        self.grad = 0.0
        self._backward = lambda: None
        self._prev = set(_children)
        self._op = _op

    @classmethod
    def of(cls, other):
        return other if isinstance(other, cls) else cls(other)

    def __add__(self, other):
        other = self.of(other)
        out = type(self)(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad += 1.0 * out.grad
            other.grad += 1.0 * out.grad

        out._backward = _backward
        return out

    def __mul__(self, other):
        other = self.of(other)
        out = type(self)(self.data * other.data, (self, other), "*")

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out

    def __pow__(self, other):
        assert isinstance(other, (int, float))
        out = type(self)(self.data**other, (self,), f"**{other}")

        def _backward():
            self.grad += other * self.data ** (other - 1) * out.grad

        out._backward = _backward
        return out

    def exp(self):
        out = type(self)(math.exp(self.data), (self,), "exp")

        def _backward():
            self.grad += out.data * out.grad

        out._backward = _backward
        return out

    def log(self):
        out = type(self)(math.log(self.data), (self,), "log")

        def _backward():
            self.grad += out.grad / self.data

        out._backward = _backward
        return out

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + (-other)

    def __truediv__(self, other):
        return self * other**-1

    def __radd__(self, other):
        return self + other

    def __rsub__(self, other):
        return (-self) + other

    def __rmul__(self, other):
        return self * other

    def __rtruediv__(self, other):
        return other * self**-1

    def backward(self):
        topo, visited = [], set()

        def build_topo(v):
            if v not in visited:
                visited.add(v)
                for child in v._prev:
                    build_topo(child)
                topo.append(v)

        build_topo(self)
        self.grad = 1.0
        for node in reversed(topo):
            node._backward()


class Slopes:
    """Local derivatives; no more operators than the loss needs."""

    def __init__(self, data, parents=(), slopes=()):
        self.data, self.grad = float(data), 0.0
        self.parents, self.slopes = parents, slopes

    def __add__(self, other):
        other = other if isinstance(other, Slopes) else type(self)(other)
        return type(self)(
            self.data + other.data, (self, other), (1.0, 1.0))

    def __radd__(self, other):
        return self + other

    def __sub__(self, other):
        other = other if isinstance(other, Slopes) else type(self)(other)
        return type(self)(
            self.data - other.data, (self, other), (1.0, -1.0))

    def exp(self):
        out = math.exp(self.data)
        return type(self)(out, (self,), (out,))

    def log(self):
        return type(self)(math.log(self.data), (self,), (1 / self.data,))

    def order(self):
        order, seen = [], set()

        def visit(node):
            if node not in seen:
                seen.add(node)
                for parent in node.parents:
                    visit(parent)
                order.append(node)

        visit(self)
        return order[::-1]

    def backward(self):
        self.grad += 1.0
        for node in self.order():
            for parent, slope in zip(node.parents, node.slopes):
                parent.grad += slope * node.grad


class Paths(Slopes):
    """Recursion along every path: slow, and right."""

    def backward(self, grad=1.0):
        self.grad += grad
        for parent, slope in zip(self.parents, self.slopes):
            parent.backward(grad * slope)


class OnlyValues(Slopes):
    """Takes no plain numbers as operands."""

    def __add__(self, other):
        return OnlyValues(self.data + other.data, (self, other), (1.0, 1.0))

    __radd__ = None

    def __sub__(self, other):
        return OnlyValues(self.data - other.data, (self, other), (1.0, -1.0))


class Arrays(Slopes):
    """numpy's numbers, and names of its own."""

    def __init__(self, number, made_of=(), slopes=()):
        super().__init__(number, made_of, slopes)
        self.data = np.float64(number)


class Tape:
    """All operations in a list, in the order of their making."""

    tape = []

    def __init__(self, data):
        self.data, self.grad = data, None

    def node(self, data, *links):
        out = Tape(data)
        Tape.tape.append((out, links))
        return out

    def __add__(self, other):
        if not isinstance(other, Tape):
            other = Tape(other)
        return self.node(self.data + other.data, (self, 1), (other, 1))

    def __radd__(self, other):
        return self + other

    def __mul__(self, other):
        if not isinstance(other, Tape):
            other = Tape(other)
        return self.node(self.data * other.data, (self, other.data),
                         (other, self.data))

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -other

    def exp(self):
        e = math.exp(self.data)
        return self.node(e, (self, e))

    def log(self):
        return self.node(math.log(self.data), (self, 1 / self.data))

    def backward(self):
        for out, links in Tape.tape:
            for node in (out, *(node for node, _ in links)):
                node.grad = 0
        self.grad = 1
        for out, links in reversed(Tape.tape):
            for node, slope in links:
                node.grad += slope * out.grad


# Softmax and loss: right ones ----------------------------------------------


def lse(logits):
    top = max(z.data for z in logits)
    return sum((z - top).exp() for z in logits).log() + top


def by_lse(logits):
    total = lse(logits)
    return [(z - total).exp() for z in logits]


def nll_by_lse(logits, label):
    return lse(logits) - logits[label]


def shifted(logits):
    top = max(z.data for z in logits)
    counts = [(z - top).exp() for z in logits]
    total = sum(counts)
    return [count / total for count in counts]


def pairwise(logits):
    """1 / sum of exp(z_k - z_i), no maximum: a tuple."""
    def one(z):
        terms = [(other - z) for other in logits]
        top = max(t.data for t in terms)
        total = (terms[0] - top).exp()
        for t in terms[1:]:
            total = total + (t - top).exp()
        return (total.log() * -1 - top).exp()

    return tuple(one(z) for z in logits)


def top_as_value(logits):
    """The maximum is a node of the graph."""
    top = max(logits, key=lambda z: z.data)
    total = sum((z - top).exp() for z in logits)
    return [(z - top).exp() / total for z in logits]


def nll_top_as_value(logits, label):
    top = max(logits, key=lambda z: z.data)
    return sum((z - top).exp() for z in logits).log() + (top - logits[label])


def nll_in_place(logits, label):
    top = max(z.data for z in logits)
    for i, z in enumerate(logits):
        logits[i] = z - top
    total = logits[0].exp()
    for z in logits[1:]:
        total = total + z.exp()
    return total.log() - logits[label]


def yielded(logits):
    yield from by_lse(logits)


def for_only_values(Value):
    """softmax and nll for an engine that takes no plain numbers."""
    def log_sum(logits):
        top = Value(max(z.data for z in logits))
        total = (logits[0] - top).exp()
        for z in logits[1:]:
            total = total + (z - top).exp()
        return total.log() + top

    return (lambda logits: [(z - log_sum(logits)).exp() for z in logits],
            lambda logits, label: log_sum(logits) - logits[label])


@pytest.mark.parametrize("answer", [
    (engine.Value, by_lse, nll_by_lse),
    (engine.Value, shifted, nll_top_as_value),
    (Closures, top_as_value, nll_by_lse),
    (Closures, pairwise, nll_in_place),
    (Slopes, by_lse, nll_by_lse),
    (Slopes, yielded, nll_in_place),
    (Paths, by_lse, nll_by_lse),
    (Arrays, by_lse, nll_by_lse),
    (Tape, by_lse, nll_by_lse),
    (OnlyValues, *for_only_values(OnlyValues)),
], ids=lambda answer: "-".join(part.__name__ for part in answer))
def test_softmax_accepts(capsys, answer):
    passes(capsys, check.softmax, *answer)


def test_softmax_needs_no_torch():
    code = ("import sys; sys.modules['torch'] = None\n"
            "from zth.check import micrograd as check\n"
            "from zth.engine import Value\n"
            "def lse(z):\n"
            "    m = max(v.data for v in z)\n"
            "    return sum((v - m).exp() for v in z).log() + m\n"
            "check.softmax(Value, lambda z: [(v - lse(z)).exp() for v in z],\n"
            "              lambda z, y: lse(z) - z[y])\n")
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT,
                         capture_output=True, text=True)
    assert run.stdout.startswith("softmax: right ("), run.stderr


# Not written yet ------------------------------------------------------------


class OnlyAdds:
    def __init__(self, data, parents=(), slopes=()):
        self.data, self.grad = float(data), 0.0
        self.parents, self.slopes = parents, slopes

    def __add__(self, other):
        other = other if isinstance(other, OnlyAdds) else OnlyAdds(other)
        return OnlyAdds(self.data + other.data, (self, other), (1.0, 1.0))

    def backward(self):
        raise NotImplementedError


def starter(*args):
    raise NotImplementedError


def returns_nothing(*args):
    pass


@pytest.mark.parametrize("answer", [
    (OnlyAdds, starter, starter), (Slopes, starter, starter),
    (Slopes, returns_nothing, starter), (Slopes, by_lse, starter),
    (Slopes, by_lse, returns_nothing), (starter, starter, starter)])
def test_the_starter_is_not_written_yet(answer):
    assert "softmax: not written yet" in refuses(check.softmax, *answer)


@pytest.mark.parametrize("unwritten", [starter, returns_nothing])
def test_the_torch_starter_is_not_written_yet(unwritten):
    said = refuses(check.softmax_torch, unwritten)
    assert "softmax_torch: not written yet" in said


def test_an_unwritten_operator_is_left_to_those_who_need_it(capsys):
    class Half(Slopes):
        def __mul__(self, other):
            raise NotImplementedError

    passes(capsys, check.softmax, Half, by_lse, nll_by_lse)


# Engines with one fault ------------------------------------------------------


def closures(name, pass_back):
    """The lecture's engine, one operator's way back replaced."""
    def method(self, *other):
        out = getattr(Closures, name)(self, *other)
        operands = [self, *map(type(self).of, other)]
        out._prev = set(operands)
        out._backward = lambda: pass_back(out, *operands)
        return out

    return type("Value", (Closures,), {name: method})


def engine_with(**methods):
    return type("Value", (Closures,), methods)


def add_assigns(out, a, b):
    a.grad = out.grad
    b.grad = out.grad


def mul_assigns(out, a, b):
    a.grad = b.data * out.grad
    b.grad = a.data * out.grad


def mul_own_data(out, a, b):
    a.grad += a.data * out.grad
    b.grad += b.data * out.grad


def mul_forgets(out, a, b):
    a.grad += b.data
    b.grad += a.data


def exp_assigns(out, a):
    a.grad = out.data * out.grad


def exp_of_data(out, a):
    a.grad += a.data * out.grad


def log_assigns(out, a):
    a.grad = out.grad / a.data


def log_forgets(out, a):
    a.grad += 1 / a.data


def log_multiplies(out, a):
    a.grad += a.data * out.grad


def power_keeps_exponent(out, a, k):
    a.grad += k.data * a.data**k.data * out.grad


def sub_turned(self, other):
    return self.of(other) + (-self)


def rsub_turned(self, other):
    return self - other


def division_turned(self, other):
    return self.of(other) * self**-1


def sub_adds(out, a, b):
    a.grad += out.grad
    b.grad += out.grad


def radd_asks_itself(self, other):
    return other + self


def log10(self):
    out = Closures.log(self)
    out.data /= math.log(10)
    inner = out._backward

    def _backward():
        inner()
    out._backward = _backward
    return out


def unordered(self):
    """Plain recursion: passes on at every visit what has arrived so far."""
    def visit(node):
        node._backward()
        for child in node._prev:
            visit(child)

    self.grad = 1.0
    visit(self)


def breadth_first(self):
    self.grad = 1.0
    waiting, seen = [self], {self}
    while waiting:
        node = waiting.pop(0)
        node._backward()
        for child in node._prev:
            if child not in seen:
                seen.add(child)
                waiting.append(child)


class Ordered(Closures):
    """Keeps operands in the order in which they were written."""

    def __init__(self, data, _children=(), _op=""):
        super().__init__(data, _children, _op)
        self._prev = tuple(_children)


def depth_first(self):
    """Each node once, before its operands, but not after all its users."""
    seen = set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            node._backward()
            for child in node._prev:
                visit(child)

    self.grad = 1.0
    visit(self)


def not_reversed(self):
    topo, visited = [], set()

    def build(v):
        if v not in visited:
            visited.add(v)
            for child in v._prev:
                build(child)
            topo.append(v)

    build(self)
    self.grad = 1.0
    for node in topo:
        node._backward()


class StartsAtZero(Slopes):
    def backward(self):
        for node in self.order():
            for parent, slope in zip(node.parents, node.slopes):
                parent.grad += slope * node.grad


class StartsAtTwo(Slopes):
    def backward(self):
        self.grad += 1.0
        Slopes.backward(self)


class OneParent(Closures):
    """Parents in a set that is zipped with the derivatives."""

    def __add__(self, other):
        other = self.of(other)
        out = OneParent(self.data + other.data, {self, other})

        def _backward():
            for parent, slope in zip(out._prev, (1.0, 1.0)):
                parent.grad += slope * out.grad

        out._backward = _backward
        return out


class Equal(Slopes):
    def __eq__(self, other):
        return self.data == other.data


class NoNumbers(Closures):
    """Its operators take no plain numbers."""

    def __add__(self, other):
        return NoNumbers(other.data) and Closures.__add__(self, other)


class Returns(Closures):
    def exp(self):
        return math.exp(self.data)


class NoGrad:
    def __init__(self, data):
        self.data = data


def exp_of_a_value(self):
    return type(self)(math.exp(self))


SLOT_SAID = "gradients add up, so write += and not ="
ENGINES = [
    (closures("__add__", add_assigns), SLOT_SAID),
    (closures("__mul__", mul_assigns), SLOT_SAID),
    (closures("exp", exp_assigns), "write += and not = in this operator"),
    (closures("log", log_assigns), "write += and not = in this operator"),
    (closures("__mul__", mul_own_data), "is b in a and a in b"),
    (closures("__mul__", mul_forgets), "was not multiplied by the gradient"),
    (closures("log", log_forgets), "was not multiplied by the gradient"),
    (closures("exp", exp_of_data), "is the result itself, exp(a)"),
    (closures("log", log_multiplies), "operator is 1 / a"),
    (closures("__pow__", power_keeps_exponent), "k a ** (k - 1)"),
    (closures("__sub__", sub_adds), "is 1 in a and -1 in b"),
    (engine_with(__sub__=sub_turned), "self + (-other), not other + (-self)"),
    (engine_with(__rsub__=rsub_turned), "The operands are turned round"),
    (engine_with(__truediv__=division_turned), "operands are turned round"),
    (engine_with(__radd__=radd_asks_itself), "__radd__ that returns other"),
    (engine_with(log=log10), "another base than e"),
    (engine_with(backward=unordered), "before all of it had arrived"),
    (type("Value", (Ordered,), {"backward": unordered}),
     "passed its gradient on twice"),
    (engine_with(backward=breadth_first), "before all of it had arrived"),
    (type("Value", (Ordered,), {"backward": depth_first}),
     "before all of it had arrived"),
    (engine_with(backward=not_reversed), "reversed(order)"),
    (StartsAtZero, "must be 1.0 before the first step"),
    (OneParent, "(a set holds one)"),
    (Equal, "leave __eq__ out"),
    (Returns, "an operator returns a new Value"),
    (engine_with(exp=exp_of_a_value), "take plain numbers: value.data"),
    (NoGrad, "a method backward()"),
]


@pytest.mark.parametrize("planted, likely", ENGINES)
def test_an_engines_fault_is_named(planted, likely):
    assert likely in refuses(check.softmax, planted, shifted, nll_by_lse)


def test_a_wrong_gradient_of_the_result_is_refused():
    said = refuses(check.softmax, StartsAtTwo, by_lse, nll_by_lse)
    assert "expected derivatives 1, 1" in said


def without(*names):
    body = {name: value for name, value in vars(Closures).items()
            if name not in names and name not in ("__dict__", "__weakref__")}
    return type("Value", (), body)


def four_steps(logits):
    counts = [z.exp() for z in logits]
    total = sum(counts)
    return [count / total for count in counts]


def nll_of_probability(logits, label):
    return -shifted(logits)[label].log()


MISSING = [
    (without("__radd__"), shifted, nll_by_lse,
     "asks the Value for __radd__, which it does not define. sum() needs it"),
    (without("__sub__", "__rsub__"), shifted, nll_by_lse,
     "Value defines no __sub__"),
    (without("__truediv__"), shifted, nll_by_lse, "defines no __truediv__"),
    (without("exp"), shifted, nll_by_lse, "Value has no method exp yet"),
    (without("log"), shifted, nll_by_lse, "Value has no method log yet"),
    (without("__neg__", "__sub__"), lambda z: four_steps(z),
     nll_of_probability, "defines no __"),
    (NoNumbers, shifted, nll_by_lse, "let the operators take numbers too"),
    (Closures, lambda z: [v - max(z) for v in z], nll_by_lse,
     "max cannot compare these"),
    (Closures, lambda z: [math.exp(v) for v in z], nll_by_lse,
     "math.exp and math.log take plain numbers"),
]


@pytest.mark.parametrize("Value, softmax, nll, likely", MISSING)
def test_what_an_engine_lacks_is_named(Value, softmax, nll, likely):
    assert likely in refuses(check.softmax, Value, softmax, nll)


# Softmax and loss with one fault --------------------------------------------

V = Closures


def probabilities(z):
    return [p.data for p in shifted(z)]


def numerator_only(z):
    top = max(v.data for v in z)
    total = sum(v.exp() for v in z)
    return [(v - top).exp() / total for v in z]


def rest_only(z):
    counts = [v.exp() for v in z]
    return [c / (sum(counts) - c) if len(z) > 1 else c / c for c in counts]


SOFTMAX_WRONG = [
    (lambda z: [v.exp() for v in z], "divide each by their sum"),
    (lambda z: [v / sum(z) for v in z], "exponentiate them first"),
    (lambda z: [p.log() for p in shifted(z)], "logarithms of the prob"),
    (lambda z: shifted([-v for v in z]), "a sign is turned"),
    (lambda z: shifted([v * math.log(2) for v in z]), "The base is not e"),
    (numerator_only, "subtract it from every logit first"),
    (rest_only, "leaves the logit's own exponential out"),
    (lambda z: [(v - max(w.data for w in z)).exp() for v in z],
     "the largest exponential"),
    (lambda z: [V(p) for p in probabilities(z)], "No gradient reaches"),
    (lambda z: [v.exp() / sum(w.exp() for w in z).data for v in z],
     "The sum was taken as a plain number"),
    (lambda z: shifted(z)[0], "a probability for each logit"),
    (lambda z: probabilities(z), "return a Value, from which backward"),
    (four_steps, "subtract the largest logit, as a plain number"),
    (lambda z: shifted(z)[1:], "expected probabilities 4 numbers"),
]


@pytest.mark.parametrize("planted, likely", SOFTMAX_WRONG)
def test_a_mistake_in_softmax_is_named(planted, likely):
    assert likely in refuses(check.softmax, V, planted, nll_by_lse)


def log_sum(z):
    return sum(v.exp() for v in z).log()


def maximum_lost(z, y):
    top = max(v.data for v in z)
    return sum((v - top).exp() for v in z).log() - z[y]


def half_a_value(z, y):
    top = max(z, key=lambda v: v.data)
    return sum((v - top).exp() for v in z).log() + top.data - z[y]


def other_half(z, y):
    top = max(z, key=lambda v: v.data)
    return sum((v - top.data).exp() for v in z).log() + top - z[y]


def backward_inside(z, y):
    loss = nll_by_lse(z, y)
    loss.backward()
    return loss


def as_number(z, y):
    return nll_by_lse(z, y).data


def gradient_of_p(z, y):
    """A loss of the right value whose gradient is that of -p."""
    p = shifted(z)[y]
    return -p + (p.data - math.log(p.data))


class Shares:
    """The first call of each label's kind is right, later ones are not."""

    def __init__(self):
        self.kept = []

    def __call__(self, z, y):
        loss = nll_by_lse(z, y)
        self.kept.append(loss)
        return sum(self.kept)


def lost_path(z, y):
    return nll_by_lse(z, y) - z[0] + z[0].data


NLL_WRONG = [
    (lambda z, y: shifted(z)[y].log(), "The sign is turned"),
    (lambda z, y: nll_by_lse(z, y) / math.log(10), "another base"),
    (lambda z, y: nll_by_lse(z, y) / math.log(2), "another base"),
    (lambda z, y: nll_by_lse(z, y - 1), "the loss of another label"),
    (lambda z, y: nll_by_lse(z, 0), "the loss of another label"),
    (lambda z, y: shifted(z)[y], "The logarithm is missing"),
    (lambda z, y: -shifted(z)[y], "The logarithm is missing"),
    (lambda z, y: sum(nll_by_lse(z, i) for i in range(len(z))),
     "losses of all labels"),
    (lambda z, y: sum(nll_by_lse(z, i) for i in range(len(z))) / len(z),
     "losses of all labels"),
    (lambda z, y: nll_by_lse(z, y) / len(z), "nothing to average over"),
    (lambda z, y: nll_by_lse(shifted(z), y), "A softmax was taken twice"),
    (lambda z, y: lse(z), "the label's logit was not subtracted"),
    (lambda z, y: -z[y], "the log of the sum of exponentials was not added"),
    (maximum_lost, "inside the sum and not outside"),
    (lambda z, y: -(shifted(z)[y] + 1e-8).log(), "inside the logarithm"),
    (lambda z, y: lse(z) - z[y].data, "the label's logit was a plain number"),
    (lambda z, y: -z[y] + lse(z).data, "minus the one-hot label"),
    (lambda z, y: V(nll_by_lse(z, y).data), "No gradient reaches"),
    (lambda z, y: -nll_by_lse(z, y) + 2 * nll_by_lse(z, y).data,
     "The gradient's sign is turned"),
    (lambda z, y: nll_by_lse(z, y) / len(z) + (
        1 - 1 / len(z)) * nll_by_lse(z, y).data, "divided by the number of"),
    (gradient_of_p, "the logarithm's derivative 1 / p is missing"),
    (backward_inside, "nll has called backward already"),
    (half_a_value, "one of two derivatives that cancel is missing"),
    (other_half, "one of two derivatives that cancel is missing"),
    (lost_path, "The gradients do not add up to 0"),
    (as_number, "return a Value, from which backward"),
    (lambda z, y: log_sum(z) - z[y],
     "subtract the largest logit, as a plain number"),
    (nll_of_probability, "where no probability is computed"),
    (Shares(), "something is kept between the two"),
]


@pytest.mark.parametrize("planted, likely", NLL_WRONG)
def test_a_mistake_in_nll_is_named(planted, likely):
    assert likely in refuses(check.softmax, V, shifted, planted)


def test_engines_that_raise_for_large_numbers_get_the_same_hint():
    said = refuses(check.softmax, engine.Value, four_steps, nll_by_lse)
    assert "exp of 1000.0: too large" in said
    assert "subtract the largest logit" in said
    said = refuses(check.softmax, engine.Value, shifted, nll_of_probability)
    assert "where no probability is computed" in said


def test_a_message_has_input_expected_and_got():
    said = refuses(check.softmax, V, shifted, lambda z, y: lse(z))
    assert "input nll([Value(0.7), Value(2.4), Value(-1.1)" in said
    assert "expected loss 2.4804" in said and "got loss 2.6804" in said


# PyTorch ------------------------------------------------------------------


def torch_answer(loss=F.cross_entropy, dtype=torch.float64, tensor=None):
    """loss_and_gradient with another loss(z, y) or another tensor."""
    def loss_and_gradient(logits, label):
        z = (tensor(logits) if tensor
             else torch.tensor(logits, dtype=dtype, requires_grad=True))
        value = loss(z, torch.tensor(label))
        value.backward()
        return value, z.grad

    return loss_and_gradient


def plain(logits, label):
    z = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    loss = -z.softmax(0)[label].log()
    loss.backward()
    return loss.item(), z.grad.tolist()


def with_grad(logits, label):
    z = torch.tensor([logits], dtype=torch.double).requires_grad_()
    loss = F.cross_entropy(z, torch.tensor([label]))
    (grad,) = torch.autograd.grad(loss, z)
    return [loss, grad[0].numpy(), "more"]


def scalars(logits, label):
    """A tensor for each logit."""
    zs = [torch.tensor(x, dtype=torch.float64, requires_grad=True)
          for x in logits]
    counts = [z.exp() for z in zs]
    loss = -(counts[label] / sum(counts)).log()
    loss.backward()
    return loss, [z.grad for z in zs]


@pytest.mark.parametrize("answer", [
    torch_answer(), plain, with_grad, scalars], ids=lambda f: f.__name__)
def test_softmax_torch_accepts(capsys, answer):
    passes(capsys, check.softmax_torch, answer)


def rounded(logits):
    return torch.Tensor(logits).double().requires_grad_()


def no_leaf(logits):
    return torch.tensor(logits, requires_grad=True).double()


def twice(logits, label):
    z = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    loss = F.cross_entropy(z, torch.tensor(label))
    loss.backward(retain_graph=True)
    loss.backward()
    return loss, z.grad


def loss_first(logits, label):
    loss, grad = plain(logits, label)
    return grad, loss


TORCH_WRONG = [
    (torch_answer(dtype=torch.float32), "This is right to float32"),
    (torch_answer(tensor=rounded), "rounded to float32 before they became"),
    (torch_answer(tensor=lambda z: torch.tensor(z, dtype=torch.float64)),
     "requires_grad=True, and compute the loss with tensors"),
    (torch_answer(lambda z, y: F.cross_entropy(z.softmax(0), y)),
     "A softmax was taken twice"),
    (torch_answer(lambda z, y: z.softmax(0)[y].log()), "The sign is turned"),
    (torch_answer(lambda z, y: -z.softmax(0)[y].log10()), "another base"),
    (torch_answer(lambda z, y: -z.softmax(0)[y].log2()), "another base"),
    (torch_answer(lambda z, y: -z.log_softmax(0)[y - 1]), "another label"),
    (torch_answer(lambda z, y: z.softmax(0)[y]), "logarithm is missing"),
    (torch_answer(lambda z, y: -z.log_softmax(0).sum()), "all labels"),
    (torch_answer(lambda z, y: -z.log_softmax(0).mean()), "all labels"),
    (torch_answer(lambda z, y: -z.log_softmax(0)[y] / len(z)),
     "nothing to average over"),
    (torch_answer(lambda z, y: z.logsumexp(0)), "was not subtracted"),
    (torch_answer(lambda z, y: -z[y]), "exponentials was not added"),
    (torch_answer(lambda z, y: z.logsumexp(0) - z[y].detach()),
     "This is p: the label's logit"),
    (torch_answer(lambda z, y: z.logsumexp(0).detach() - z[y]),
     "minus the one-hot label"),
    (twice, "backward ran twice"),
    (lambda z, y: (plain(z, y)[0],
                   torch.tensor(z, dtype=torch.float64).softmax(0)),
     "This is p: the label's logit"),
    (lambda z, y: plain(z, y)[0], "return the loss and its gradient"),
    (loss_first, "expected loss 1 numbers"),
]


@pytest.mark.parametrize("planted, likely", TORCH_WRONG)
def test_a_mistake_in_torch_is_named(planted, likely):
    assert likely in refuses(check.softmax_torch, planted)


@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_a_tensor_that_keeps_no_gradient_is_named():
    said = refuses(check.softmax_torch, torch_answer(tensor=no_leaf))
    assert "keeps none: torch.tensor(logits, dtype=torch.float64" in said
