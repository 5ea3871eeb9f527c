"""A run folder: training into it, and all that can be done with it afterwards."""
