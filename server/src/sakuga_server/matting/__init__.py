"""From a network's mask to a soft alpha and clean colours."""
