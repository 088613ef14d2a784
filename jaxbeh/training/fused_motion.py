"""The motion features as a model takes them, by one kernel on a GPU.

Compiled from plain operations, each number of the flat form is computed by itself, from a dozen
small loads. Here a program has some points in the order of the result and makes the four numbers of
each from four long loads: both coordinates, speed and acceleration, standardised, with noise.
`motion`, `normalise` and `nearly_normal` are what it must agree with, to about 1e-6, and a number
that is none comes through as it does there.
"""

import math
import struct
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jax.sharding import Mesh, PartitionSpec
from jax.typing import DTypeLike

from jaxbeh.data.store import WINDOWS, Frames
from jaxbeh.features.coordinates import POINTS
from jaxbeh.features.motion import MOTION
from jaxbeh.features.normaliser import CLIP, Normaliser
from jaxbeh.models.random_bits import hashed, nearly_normal_of, salted, sum_of_bytes

_POINTS_A_PROGRAM = 1024
_WARPS = 4
_MISSING = float(np.finfo(np.float32).max)
"""Stands for what is missing, within the kernel."""


def runs_here() -> bool:
    """Whether the GPUs of this process take Triton's kernels: NVIDIA's since 2020."""
    if jax.default_backend() != "gpu":
        return False
    major, _, _ = str(getattr(jax.local_devices()[0], "compute_capability", "")).partition(".")
    return major.isdecimal() and int(major) >= 8


