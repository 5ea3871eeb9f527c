"""How good gradients from measured bits are, in a trained network."""
