"""The kernels run by Pallas' interpreter, against the linen scan."""

import dataclasses
import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxbeh.models import fused_recurrence
from jaxbeh.models.fused_recurrence import fits, recurrence
from jaxbeh.models.recurrence import BidirectionalLSTM

STEPS, ROWS, INPUTS, HIDDEN = 4, 64, 24, 64


def layer(lengths, seed=0):
    """Inputs, their mask and a layer's parameters, the numbers such as bfloat16 can hold."""
    keys = jax.random.split(jax.random.key(seed), 2)
    x = jax.random.normal(keys[0], (STEPS, len(lengths), INPUTS)).astype(jnp.bfloat16)
    mask = jnp.arange(STEPS)[:, None] < jnp.asarray(lengths)
    params = BidirectionalLSTM(HIDDEN).init(keys[1], x.astype(jnp.float32), mask)["params"]
    draw = np.random.default_rng(seed)
    params["bias"] = jnp.asarray(draw.normal(size=8 * HIDDEN), jnp.float32)
    return jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16).astype(jnp.float32), params), x, mask


def with_gradients(function, params, x, mask):
    slope = jax.random.normal(jax.random.key(9), (STEPS, x.shape[1], 2 * HIDDEN))
    slope = jnp.where(mask[..., None], slope, 0.0).astype(jnp.bfloat16)

    @jax.jit
    def of(params, x):
        out, back = jax.vjp(lambda params, x: function(params, x, mask), params, x)
        return jnp.where(mask[..., None], out, 0), back(slope.astype(out.dtype))

    return of(params, x)


def fused(params, x, mask, mesh=None):
    """The products around the kernels, which are XLA's, in float32.

    For some orders of axes jax 0.12 leaves one of bfloat16 to a CPU's own instructions, which sum
    in bfloat16 and are right to 2 % only.
    """
    x, weights = x.astype(jnp.float32), params["recurrent"].astype(jnp.bfloat16)
    valid = mask.astype(jnp.float32)
    return recurrence(x, params["kernel"], params["bias"], weights, valid, mesh, True)


def scanned(params, x, mask):
    return BidirectionalLSTM(HIDDEN).apply({"params": params}, x.astype(jnp.float32), mask)


def distance(found, wanted):
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


@pytest.fixture(params=["a kernel for each step", "one for all steps"])
def _way(request, monkeypatch):
    """Programs are interpreted one after another: where they would wait, each has all units."""
    if request.param == "one for all steps":
        whole = {
            run: dataclasses.replace(
                shape, tile=dataclasses.replace(shape.tile, units=HIDDEN), chunk=64
            )
            for run, shape in fused_recurrence.AT_ONCE.items()
        }
        monkeypatch.setattr(fused_recurrence, "AT_ONCE", whole)
        monkeypatch.setattr(fused_recurrence, "programs_at_a_time", lambda _: 2)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("rows", [64, 130])
def test_outputs_and_gradients_are_the_scans(rows):
    """Of rows too that no tile divides or one call takes; windows end at different steps."""
    lengths = np.random.default_rng(1).integers(1, STEPS + 1, rows)
    lengths[: rows // 2] = STEPS
    drawn = layer(lengths)
    found = jax.tree.leaves(with_gradients(fused, *drawn))
    wanted = jax.tree.leaves(with_gradients(scanned, *drawn))
    assert len(found) == len(wanted) == 5
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        # A bfloat16 number is right to 2⁻⁹; the kernels round a few times on the way.
        assert 0 < distance(one, other) < 4 * 2**-9


@pytest.mark.usefixtures("_way")
def test_each_device_runs_its_own_rows():
    """The tensors of a step never travel: only the gradients of weights are summed."""
    params, x, mask = layer([STEPS] * ROWS)
    mesh = jax.make_mesh((2,), ("window",), (AxisType.Auto,))
    by_row = NamedSharding(mesh, PartitionSpec(None, "window"))
    alone = with_gradients(fused, params, x, mask)
    over_two = functools.partial(fused, mesh=mesh)
    shared = with_gradients(over_two, params, *jax.device_put((x, mask), by_row))
    out, (_, to_inputs) = shared
    assert out.sharding.is_equivalent_to(by_row, 3)
    assert to_inputs.sharding.is_equivalent_to(by_row, 3)
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(shared), strict=True):
        # Sums over two halves of the rows are rounded to bfloat16 before they are added.
        assert distance(other, one) < 2 * 2**-9


@pytest.mark.usefixtures("_way")
def test_rows_that_devices_cannot_share_are_run_whole():
    """As the one window of an init is."""
    params, x, mask = layer([STEPS])
    mesh = jax.make_mesh((2,), ("window",), (AxisType.Auto,))
    found, wanted = fused(params, x, mask, mesh), fused(params, x, mask)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))


@pytest.mark.usefixtures("_way")
def test_layers_under_vmap_are_each_what_it_is_alone():
    """As the networks of v7 are that train together."""
    drawn = [layer([STEPS] * ROWS, seed) for seed in (1, 2, 3)]
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *drawn)
    found = jax.vmap(lambda *given: with_gradients(fused, *given))(*together)
    for index, one in enumerate(drawn):
        wanted = with_gradients(fused, *one)
        for stacked, alone in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            assert distance(stacked[index], alone) < 2**-9


