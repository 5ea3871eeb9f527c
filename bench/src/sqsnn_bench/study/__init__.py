"""A study: models compared at equal size, data, training and search."""
