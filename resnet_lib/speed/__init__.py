"""How fast training is, and what more processes bring."""
