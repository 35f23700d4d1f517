"""The steps of training, compiled by numba: 17 times as fast as in NumPy, on one core.

NumPy needs some hundred operations for a step of five small pictures, each of which reads and writes the maps of all
five. Here a step is one function. Each picture passes forward and backward alone, so its maps stay in the processor's
cache; the four values of a convolution that a pooling compares are never stored; and only the largest gets a gradient.

The eight filters are the eight lanes of a vector register. LLVM need not find that out from loops: the type `_Eight` is
such a register, and the functions of the first part are its instructions. All is in one file, because numba's cache on
the disk detects changes only in the file of the cached function.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

from peculiar.exercise.adam import Adam
from peculiar.exercise.network import Network
from peculiar.exercise.steps import Steps

if config.DISABLE_JIT:
    raise ImportError("the compiler of numba is switched off (NUMBA_DISABLE_JIT)")

_LANES = 8
_UNITS = 16

# Functions that only compiled code calls need no wrapper for Python.
_inner = njit(error_model="numpy", no_cpython_wrapper=True)

_Numbers = NDArray[np.float32]
"""A flat array."""


class _Eight(types.Type):
    """Eight numbers of float32, in a register."""

    def __init__(self) -> None:
        super().__init__("Eight")


_eight = _Eight()
_VECTOR = ir.VectorType(ir.FloatType(), _LANES)


@register_model(_Eight)
class _EightModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, place: Any) -> Any:
    data = cgutils.create_struct_proxy(kind)(context, builder, array).data
    return builder.gep(data, [place], source_etype=ir.FloatType())


def _in_all_lanes(builder: Any, number: Any) -> Any:
    undefined, first = ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), _LANES), None)
    return builder.shuffle_vector(builder.insert_element(undefined, number, ir.IntType(32)(0)), undefined, first)


@intrinsic
def _load(typing: Any, array: Any, place: Any) -> Any:
    """Load eight neighbours of a flat array, from `place` on; negative places do not count from its end."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load(builder.bitcast(pointer, _VECTOR.as_pointer()), typ=_VECTOR, align=4)

    return _eight(array, types.intp), generate


@intrinsic
def _store(typing: Any, array: Any, place: Any, value: Any) -> Any:
    """Store eight numbers in a flat array, from `place` on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], builder.bitcast(pointer, _VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.none(array, types.intp, _eight), generate


@intrinsic
def _spread(typing: Any, number: Any) -> Any:
    """Copy a number to all lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _in_all_lanes(builder, arguments[0])

    return _eight(types.float32), generate


@intrinsic
def _spread_from(typing: Any, array: Any, place: Any) -> Any:
    """Copy the number at `place` of a flat array to all lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return _in_all_lanes(builder, builder.load(pointer, typ=ir.FloatType()))

    return _eight(array, types.intp), generate


@intrinsic
def _multiply_add(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c, rounded once where the processor can."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, b, c = arguments
        return builder.fadd(builder.fmul(a, b, flags=["contract"]), c, flags=["contract"])

    return _eight(_eight, _eight, _eight), generate


def _where(relation: str) -> Any:
    def where(typing: Any, a: Any, b: Any, yes: Any, no: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            a, b, yes, no = arguments
            return builder.select(builder.fcmp_ordered(relation, a, b), yes, no)

        return _eight(_eight, _eight, _eight, _eight), generate

    return intrinsic(where)


# Lane by lane, `yes` if the relation holds between the first two, otherwise `no`, also for NaN.
_where_above = _where(">")
_where_equal = _where("==")


@intrinsic
def _all_zero(typing: Any, value: Any) -> Any:
    """Return whether all lanes are zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        filled = builder.fcmp_unordered("!=", arguments[0], ir.Constant(_VECTOR, None))
        return builder.icmp_unsigned("==", builder.bitcast(filled, ir.IntType(_LANES)), ir.IntType(_LANES)(0))

    return types.boolean(_eight), generate