def fused_motion(
    frames: Frames,
    normaliser: Normaliser,
    noise: tuple[float, Array] | None,
    dtype: DTypeLike,
    mesh: Mesh | None = None,
    interpret: bool = False,
) -> Array:
    """Compute, standardise, add noise.

    Args:
        frames: gathered, with the two frames of history.
        normaliser: statistics of the training frames.
        noise: standard deviation and seed, uint32 `[2]`.
        dtype: of the result.
        mesh: devices that share the windows; `None` for one device.
        interpret: run without a GPU, slowly: for tests.

    Returns:
        `[b, t, f]`, 0 where invalid; in memory as `[t, b, f]`.
    """
    deviation, seed = noise or (0.0, jnp.zeros(2, jnp.uint32))
    windows, seen = frames.frame.shape
    known = jnp.where(frames.valid[..., None], frames.xy, _MISSING)
    of_windows = (known.reshape(windows, seen, 2 * len(POINTS)), frames.frame, frames.fps)
    of_all = (normaliser.mean, 1.0 / normaliser.deviation, salted(seed))
    run = partial(_run, deviation, dtype, interpret)
    if mesh is None or windows % mesh.size:
        return jnp.swapaxes(run(jnp.zeros(1, jnp.int32), *of_windows, *of_all), 0, 1)
    firsts = jnp.arange(mesh.size, dtype=jnp.int32) * (windows // mesh.size)
    by_window, whole = PartitionSpec(WINDOWS), PartitionSpec()
    shared = jax.shard_map(
        run,
        mesh=mesh,
        in_specs=(by_window,) * 4 + (whole,) * 3,
        out_specs=PartitionSpec(None, WINDOWS),
        check_vma=False,
    )
    return jnp.swapaxes(shared(firsts, *of_windows, *of_all), 0, 1)


def _run(deviation: float, dtype: DTypeLike, interpret: bool, *given: Array) -> Array:
    """`[t, b, f]`, of what the kernel reads."""
    windows, seen, _ = given[1].shape
    length, of_frame = seen - MOTION.history, windows * len(POINTS)
    programs = pl.cdiv(length * of_frame, _POINTS_A_PROGRAM)
    # What is too much for the last program to do stands behind the last frame.
    rows = pl.cdiv(programs * _POINTS_A_PROGRAM, of_frame)
    call = pl.pallas_call(
        partial(_kernel, deviation, rows > length, interpret),
        out_shape=jax.ShapeDtypeStruct((rows, windows, len(MOTION.names)), dtype),
        grid=(programs,),
        compiler_params=triton.CompilerParams(num_warps=_WARPS, num_stages=1),
        interpret=interpret,
    )
    made: Array = call(*given)
    return made[:length]


def _kernel(
    deviation: float,
    beyond: bool,
    exact: bool,
    first: Any,
    xy: Any,
    frame: Any,
    fps: Any,
    mean: Any,
    scale: Any,
    salt: Any,
    flat: Any,
) -> None:
    """A program's points.

    Args:
        deviation: of the noise; 0 for none.
        beyond: whether some programs have places behind the last frame.
        exact: without the GPU's own instructions.
        first: int32 `[1]`, these windows' first one in the batch.
        xy: float32 `[b, h+t, 144]`, `_MISSING` where invalid.
        frame: int32 `[b, h+t]`.
        fps: float32 `[b]`.
        mean: float32 `[f]`.
        scale: float32 `[f]`, what deviations from the mean are multiplied by.
        salt: uint32 `[2]`, of the noise's seed.
        flat: `[t, b, f]`, to be written, or of a few frames more.
    """
    _, windows, features = flat.shape
    length, points = xy.shape[1] - MOTION.history, len(POINTS)

    def places(each: int) -> tuple[Array, Array, Array]:
        """Time, window and column of so many numbers of each point."""
        size, columns = each * _POINTS_A_PROGRAM, each * points
        place = pl.program_id(0) * size + jnp.arange(size, dtype=jnp.int32)
        row, column = lax.div(place, columns), lax.rem(place, columns)
        return lax.div(row, windows), lax.rem(row, windows), column

    def put(t: Array, window: Array, column: Array, value: Array) -> None:
        known = value != _MISSING
        value = _clipped((value - mean[column]) * scale[column], exact)
        if deviation:
            index = ((first[0] + window) * length + t) * features + column
            bits = hashed(index.astype(jnp.uint32), salt)
            value = value + deviation * nearly_normal_of(_sum_of_bytes(bits, exact))
        flat[t, window, column] = jnp.where(known, value, 0.0).astype(flat.dtype)

    def halves(of_coordinates: Array) -> list[Array]:
        return jnp.split(of_coordinates.reshape(_POINTS_A_PROGRAM, 2), 2, axis=-1)

    t, window, column = places(2)
    now = t + MOTION.history
    inside = t < length if beyond else None
    number = triton.load(frame.at[window, now], mask=inside, other=0 if beyond else None)
    # Frame 0 has no step of its own and repeats frame 1's.
    ahead = (number == 0).astype(jnp.int32)

    def load(time: Array, mask: Array | None) -> Array:
        at = xy.at[window, time, column]
        found: Array = triton.load(at, mask=mask, other=None if mask is None else _MISSING)
        return found

    here = load(now, inside)
    later = halves(load(now + ahead, now + ahead < xy.shape[1]))
    former = halves(load(now + ahead - 1, inside))
    earlier = halves(load(now - 2, inside))
    put(t, window, column, here)
    hertz, early = halves(fps[window])[0], halves(number)[0] <= 1
    velocity = [(a - b) * hertz for a, b in zip(later, former, strict=True)]
    # Nor does the velocity change between the first two frames.
    before = [
        jnp.where(early, same, (a - b) * hertz)
        for same, a, b in zip(velocity, former, earlier, strict=True)
    ]
    change = [(a - b) * hertz for a, b in zip(velocity, before, strict=True)]
    # A point without one coordinate has neither.
    no_velocity = (later[0] == _MISSING) | (former[0] == _MISSING)
    no_change = no_velocity | (~early & (earlier[0] == _MISSING))
    t, window, column = places(1)
    for part, ((x, y), missing) in enumerate(((velocity, no_velocity), (change, no_change))):
        size = _log(1.0 + jnp.sqrt(x * x + y * y), exact)
        size = jnp.where(missing, _MISSING, size).reshape(_POINTS_A_PROGRAM)
        put(t, window, (2 + part) * points + column, size)


def _clipped(x: Array, exact: bool) -> Array:
    """As `normalise` does: a number that is none stays none, which Triton's own would clip, too."""
    if exact:
        return jnp.clip(x, -CLIP, CLIP)
    least, most = (f"0f{struct.pack('>f', limit).hex()}" for limit in (-CLIP, CLIP))
    return _by_gpu(f"max.NaN.f32 $0, $1, {least}; min.NaN.f32 $0, $0, {most};", x, "f")


def _sum_of_bytes(bits: Array, exact: bool) -> Array:
    """By the GPU's own sum of four products, in place of nine operations."""
    if exact:
        return sum_of_bytes(bits)
    return _by_gpu("dp4a.u32.u32 $0, $1, 16843009, 0;", bits.astype(jnp.int32), "r")


def _log(x: Array, exact: bool) -> Array:
    """By the GPU's own to base 2, in place of twenty operations: off by 2⁻²² of results above 1."""
    return jnp.log(x) if exact else math.log(2) * _by_gpu("lg2.approx.ftz.f32 $0, $1;", x, "f")


def _by_gpu(instruction: str, x: Array, register: str) -> Array:
    (made,) = triton.elementwise_inline_asm(
        instruction,
        args=[x],
        constraints=f"={register},{register}",
        pack=1,
        result_shape_dtypes=[jax.ShapeDtypeStruct(x.shape, x.dtype)],
    )
    return made
