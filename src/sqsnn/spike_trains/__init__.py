"""Models of recorded spike trains: one neuron, fitted by maximum likelihood."""
