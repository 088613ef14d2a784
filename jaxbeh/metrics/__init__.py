"""Frame counts to F1, and the competition's F-score."""
