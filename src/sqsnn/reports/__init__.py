"""Drawing and pages: plots, circuits and HTML; no run folder is read here."""
