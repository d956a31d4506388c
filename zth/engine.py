"""Reverse-mode automatic differentiation of scalars: micrograd's `Value`.

Each operation makes a node that holds its result, the operands it came from,
and the slope of the result in each of them. `Value.backward` follows these
from a result to everything that it depends on. Needs nothing but Python.
"""

import math
from numbers import Real
from operator import mul


class Value:
    """A number that knows how it was computed.

    data: the number, a float. grad: the derivative of the value on which
    `backward` was last called with respect to this one; 0.0 before.
    parents: the operands it was computed from, none for a leaf. slopes: its
    derivative in each parent, None where there is none.
    ValueError if data is not a real number.
    """

    __slots__ = ("data", "grad", "parents", "slopes", "op")
    __array_ufunc__ = None  # numpy's numbers leave the operators to us

    def __init__(self, data, parents=(), slopes=(), op=""):
        if type(data) is not float:
            if not isinstance(data, Real):
                raise ValueError(f"data={data!r}: must be a real number")
            data = float(data)
        self.data = data
        self.grad = 0.0
        self.parents = parents
        self.slopes = slopes
        self.op = op

    def __add__(self, other):
        other = as_value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0), "+")

    def __sub__(self, other):
        other = as_value(other)
        return Value(self.data - other.data, (self, other), (1.0, -1.0), "-")

    def __mul__(self, other):
        other = as_value(other)
        return Value(self.data * other.data, (self, other),
                     (other.data, self.data), "*")

    def __truediv__(self, other):
        other = as_value(other)
        if other.data == 0:
            raise ValueError(f"{self.data} / {other.data}: division by zero")
        out = self.data / other.data
        return Value(out, (self, other), (1 / other.data, -out / other.data),
                     "/")

    def __pow__(self, other):
        """Power; a plain number as exponent is no parent, a `Value` is one.

        The derivative in the exponent exists where the base is positive.
        """
        a, b = self.data, as_value(other).data
        out, slope = power(a, b), power_slope(a, b)
        if not isinstance(other, Value):
            return Value(out, (self,), (slope,), f"**{b:g}")
        slopes = (slope, out * math.log(a) if a > 0 else None)
        return Value(out, (self, other), slopes, "**")

    def __neg__(self):
        return Value(-self.data, (self,), (-1.0,), "neg")

    def exp(self):
        try:
            out = math.exp(self.data)
        except OverflowError:
            raise ValueError(f"exp of {self.data}: too large") from None
        return Value(out, (self,), (out,), "exp")

    def log(self):
        """Natural logarithm."""
        if self.data <= 0:
            raise ValueError(f"log of {self.data}: must be positive")
        return Value(math.log(self.data), (self,), (1 / self.data,), "log")

    def tanh(self):
        out = math.tanh(self.data)
        return Value(out, (self,), (1 - out * out,), "tanh")

    def relu(self):
        """The larger of the number and 0; its slope at 0 is taken as 0."""
        positive = self.data > 0
        return Value(self.data if positive else 0.0, (self,),
                     (1.0 if positive else 0.0,), "relu")

    def __radd__(self, other):
        return as_value(other) + self

    def __rsub__(self, other):
        return as_value(other) - self

    def __rmul__(self, other):
        return as_value(other) * self

    def __rtruediv__(self, other):
        return as_value(other) / self

    def __rpow__(self, other):
        return as_value(other) ** self

    def backward(self):
        """Add d self / d leaf to each leaf's grad; set all other grads.

        So a second call without new zeros in the leaves leaves their sum
        there. ValueError, and no grad is changed, where a derivative that is
        needed does not exist.
        """
        computed = [node for node in topological(self) if node.parents]
        for node in computed:
            if node.slopes[0] is None or node.slopes[-1] is None:
                raise ValueError(no_slope(node))
        for node in computed:
            node.grad = 0.0
        self.grad += 1.0
        for node in computed:
            grad = node.grad
            for parent, slope in zip(node.parents, node.slopes):
                parent.grad += slope * grad

    def __repr__(self):
        return f"Value(data={self.data}, grad={self.grad})"


def as_value(number):
    """A `Value` as it is, a plain number as a new leaf."""
    return number if isinstance(number, Value) else Value(number)


def weighted_sum(weights, inputs, bias):
    """bias + sum_i weights[i] * inputs[i] as one node.

    One node for the sum, instead of two for each term: what a neuron does.
    weights, bias: `Value`s; inputs: as many `Value`s or numbers, else
    ValueError.
    """
    if len(weights) != len(inputs):
        raise ValueError(f"inputs={inputs}: must be {len(weights)}, one for "
                         "each weight")
    w = [weight.data for weight in weights]
    try:
        x = [value.data for value in inputs]
        out = sum(map(mul, w, x), bias.data)
    except (AttributeError, TypeError):  # there are plain numbers among them
        return weighted_sum(weights, [as_value(x) for x in inputs], bias)
    return Value(out, (*weights, *inputs, bias), (*x, *w, 1.0), "sum")


def topological(root):
    """root and all that it came from, each before the operands it came from.

    Depth first without recursion: a node stays on the stack, under a None,
    until all under it are done. The order follows that of the operands, so
    that it is the same in every run.
    """
    order, seen, stack = [], set(), [root]
    while stack:
        node = stack.pop()
        if node is None:
            order.append(stack.pop())
        elif node not in seen:
            seen.add(node)
            stack += (node, None, *node.parents)
    return order[::-1]


def power(a, b):
    """a ** b for floats; ValueError where that is no real number."""
    if a == 0 and b < 0:
        raise ValueError(f"{a} ** {b}: division by zero")
    if a < 0 and b % 1:
        raise ValueError(f"({a}) ** {b}: not real, a negative base needs a "
                         "whole exponent")
    try:
        return a**b
    except OverflowError:
        raise ValueError(f"({a}) ** {b}: too large") from None


def power_slope(a, b):
    """The derivative of a ** b in a; None where no float is it."""
    if b == 0:
        return 0.0
    try:
        return b * power(a, b - 1)
    except ValueError:
        return None


def no_slope(node):
    """What to say of a power whose derivative does not exist."""
    base = node.parents[0].data
    if node.slopes[0] is None:
        return f"{node.op} at base {base}: no derivative in the base"
    exponent = node.parents[1].data
    return (f"({base}) ** {exponent}: no derivative in the exponent, the base "
            "must be positive; a constant exponent can be a plain number")
