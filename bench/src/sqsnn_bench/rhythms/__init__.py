"""Rhythms: whether neurons whose memory precesses tell periods apart better than leaky ones."""
