"""What tests look at while programs run: where numbers lie, and what is compiled, how often."""

from contextlib import contextmanager
from unittest import mock

from jax import monitoring

from jaxbeh.training.compilation import JUDGED, compile_ahead


def pointers(leaf):
    """Where the parts of an array lie in memory."""
    return [shard.data.unsafe_buffer_pointer() for shard in leaf.addressable_shards]


@contextmanager
def compilations():
    """A list that grows by one with each program that is compiled within."""
    compiled = []

    def hear(event, _, **__):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    monitoring.register_event_duration_secs_listener(hear)
    try:
        yield compiled
    finally:
        monitoring.clear_event_listeners()


def compiled_to_train(building):
    """Within, a module that assembles runs leaves the other programs until they are called."""

    def ahead(programs, arguments, devices, *_, **__):
        return compile_ahead(programs, arguments, devices, JUDGED)

    return mock.patch.object(building, "compile_ahead", ahead)
