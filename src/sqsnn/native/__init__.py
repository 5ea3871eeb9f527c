"""The compiled kernel: C++ behind a plain C interface, loaded when it is first needed."""
