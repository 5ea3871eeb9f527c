"""Fair comparisons: the same size, data, training and search for every model."""
