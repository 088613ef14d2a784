"""What tests look at while programs run: where numbers lie, and how often something is compiled."""

from contextlib import contextmanager

from jax import monitoring


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
