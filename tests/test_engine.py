"""zth.engine; oracles: torch in float64, central differences, closed forms.

One checker, `agrees`, holds for every operation: OPERATIONS gives each a
function that Value and torch both understand, and where to try it.
"""

import math
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from zth.engine import Value, topological, weighted_sum

ROOT = Path(__file__).resolve().parents[1]


def number(value):
    """The float in a Value or a tensor; a float as it is."""
    return getattr(value, "data", value) + 0.0


def gradients(function, inputs):
    """f and its gradient by the engine."""
    leaves = [Value(x) for x in inputs]
    out = function(*leaves)
    out.backward()
    return out.data, [leaf.grad for leaf in leaves]


def torch_gradients(function, inputs):
    leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True)
              for x in inputs]
    out = function(*leaves)
    grads = torch.autograd.grad(out, leaves, allow_unused=True)
    return out.item(), [0.0 if g is None else g.item() for g in grads]


def central_differences(function, inputs):
    """The gradient from the function's values alone, error about h squared."""
    found = []
    for i, x in enumerate(inputs):
        h = 1e-5 * max(1.0, abs(x))
        ahead, behind = (
            function(*inputs[:i], Value(x + step), *inputs[i + 1:])
            for step in (h, -h))
        found.append((number(ahead) - number(behind)) / (2 * h))
    return found


def close(ours, theirs, rel=1e-12):
    assert ours == pytest.approx(theirs, rel=rel, abs=rel)


def agrees(function, inputs):
    """The engine's value and gradient are torch's, and the differences'."""
    out, grads = gradients(function, inputs)
    theirs, their_grads = torch_gradients(function, inputs)
    close(out, theirs)
    close(grads, their_grads)
    differences = central_differences(function, [Value(x).data
                                                 for x in inputs])
    close(grads, differences, rel=1e-5)


def logarithm(x):
    return x.log()


