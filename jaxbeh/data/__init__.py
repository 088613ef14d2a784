"""From files to device arrays: reader, writer, cache, synthetic generator, splits, frame store."""
