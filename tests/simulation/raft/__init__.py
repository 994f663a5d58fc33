"""The Raft core and the real store under a virtual clock, network and disk, all from one seed."""
