"""Nets: the paper's and others, what is measured on them, what is cut out of them, and what they cost."""