@intrinsic
def _total(typing: Any, value: Any) -> Any:
    """Return the sum of the lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = [builder.extract_element(arguments[0], ir.IntType(32)(lane)) for lane in range(_LANES)]
        while len(lanes) > 1:
            lanes = [builder.fadd(a, b) for a, b in zip(lanes[::2], lanes[1::2], strict=True)]
        return lanes[0]

    return types.float32(_eight), generate


@_inner
def _dot(weights: _Numbers, weights_from: int, values: _Numbers) -> Any:
    """Return the dot product of values, whose number is a multiple of eight, and as many weights."""
    sums = _spread(np.float32(0))
    for place in range(0, len(values), _LANES):
        sums = _multiply_add(_load(weights, weights_from + place), _load(values, place), sums)
    return _total(sums)


@_inner
def _add(to: _Numbers, to_from: int, factor: float, what: _Numbers, what_from: int, count: int) -> None:
    """Add `factor` times `count` numbers, a multiple of eight, to others."""
    factors = _spread(factor)
    for place in range(0, count, _LANES):
        sums = _multiply_add(factors, _load(what, what_from + place), _load(to, to_from + place))
        _store(to, to_from + place, sums)


@_inner
def _cut(slopes: _Numbers, maps: _Numbers) -> None:
    """Backpropagate through ReLU: the gradient is zero where its value is."""
    zero = _spread(np.float32(0))
    for place in range(0, len(maps), _LANES):
        _store(slopes, place, _where_above(_load(maps, place), zero, _load(slopes, place), zero))


@_inner
def _convolve(
    maps: _Numbers,
    width: int,
    channels: int,
    filters: _Numbers,
    biases: _Numbers,
    biases_from: int,
    side: int,
    pooled: _Numbers,
    chosen: _Numbers,
) -> None:
    """Convolve 3 x 3 in steps of 2, pool 2 x 2, ReLU.

    `maps` holds rows of `width` pixels, the channels of a pixel side by side, and `filters` the weights of the eight
    filters side by side, for each of 9 x channels positions. `pooled` (side, side, 8) is set to the result, and
    `chosen` to the number of the largest of the four values, row by row: 0 to 3, the first of equal ones.
    """
    zero, one = _spread(np.float32(0)), _spread(np.float32(1))
    two, three = _spread(np.float32(2)), _spread(np.float32(3))
    stride = width * channels
    right, below = 2 * channels, 2 * stride
    for row in range(side):
        for column in range(side):
            corner = 4 * (row * stride + column * channels)
            first = second = third = fourth = _load(biases, biases_from)
            for y in range(3):
                for x in range(3 * channels):
                    weights = _load(filters, (y * 3 * channels + x) * _LANES)
                    at = corner + y * stride + x
                    first = _multiply_add(_spread_from(maps, at), weights, first)
                    second = _multiply_add(_spread_from(maps, at + right), weights, second)
                    third = _multiply_add(_spread_from(maps, at + below), weights, third)
                    fourth = _multiply_add(_spread_from(maps, at + below + right), weights, fourth)
            which = _where_above(second, first, one, zero)
            most = _where_above(second, first, second, first)
            which = _where_above(third, most, two, which)
            most = _where_above(third, most, third, most)
            which = _where_above(fourth, most, three, which)
            most = _where_above(fourth, most, fourth, most)
            place = (row * side + column) * _LANES
            # NaN stays NaN, which is reported at the end of the epoch.
            _store(pooled, place, _where_above(zero, most, zero, most))
            _store(chosen, place, which)


@_inner
def _back_to_filters(
    maps: _Numbers,
    width: int,
    channels: int,
    side: int,
    slopes: _Numbers,
    chosen: _Numbers,
    filters: _Numbers,
    biases: _Numbers,
    biases_from: int,
) -> None:
    """Add to the gradients of filters and biases, from the gradients of `_convolve` before its ReLU."""
    zero, one = _spread(np.float32(0)), _spread(np.float32(1))
    two, three = _spread(np.float32(2)), _spread(np.float32(3))
    stride = width * channels
    right, below = 2 * channels, 2 * stride
    sums = _load(biases, biases_from)
    for row in range(side):
        for column in range(side):
            corner = 4 * (row * stride + column * channels)
            place = (row * side + column) * _LANES
            slope, which = _load(slopes, place), _load(chosen, place)
            if _all_zero(slope):  # a third of them
                continue
            sums = _multiply_add(slope, one, sums)
            first, second = _where_equal(which, zero, slope, zero), _where_equal(which, one, slope, zero)
            third, fourth = _where_equal(which, two, slope, zero), _where_equal(which, three, slope, zero)
            for y in range(3):
                for x in range(3 * channels):
                    at = corner + y * stride + x
                    weights_from = (y * 3 * channels + x) * _LANES
                    gradient = _load(filters, weights_from)
                    gradient = _multiply_add(_spread_from(maps, at), first, gradient)
                    gradient = _multiply_add(_spread_from(maps, at + right), second, gradient)
                    gradient = _multiply_add(_spread_from(maps, at + below), third, gradient)
                    gradient = _multiply_add(_spread_from(maps, at + below + right), fourth, gradient)
                    _store(filters, weights_from, gradient)
    _store(biases, biases_from, sums)


@_inner
def _back_to_maps(
    slopes: _Numbers, chosen: _Numbers, weights: _Numbers, weights_from: int, side: int, maps: _Numbers, width: int
) -> None:
    """Add to the gradients of the eight maps that `_convolve` took, `maps`, with rows of `width` pixels."""
    lanes, stride = np.intp(_LANES), np.intp(_LANES) * width
    for row in range(side):
        for column in range(side):
            for number in range(_LANES):
                place = (row * side + column) * _LANES + number
                if slopes[place] != 0:
                    which = np.intp(chosen[place])
                    at = (4 * row + 2 * (which // 2)) * stride + (4 * column + 2 * (which % 2)) * _LANES
                    for y in range(3):
                        at_weights = weights_from + (3 * number + y) * 3 * lanes
                        _add(maps, at + y * stride, slopes[place], weights, at_weights, 3 * lanes)


@_inner
def _transpose(source: _Numbers, source_from: int, rows: int, columns: int, to: _Numbers, to_from: int) -> None:
    """Copy (rows, columns) as (columns, rows)."""
    for row in range(rows):
        for column in range(columns):
            to[to_from + column * rows + row] = source[source_from + row * columns + column]


@_inner
def _zeros(count: int) -> _Numbers:
    """Return an array of zeros."""
    numbers = np.empty(count, np.float32)
    _clear(numbers)
    return numbers


@_inner
def _clear(numbers: _Numbers) -> None:
    """Set all numbers to zero; NumPy's functions for that take numba half a second to compile."""
    for place in range(len(numbers)):
        numbers[place] = 0


