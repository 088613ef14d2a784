"""The processes of a run, one or more a machine: which of them this is, and how all agree.

Words, such as a flag, a hash or what went wrong, go through the key-value store of JAX's own
runtime, where waiting has no limit. Frames and weights go over the devices, as gradients do, and
only once all have said that they are there. Nothing needs a file system that all of them see.

Each exchange is a round; all processes come to the same rounds in the same order. One that fails
leaves its reason in the store, where all look that wait in a round, this one or a later one: so
nobody waits for it for ever. One that dies without a word is given up by JAX's runtime, which then
ends the others; so does one that fails while others wait for it on the devices.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from numpy.typing import NDArray

from jaxbeh.errors import JaxbehError, RunError

T = TypeVar("T")

SILENCE_S = 30
"""Seconds without a heartbeat after which a process counts as dead."""
_LEAVING_S = 120
"""Seconds that a process which ends waits for the others to end too."""
_SLICE_MS = 1000
"""Milliseconds of one wait; between two of them Python answers signals."""
_KEYS, _FAILED = "jaxbeh", "failed"
"""Where the store holds our words, and there the reasons of those that failed."""
_PIECE = 1 << 26
"""Bytes that a device holds of one piece of an exchange, of all processes together."""

_ADDRESS, _COUNT, _INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
_HOW = (
    f"Slurm's srun says it by itself; elsewhere give each process {_ADDRESS}=HOST:PORT (a free "
    f"port of the first one's machine), {_COUNT} (how many there are) and {_INDEX} (0, 1, …) in "
    f"its environment"
)


class _PeerError(RunError):
    """Another process failed, and has told all others itself."""


class Hosts:
    """The processes of a run; alone unless `connect` says otherwise.

    Args:
        index: which of them this is, from 0.
        count: how many there are.
    """

    def __init__(self, index: int = 0, count: int = 1) -> None:
        self.index = index
        self.count = count
        self._round = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.index == 0

    def exchange(self, what: str, value: str) -> list[str]:
        """Every process's value, in their order.

        Args:
            what: names the round; must be the same in all processes.
            value: this one's, short.

        Raises:
            RunError: a process failed, or the processes are not at the same place.
        """
        if self.count == 1:
            return [value]
        answers = self._answers([what, value])
        places = [place for place, _ in answers]
        if len(set(places)) > 1:
            raise RunError(f"the processes went different ways: they are at {', '.join(places)}")
        return [found for _, found in answers]

    def any(self, what: str, flag: bool) -> bool:
        """Whether the flag is up in any process; costs nothing where there is one."""
        return flag if self.count == 1 else "1" in self.exchange(what, str(int(flag)))

    def require_same(self, what: str, value: str) -> None:
        """Refuse to go on with something that must be the same everywhere and is not.

        Raises:
            RunError: naming it, and the processes that differ from the first.
        """
        found = self.exchange(what, hashlib.sha256(value.encode()).hexdigest())
        others = [str(index) for index, item in enumerate(found) if item != found[0]]
        if others:
            raise RunError(
                f"{what}: not the same in process {', '.join(others)} as in process 0; give each "
                f"process the same command, the same files and the same versions"
            )

    def gather(self, mine: bytes) -> list[NDArray[np.uint8]]:
        """Every process's bytes, in their order; on each host memory for all of them is taken."""
        own = np.frombuffer(mine, np.uint8)
        if self.count == 1:
            return [own]
        lengths = [int(length) for length in self.exchange("an exchange", str(len(mine)))]
        # Powers of two, so that few programs are compiled.
        piece = min(_PIECE // self.count, 1 << max(*lengths, 1).bit_length())
        found = [np.empty(length, np.uint8) for length in lengths]
        found[self.index] = own
        for start in range(0, max(lengths), piece):
            part = np.zeros(piece, np.uint8)
            part[: max(0, len(own) - start)] = own[start : start + piece]
            rows = multihost_utils.process_allgather(part)
            for index, values in enumerate(found):
                if index != self.index:
                    values[start : start + piece] = rows[index, : max(0, len(values) - start)]
        return found

    def from_first(self, tree: T) -> T:
        """The first process's pytree of arrays; of the others' only shapes and dtypes count."""
        if self.count == 1:
            return tree
        leaves, structure = jax.tree.flatten(tree)
        mine = b"".join(np.asarray(leaf).tobytes() for leaf in leaves) if self.first else b""
        found, start = self.gather(mine)[0], 0
        received = []
        for leaf in leaves:
            dtype = np.dtype(leaf.dtype)
            stop = start + int(np.prod(leaf.shape)) * dtype.itemsize
            received.append(found[start:stop].copy().view(dtype).reshape(leaf.shape))
            start = stop
        filled: T = jax.tree.unflatten(structure, received)
        return filled

    @contextmanager
    def together(self) -> Iterator[None]:
        """Work that ends in all processes once it fails in one."""
        try:
            yield
        except BaseException as error:
            if self.count == 1 or isinstance(error, _PeerError):
                raise
            self._fail(str(error) if isinstance(error, JaxbehError) else repr(error))
            if isinstance(error, jax.errors.JaxRuntimeError):
                raise RunError(
                    f"process {self.index} of {self.count}: {error}\nIf another process or its "
                    f"machine is gone, the same command continues from the last checkpoint"
                ) from error
            raise

    def _answers(self, mine: list[str]) -> list[list[str]]:
        """All answers of the next round; the first process collects them."""
        self._round += 1
        if not self.first:
            _say(f"{self._round}/{self.index}", mine)
            answers: list[list[str]] = self._hear(f"{self._round}/all")
            return answers
        answers = [mine]
        answers += [self._hear(f"{self._round}/{index}") for index in range(1, self.count)]
        _say(f"{self._round}/all", answers)
        # Whoever answered this round has read the one before.
        _store().key_value_delete(f"{_KEYS}/{self._round - 1}/")
        return answers

    def _hear(self, key: str) -> Any:
        """Wait for what another process says, or for the failure of any."""
        while True:
            try:
                return json.loads(_store().blocking_key_value_get(f"{_KEYS}/{key}", _SLICE_MS))
            except jax.errors.JaxRuntimeError as error:
                if "DEADLINE_EXCEEDED" not in str(error):
                    raise
            failed = _store().key_value_dir_get(f"{_KEYS}/{_FAILED}/")
            if failed:
                name, reason = failed[0]
                index = name.rpartition("/")[2]
                raise _PeerError(f"process {index} of {self.count}: {json.loads(reason)}")

    def _fail(self, reason: str) -> None:
        with suppress(jax.errors.JaxRuntimeError):  # nobody is left to hear it
            _say(f"{_FAILED}/{self.index}", reason)


def connect() -> Hosts:
    """Join the other processes of the run, before JAX has looked for its devices.

    Raises:
        RunError: nothing says who they are, or they cannot be reached.
    """
    address = os.environ.get(_ADDRESS)
    count, index = _number(_COUNT), _number(_INDEX)
    if address is not None and not address.rpartition(":")[2].isdecimal():
        raise RunError(f"--distributed: {_ADDRESS} is {address!r}, not HOST:PORT")
    # JAX's own answer to SIGTERM; `StopRequest` is ours.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            address,
            count,
            index,
            heartbeat_timeout_seconds=SILENCE_S,
            shutdown_timeout_seconds=_LEAVING_S,
        )
    except ValueError as error:
        raise RunError(
            f"--distributed: the environment does not say which processes make the run (JAX says: "
            f"{error}) {_HOW}"
        ) from None
    except RuntimeError as error:
        raise RunError(
            f"--distributed: the processes of the run do not find each other ({error}). {_HOW}"
        ) from None
    return Hosts(jax.process_index(), jax.process_count())


def _number(name: str) -> int | None:
    text = os.environ.get(name)
    if text is not None and not text.isdecimal():
        raise RunError(f"--distributed: {name} is {text!r}, not a whole number")
    return None if text is None else int(text)


def _store() -> Any:
    """The key-value store; JAX has no public door to it."""
    from jax._src import distributed

    return distributed.global_state.client


def _say(key: str, value: object) -> None:
    _store().key_value_set(f"{_KEYS}/{key}", json.dumps(value))
