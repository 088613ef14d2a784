"""Checks of a collection: what is wrong with the files, or odd about them, before they are used."""

from jaxbeh.data.checks.collection import Examination, examine

__all__ = ["Examination", "examine"]
