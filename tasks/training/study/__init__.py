"""What a project's candidates suffer from: bias, variance, too few rows, or luck. Measured on the training rows alone."""
