"""Untrained neurons as a reservoir, beside an echo-state network."""
