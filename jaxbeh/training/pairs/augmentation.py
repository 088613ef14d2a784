"""Temporary."""


def augment(key, xy, valid, settings, rate):
    return xy, valid
