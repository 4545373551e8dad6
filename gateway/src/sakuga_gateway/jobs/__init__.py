"""Jobs: pictures that are worked on while nobody waits."""
