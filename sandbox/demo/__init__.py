"""The demo: a small bank is broken three ways, one after the other, and heals."""
