"""Operating: what a hotline's operator sees and mends: dead letters, health, and who looked at what."""
