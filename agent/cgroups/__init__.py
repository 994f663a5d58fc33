"""Control groups: one subtree of ours per mounted hierarchy."""
