"""Prediction with recipe v7: from tracks to bouts of single actions."""
