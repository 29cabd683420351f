"""What answers cost: tokens, seconds, energy, and the least a device needs."""