def programs_of_calls(rows, hidden, members):
    """Of both passes of a layer, traced and not run: calls whose programs wait, and all others."""
    half, single = jnp.bfloat16, jnp.float32
    given = [
        ((STEPS, rows, hidden), half),
        ((hidden, 8 * hidden), half),
        ((8 * hidden,), single),
        ((2, hidden, 4 * hidden), half),
        ((STEPS, rows), single),
    ]
    given = [
        jax.ShapeDtypeStruct((members, *shape) if members else shape, dtype)
        for shape, dtype in given
    ]

    def both(*given):
        out, back = jax.vjp(recurrence, *given)
        return back(out)

    traced = jax.make_jaxpr(jax.vmap(both) if members else both)(*given)
    waiting, others = [], []
    for call in calls_of(traced.jaxpr):
        waits = any(inner.primitive.name == "while" for inner in equations_of(call.params["jaxpr"]))
        (waiting if waits else others).append(int(np.prod(call.params["grid_mapping"].grid)))
    return waiting, others


def calls_of(jaxpr):
    """All calls of kernels in it, however deep."""
    return (one for one in equations_of(jaxpr) if one.primitive.name == "pallas_call")


def equations_of(jaxpr):
    """All equations in it, however deep, but those of kernels."""
    for equation in jaxpr.eqns:
        yield equation
        if equation.primitive.name == "pallas_call":
            continue
        for value in jax.tree.leaves(list(equation.params.values())):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from equations_of(inner)


@pytest.mark.parametrize("rows", [1, 64, 384, 500, 1536, 2048])
@pytest.mark.parametrize("hidden", [64, 256])
def test_no_call_has_more_waiting_programs_than_multiprocessors(rows, hidden, monkeypatch):
    """Or one would wait for another that cannot start."""
    monkeypatch.setattr(fused_recurrence, "programs_at_a_time", lambda _: 132)
    waiting, others = programs_of_calls(rows, hidden, members=0)
    assert max(waiting) <= 132
    assert sum(waiting) == sum(
        -(-rows // shape.tile.rows) * 2 * hidden // shape.tile.units
        for shape in fused_recurrence.AT_ONCE.values()
    )
    assert others == [8 * hidden // 64]  # the sums


@pytest.mark.parametrize(
    ("hidden", "members", "room"), [(256, 10, 132), (256, 0, 7), (512, 0, 132)]
)
def test_where_programs_could_wait_for_ever_none_waits(hidden, members, room, monkeypatch):
    """Many layers at a time, a small part of a GPU, weights that fill a multiprocessor."""
    monkeypatch.setattr(fused_recurrence, "programs_at_a_time", lambda _: room)
    waiting, others = programs_of_calls(64, hidden, members)
    assert waiting == []
    assert len(others) == 2 * STEPS + (not members)


def test_products_for_weights_wait_for_the_sums_and_these_for_the_product_before():
    """What a graph of kernels runs first is decided by who takes whose results."""
    shapes = [(STEPS, 64, 64), (64, 512), (512,), (2, 64, 256), (STEPS, 64)]
    dtypes = [jnp.bfloat16, jnp.bfloat16, jnp.float32, jnp.bfloat16, jnp.float32]
    given = [jax.ShapeDtypeStruct(*one) for one in zip(shapes, dtypes, strict=True)]

    def back(*given):
        out, pullback = jax.vjp(recurrence, *given)
        return pullback(out)

    equations = jax.make_jaxpr(back)(*given).jaxpr.eqns
    maker = {id(out): one for one in equations for out in one.outvars}

    def needs(equation, other):
        """Whether an equation needs, directly or not, what the other makes."""
        makers = [maker[id(one)] for one in equation.invars if id(one) in maker]
        return any(one is other or needs(one, other) for one in makers)

    product = {
        one.outvars[0].aval.shape: one for one in equations if one.primitive.name == "dot_general"
    }
    (sums,) = [one for one in equations if one.outvars[-1].aval.shape == (512,)]
    assert needs(sums, product[(STEPS, 64, 64)])  # of what goes on to the layer before
    for of_weights in ((64, 512), (2, 64, 256)):
        assert needs(product[of_weights], sums)


class Gpu:
    """What JAX says of a GPU."""

    def __init__(self, capability):
        self.compute_capability, self.core_count = capability, 132


def test_programs_wait_only_where_that_was_tried_and_the_gpu_is_not_shared(monkeypatch, tmp_path):
    monkeypatch.setattr(fused_recurrence, "MPS_FOLDER", tmp_path / "mps")
    for name in [name for name in os.environ if name.startswith("CUDA_MPS_")]:
        monkeypatch.delenv(name)
    programs = fused_recurrence.programs_at_a_time
    assert programs(False) == 0  # a CPU
    for capability, wanted in (("8.0", 0), ("10.0", 0), ("9.0", 132)):
        monkeypatch.setattr(jax, "local_devices", lambda it=capability: [Gpu(it)])
        assert programs(False) == wanted
    assert programs(True) == 0
    with monkeypatch.context() as within:
        within.setenv("CUDA_MPS_PIPE_DIRECTORY", "/elsewhere")
        assert programs(False) == 0
    (tmp_path / "mps").mkdir()
    assert programs(False) == 0


def test_what_stands_in_padding_reaches_no_valid_step():
    lengths = [STEPS, 2] * (ROWS // 2)
    params, x, mask = layer(lengths)
    other = jnp.where(mask[..., None], x, 7).astype(x.dtype)
    valid = np.asarray(mask)
    one, two = (np.asarray(fused(params, values, mask)) for values in (x, other))
    np.testing.assert_array_equal(one[valid], two[valid])


def test_layers_whose_tiles_do_not_divide_are_left_to_the_scan():
    assert [hidden for hidden in (1, 32, 63, 64, 100, 128, 256, 384) if fits(hidden)] == [
        64,
        128,
        256,
    ]
    assert fused_recurrence.FEWEST_UNITS == 64
