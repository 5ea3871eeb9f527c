"""Networks of any shape: what cycles, convolutions and memory cost, and what they give."""
