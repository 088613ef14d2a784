"""Reader of the MABe layout: a table of videos, a folder of trackings, a folder of annotations."""

from jaxbeh.data.mabe.collection import (
    read_annotated_actions,
    read_labelled,
    read_test,
    read_tracks,
)

__all__ = ["read_annotated_actions", "read_labelled", "read_test", "read_tracks"]
