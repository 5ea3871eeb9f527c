"""Rhythms: whether spin resonances tell periods apart better than leaky membranes."""
