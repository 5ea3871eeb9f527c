"""One register: tensors in, tensors out; this room knows no networks."""
