"""Takes the guards of syncer away, one after another, and sees that a test misses each."""
