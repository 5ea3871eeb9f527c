"""One register: tensors in, tensors out; this room knows no networks."""

# `sqsnn.circuits` finds it here.
from sqsnn.quantum import circuits as circuits
