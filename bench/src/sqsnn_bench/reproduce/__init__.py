"""Every claim of arXiv:2506.21324 that can be read, as a study of its own."""
