"""Pre-training of recipe v7: what is hidden of tracks is predicted; no label is used."""
