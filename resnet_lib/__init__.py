"""Executable companion to "Deep Residual Learning for Image Recognition" (He, Zhang, Ren, Sun, 2015)."""