@_inner
def _side(size: int) -> int:
    """Return the side of the result of `_convolve`: a 3 x 3 filter in steps of 2, then halved."""
    return ((size - 3) // 2 + 1) // 2


def _cached(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile at once, and cache the result on disk for the next process if that is possible."""

    def compiled(function: Callable[..., Any]) -> Any:
        try:
            return njit(signature, cache=True, error_model="numpy")(function)
        except RuntimeError:
            return njit(signature, error_model="numpy")(function)

    return compiled


_FLAT, _LOGITS = types.float32[::1], types.float32[:, ::1]
# Read-only in the signature, which writable arrays match as well.
_PIXELS, _ROWS, _LABELS = (
    types.Array(kind, axes, "C", readonly=True) for kind, axes in ((types.uint8, 2), (types.intp, 1), (types.int64, 1))
)


@_cached(types.float64(_PIXELS, types.intp, _ROWS, _LABELS, _FLAT, _FLAT, _LOGITS, types.boolean))
def _through(
    pictures: NDArray[np.uint8],
    size: int,
    rows: NDArray[np.intp],
    labels: NDArray[np.int64],
    weights: _Numbers,
    gradients: _Numbers,
    logits: _Numbers,
    learning: bool,
) -> float:
    """Run pictures forward through the network, and backward if it is `learning`; return the loss."""
    classes, count = logits.shape[1], len(rows)
    # Cast, because numba would compile the functions below again for every constant argument.
    start, colours, lanes, units = np.intp(0), np.intp(3), np.intp(_LANES), np.intp(_UNITS)
    side_1, side_2 = _side(size), _side(_side(size))
    taps_1, taps_2, values_1, values_2 = 9 * colours, 9 * lanes, side_1 * side_1 * lanes, side_2 * side_2 * lanes
    # Beginnings of the parts of the vector of weights; see `Network`.
    biases_1 = lanes * taps_1
    filters_2 = biases_1 + lanes
    biases_2 = filters_2 + lanes * taps_2
    dense = biases_2 + lanes
    dense_biases = dense + units * values_2
    last = dense_biases + units
    last_biases = last + classes * units

    # The vector holds filter after filter; lanes need the filters side by side.
    weights_1, gradients_1 = _zeros(lanes * taps_1), _zeros(lanes * taps_1)
    weights_2, gradients_2 = _zeros(lanes * taps_2), _zeros(lanes * taps_2)
    _transpose(weights, start, lanes, taps_1, weights_1, start)
    _transpose(weights, filters_2, lanes, taps_2, weights_2, start)
    picture = _zeros(size * size * colours)
    maps_1, chosen_1, slopes_1 = _zeros(values_1), _zeros(values_1), _zeros(values_1)
    maps_2, chosen_2, slopes_2 = _zeros(values_2), _zeros(values_2), _zeros(values_2)
    hidden, hidden_slopes = _zeros(units), _zeros(units)
    if learning:
        _clear(gradients)
    loss = 0.0
    for number in range(count):
        row = rows[number]
        for place in range(len(picture)):
            picture[place] = np.float32(pictures[row, place]) * np.float32(1 / 255)
        _convolve(picture, size, colours, weights_1, weights, biases_1, side_1, maps_1, chosen_1)
        _convolve(maps_1, side_1, lanes, weights_2, weights, biases_2, side_2, maps_2, chosen_2)
        for unit in range(units):
            value = weights[dense_biases + unit] + _dot(weights, dense + unit * values_2, maps_2)
            hidden[unit] = np.float32(0) if value < 0 else value
        top = np.float32(-np.inf)
        for answer in range(classes):
            value = weights[last_biases + answer] + _dot(weights, last + answer * units, hidden)
            logits[number, answer] = value
            top = value if value > top else top
        odds = 0.0
        for answer in range(classes):
            odds += math.exp(logits[number, answer] - top)
        loss += math.log(odds) + top - logits[number, labels[row]]
        if not learning:
            continue
        _clear(hidden_slopes)
        for answer in range(classes):
            slope = np.float32((math.exp(logits[number, answer] - top) / odds - (answer == labels[row])) / count)
            gradients[last_biases + answer] += slope
            _add(gradients, last + answer * units, slope, hidden, start, units)
            _add(hidden_slopes, start, slope, weights, last + answer * units, units)
        _cut(hidden_slopes, hidden)
        _clear(slopes_2)
        for unit in range(units):
            slope = hidden_slopes[unit]
            gradients[dense_biases + unit] += slope
            _add(gradients, dense + unit * values_2, slope, maps_2, start, values_2)
            _add(slopes_2, start, slope, weights, dense + unit * values_2, values_2)
        _cut(slopes_2, maps_2)
        _back_to_filters(maps_1, side_1, lanes, side_2, slopes_2, chosen_2, gradients_2, gradients, biases_2)
        _clear(slopes_1)
        _back_to_maps(slopes_2, chosen_2, weights, filters_2, side_2, slopes_1, side_1)
        _cut(slopes_1, maps_1)
        _back_to_filters(picture, size, colours, side_1, slopes_1, chosen_1, gradients_1, gradients, biases_1)
    if learning:
        _transpose(gradients_1, start, taps_1, lanes, gradients, start)
        _transpose(gradients_2, start, taps_2, lanes, gradients, filters_2)
    return loss / count


@_cached(types.none(*[_FLAT] * 4, *[types.float32] * 4))
def _step(
    weights: _Numbers,
    gradients: _Numbers,
    momentum: _Numbers,
    velocity: _Numbers,
    size: float,
    share_1: float,
    share_2: float,
    epsilon: float,
) -> None:
    """Take a step of `peculiar.exercise.adam`; the shares are the weights of the new gradient in the two means."""
    for place in range(len(weights)):
        gradient = gradients[place]
        momentum[place] += share_1 * (gradient - momentum[place])
        velocity[place] += share_2 * (gradient * gradient - velocity[place])
        weights[place] -= size * momentum[place] / (math.sqrt(velocity[place]) + epsilon)


class Kernel(Steps):
    """Compiled `Steps`, equal to those of NumPy except for rounding.

    The network's and the optimiser's vectors are read and written in place.
    """

    def __init__(self, pictures: NDArray[np.uint8], labels: NDArray[np.int64], net: Network, optimizer: Adam) -> None:
        # Compiled code does not check bounds, so the arguments are checked first.
        super().__init__(pictures, labels, net, optimizer)
        self._pixels = np.ascontiguousarray(pictures).reshape(len(pictures), -1)
        self._numbers = labels.astype(np.int64)

    def learn(self, rows: NDArray[np.intp]) -> tuple[_Numbers, float]:
        """Take one step of training; see `Steps.learn`."""
        logits, loss = self._through(rows, learning=True)
        self.step()
        return logits, loss

    def step(self) -> None:
        """Move the weights by one step against their gradients, as `peculiar.exercise.adam.Adam.step` does."""
        adam = self.optimizer
        _step(
            adam.weights,
            adam.gradients,
            adam.momentum,
            adam.velocity,
            np.float32(adam.advance()),
            np.float32(1 - adam.beta_1),
            np.float32(1 - adam.beta_2),
            np.float32(adam.epsilon),
        )

    def logits(self, rows: NDArray[np.intp]) -> _Numbers:
        """Return the logits, shape (len(rows), classes)."""
        return self._through(rows, learning=False)[0]

    def _through(self, rows: NDArray[np.intp], *, learning: bool) -> tuple[_Numbers, float]:
        logits = np.empty((len(rows), self.net.classes), np.float32)
        weights, gradients = self.optimizer.weights, self.optimizer.gradients
        loss = _through(self._pixels, self.net.size, rows, self._numbers, weights, gradients, logits, learning)
        return logits, loss