ANY, POSITIVE, NONZERO = (-3.0, 3.0), (0.1, 3.0), (0.2, 3.0)
OPERATIONS = {
    # name: (function, the range of each input)
    "a + b": (lambda a, b: a + b, [ANY, ANY]),
    "a + 2": (lambda a: a + 2, [ANY]),
    "2 + a": (lambda a: 2 + a, [ANY]),
    "a - b": (lambda a, b: a - b, [ANY, ANY]),
    "a - 2": (lambda a: a - 2, [ANY]),
    "2 - a": (lambda a: 2 - a, [ANY]),
    "a * b": (lambda a, b: a * b, [ANY, ANY]),
    "a * 3": (lambda a: a * 3, [ANY]),
    "3 * a": (lambda a: 3 * a, [ANY]),
    "a / b": (lambda a, b: a / b, [ANY, NONZERO]),
    "a / -b": (lambda a, b: a / -b, [ANY, NONZERO]),
    "a / 3": (lambda a: a / 3, [ANY]),
    "3 / a": (lambda a: 3 / a, [NONZERO]),
    "-a": (lambda a: -a, [ANY]),
    "a ** b": (lambda a, b: a**b, [POSITIVE, ANY]),
    "a ** 3": (lambda a: a**3, [ANY]),
    "a ** -2": (lambda a: a**-2, [NONZERO]),
    "(-a) ** -3": (lambda a: (-a) ** -3, [NONZERO]),
    "a ** 2.5": (lambda a: a**2.5, [POSITIVE]),
    "a ** 0": (lambda a: a**0, [ANY]),
    "2 ** a": (lambda a: 2**a, [ANY]),
    "exp": (lambda a: a.exp(), [ANY]),
    "log": (logarithm, [POSITIVE]),
    "tanh": (lambda a: a.tanh(), [ANY]),
    "relu": (lambda a: a.relu(), [ANY]),
    "a + a": (lambda a: a + a, [ANY]),
    "a * a": (lambda a: a * a, [ANY]),
    "a - a": (lambda a: a - a, [ANY]),
    "a / a": (lambda a: a / a, [NONZERO]),
    "a ** a": (lambda a: a**a, [POSITIVE]),
    "shared": (lambda a, b: (c := a * b) * c + c.tanh() / (a + c.exp()),
               [POSITIVE, POSITIVE]),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_agrees_with_torch_and_with_differences(name):
    function, ranges = OPERATIONS[name]
    rng = random.Random(name)
    for _ in range(20):
        agrees(function, [rng.uniform(*r) for r in ranges])


def test_every_operation_of_the_class_is_in_the_table():
    used = set()
    for name, (function, ranges) in OPERATIONS.items():
        out = function(*[Value(r[1] / 2) for r in ranges])
        used |= {node.op[:2] if node.op.startswith("**") else node.op
                 for node in topological(out)}
    assert used == {"", "+", "-", "*", "/", "**", "neg", "exp", "log", "tanh",
                    "relu"}


# Random expressions ---------------------------------------------------------

INPUTS = [st.floats(-2, 2, allow_nan=False) for _ in range(3)]


def positive(x):
    return x * x + 0.5


BINARY = [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b,
          lambda a, b: a / positive(b), lambda a, b: positive(a) ** b.tanh(),
          lambda a, b: 2 - a * b]
UNARY = [lambda a: -a, lambda a: a.tanh(), lambda a: a.tanh().exp(),
         lambda a: positive(a).log(), lambda a: (a * a * a).relu(),
         lambda a: positive(a) ** -1.5, lambda a: 1 / positive(a)]


@st.composite
def programs(draw):
    """A list of (operation, places of its operands); each may be used again."""
    steps = []
    for count in range(3, 3 + draw(st.integers(1, 12))):
        place = st.integers(0, count - 1)
        if draw(st.booleans()):
            steps.append((draw(st.sampled_from(BINARY)),
                          (draw(place), draw(place))))
        else:
            steps.append((draw(st.sampled_from(UNARY)), (draw(place),)))
    return steps


def run(steps, inputs):
    values = list(inputs)
    for operation, places in steps:
        values.append(operation(*[values[i] for i in places]))
    return values[-1] + values[0] * 0  # torch needs a graph to follow


@settings(max_examples=150)
@given(programs(), st.tuples(*INPUTS))
def test_a_random_expression_has_torchs_value_and_gradient(steps, inputs):
    out, grads = gradients(lambda *x: run(steps, x), inputs)
    theirs, their_grads = torch_gradients(lambda *x: run(steps, x), inputs)
    if not math.isfinite(theirs) or not np.isfinite(their_grads).all():
        return  # multiplied beyond what a float holds
    scale = max(map(abs, their_grads), default=1.0)
    close(out, theirs, rel=1e-10)
    assert grads == pytest.approx(their_grads, rel=1e-9,
                                  abs=1e-10 * max(1.0, scale))


# What it promises beside the numbers ------------------------------------


def test_micrograds_example():
    a, b = Value(-4.0), Value(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    g.backward()
    close(g.data, 24.70408163265306)
    close([a.grad, b.grad], [138.83381924198252, 645.5772594752186])


def test_the_lectures_neuron():
    x1, x2, w1, w2 = Value(2.0), Value(0.0), Value(-3.0), Value(1.0)
    n = x1 * w1 + x2 * w2 + Value(6.8813735870195432)
    o = n.tanh()
    o.backward()
    assert n.data == 0.8813735870195432
    close(o.data, 0.7071067811865476)  # the lecture's tanh divides exponentials
    close(n.grad, 0.5)
    close([x1.grad, w1.grad, x2.grad, w2.grad], [-1.5, 1.0, 0.5, 0.0])


def test_a_chain_of_100_000_operations():
    x = out = Value(1.0)
    for _ in range(50_000):
        out = out * 0.5 + 1.0
    out.backward()
    assert out.data == 2.0 and x.grad == 0.0  # 0.5 ** 50000
    x = out = Value(1.0)
    for _ in range(100_000):
        out = out + 1
    out.backward()
    assert x.grad == 1.0


def test_shared_nodes_are_visited_once():
    x = out = Value(1.0)
    for _ in range(64):
        out = out + out  # 2 ** 64 paths
    out.backward()
    assert x.grad == 2.0**64
    assert len(topological(out)) == 65


def test_parents_come_after_what_was_made_of_them():
    rng = random.Random(1)
    values = [Value(rng.random()) for _ in range(5)]
    for _ in range(200):
        values.append(rng.choice(values) + rng.choice(values))
    order = topological(sum(values[:100]))
    place = {node: i for i, node in enumerate(order)}
    assert len(place) == len(order)
    for node in order:
        assert all(place[parent] > place[node] for parent in node.parents)


def test_gradients_are_equal_to_the_bit_from_run_to_run():
    code = ("import random\nfrom zth.neuron import MLP\n"
            "net = MLP(3, [8, 8, 1], rng=random.Random(1))\n"
            "out = sum(net([a, b, a * b]).tanh() ** 2\n"
            "          for a in (0.1, 0.7) for b in (-0.3, 0.9))\n"
            "out.backward()\n"
            "print([p.grad.hex() for p in net.parameters()])")
    outputs = {subprocess.run(
        [sys.executable, "-c", f"junk = [object() for _ in range({i})]\n"
         + code], cwd=ROOT, capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(i)}).stdout
        for i in range(3)}
    assert len(outputs) == 1 and "0x" in outputs.pop()


def test_a_second_backward_adds_to_leaves_and_to_nothing_else():
    x = Value(3.0)
    y = x * x
    z = y * y  # dz/dy = 2 y = 18, dz/dx = 4 x ** 3 = 108
    z.backward()
    assert (z.grad, y.grad, x.grad) == (1.0, 18.0, 108.0)
    z.backward()
    assert (z.grad, y.grad, x.grad) == (1.0, 18.0, 216.0)
    x.grad = 0.0  # the leaves are all that has to be reset
    z.backward()
    assert (z.grad, y.grad, x.grad) == (1.0, 18.0, 108.0)


def test_two_results_that_share_a_node_add_up():
    x = Value(3.0)
    y = x * x
    (2 * y).backward()
    (5 * y).backward()
    assert x.grad == 7 * 6


def test_backward_on_a_leaf():
    x = Value(3.0)
    x.backward()
    assert x.grad == 1.0


@pytest.mark.parametrize("plain", [2, 2.0, True, Fraction(1, 2), np.float64(2),
                                   np.float32(2), np.int64(2)])
def test_plain_numbers_on_either_side(plain):
    x, n = Value(1.5), float(plain)
    for got, want in ((x + plain, 1.5 + n), (plain + x, n + 1.5),
                      (x - plain, 1.5 - n), (plain - x, n - 1.5),
                      (x * plain, 1.5 * n), (plain * x, n * 1.5),
                      (x / plain, 1.5 / n), (plain / x, n / 1.5),
                      (x**plain, 1.5**n), (plain**x, n**1.5)):
        assert type(got) is Value and type(got.data) is float
        close(got.data, want)


def test_sum_starts_at_a_plain_zero():
    assert sum([Value(1), Value(2)]).data == 3.0


@pytest.mark.parametrize("bad", ["2", None, 1j, [1.0], torch.tensor(1.0)])
def test_what_is_no_real_number_is_refused(bad):
    with pytest.raises(ValueError, match="data=.*must be a real number"):
        Value(bad)
    with pytest.raises(ValueError, match="must be a real number"):
        Value(1.0) * bad


@pytest.mark.parametrize("compute, said", [
    (lambda: Value(0.0).log(), "log of 0.0: must be positive"),
    (lambda: Value(-2.0).log(), "log of -2.0: must be positive"),
    (lambda: Value(3) / Value(0), "3.0 / 0.0: division by zero"),
    (lambda: 3 / Value(0), "3.0 / 0.0: division by zero"),
    (lambda: Value(3) / 0, "3.0 / 0.0: division by zero"),
    (lambda: Value(0) ** -1, "0.0 ** -1.0: division by zero"),
    (lambda: Value(-8) ** (1 / 3), "(-8.0) ** 0.3333333333333333: not real"),
    (lambda: Value(-8) ** Value(0.5), "(-8.0) ** 0.5: not real"),
    (lambda: (-8) ** Value(0.5), "(-8.0) ** 0.5: not real"),
    (lambda: Value(10) ** 400, "(10.0) ** 400.0: too large"),
    (lambda: Value(710).exp(), "exp of 710.0: too large"),
])
def test_an_error_names_the_operation_and_its_operands(compute, said):
    with pytest.raises(ValueError) as error:
        compute()
    assert said in str(error.value)


def test_a_derivative_that_does_not_exist_is_an_error_only_when_needed():
    x, n = Value(-2.0), Value(3.0)
    cube = x**n  # the number is fine
    assert cube.data == -8.0
    root = Value(0.0)
    slow = root**0.5
    assert slow.data == 0.0
    square = x * x
    square.backward()
    other = Value(1.0)
    with pytest.raises(ValueError, match=r"\(-2.0\) \*\* 3.0: no derivative "
                       "in the exponent, the base must be positive"):
        (square * cube * other).backward()
    assert (x.grad, square.grad) == (-4.0, 1.0)  # as they were before
    assert n.grad == other.grad == 0.0
    x.grad = 0.0
    with pytest.raises(ValueError, match=r"\*\*0.5 at base 0.0: no deriv"):
        slow.backward()
    plain = x**3  # a plain number has no derivative to ask for
    plain.backward()
    assert x.grad == 12.0


@pytest.mark.parametrize("base, exponent, slope", [
    (0, 0, 0.0), (0, 1, 1.0), (0, 2, 0.0), (0, 1.5, 0.0), (-2, 2, -4.0),
    (-2, -1, -0.25), (1e-200, 2, 2e-200), (5, 0, 0.0)])
def test_powers_at_the_edges(base, exponent, slope):
    x = Value(base)
    (x**exponent).backward()
    assert x.grad == pytest.approx(slope, rel=1e-15)


def test_tanh_and_relu_far_out():
    for x, value, slope in ((1000.0, 1.0, 0.0), (-1000.0, -1.0, 0.0)):
        assert gradients(lambda a: a.tanh(), [x]) == (value, [slope])
    assert gradients(lambda a: a.relu(), [0.0]) == (0.0, [0.0])


def test_a_weighted_sum_is_the_sum_of_products():
    rng = random.Random(1)
    for n in (1, 2, 7):
        w = [rng.uniform(-1, 1) for _ in range(n)]
        x = [rng.uniform(-1, 1) for _ in range(n)]

        def chain(*values):
            out = values[-1]
            for wi, xi in zip(values, values[n:-1]):
                out = out + wi * xi
            return out

        def at_once(*values):
            return weighted_sum(values[:n], values[n:-1], values[-1])

        value, grads = gradients(at_once, [*w, *x, 0.3])
        wanted, wanted_grads = gradients(chain, [*w, *x, 0.3])
        close(value, wanted)
        close(grads, wanted_grads)
    with pytest.raises(ValueError, match="inputs=.*must be 2, one for each"):
        weighted_sum([Value(1), Value(2)], [1.0], Value(0))
    for plain in ([2.0, Value(1)], [Value(2), 1], np.array([2.0, 1.0])):
        weights = [Value(3.0), Value(0.5)]
        out = weighted_sum(weights, plain, Value(-1))
        out.backward()
        assert out.data == 5.5 and [w.grad for w in weights] == [2.0, 1.0]
    with pytest.raises(ValueError, match="data='a': must be a real number"):
        weighted_sum([Value(1)], ["a"], Value(0))
    shared = Value(3.0)  # the same value as weight and as input
    weighted_sum([shared], [shared], Value(1)).backward()
    assert shared.grad == 6.0


def test_it_needs_neither_torch_nor_numpy():
    code = "import zth.engine, zth.neuron, sys\n" \
        "print({'torch', 'numpy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True,
                           capture_output=True, check=True)
    assert found.stdout == "set()\n"


def test_repr_shows_data_and_gradient():
    assert repr(Value(2)) == "Value(data=2.0, grad=0.0)"


@example(a=1.0)
@given(st.floats(0.01, 100))
def test_log_and_exp_undo_each_other(a):
    out, (grad,) = gradients(lambda x: x.log().exp(), [a])
    close(out, a)
    close(grad, 1.0)
