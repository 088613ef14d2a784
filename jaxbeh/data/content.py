"""One hash over all that training takes from a collection."""

import hashlib
import json
from collections.abc import Sequence

from jaxbeh.data.recording import Recording


def data_hash(recordings: Sequence[Recording]) -> str:
    """Sha256 over ids, labs, units, tracking, events and whitelists, whatever the videos' order."""
    digest = hashlib.sha256()
    for recording in sorted(recordings, key=lambda item: item.video_id):
        events = recording.events
        found = []
        if events is not None:
            rows = zip(events.triples, events.start.tolist(), events.stop.tolist(), strict=True)
            found = sorted((*triple, start, stop) for triple, start, stop in rows)
        content = [
            recording.video_id,
            recording.lab_id,
            recording.fps,
            recording.pixels_per_cm,
            recording.centre.tolist(),
            recording.tracking.content_hash,
            None if recording.whitelist is None else sorted(recording.whitelist),
            None if events is None else found,
        ]
        digest.update(json.dumps(content).encode())
    return digest.hexdigest()
