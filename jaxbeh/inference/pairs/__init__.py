"""From what a pair model says of every track to bouts, and the values that this takes, tuned."""
