"""Networks for tests: those of others in tests/data/nets, mutations of them, and random ones."""
