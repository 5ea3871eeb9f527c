"""Neurons: (currents, state, uniforms) -> (spikes, state); one neuron a file."""
