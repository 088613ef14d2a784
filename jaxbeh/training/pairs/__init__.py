"""Training of recipe v7: tracks of pairs, many members in one program."""
