"""Models of spike trains, beside what exact theory allows and what neuroscience uses."""
