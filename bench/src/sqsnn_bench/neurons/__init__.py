"""Neurons to compare with, which studies name by their place; none is in the library."""
